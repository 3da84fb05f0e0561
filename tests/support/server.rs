//! The server as a child process of the test. It is killed when the test ends.

use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::{backend, host};

const START_LIMIT: Duration = Duration::from_secs(20);

/// The binary under test.
pub(crate) fn binary() -> &'static str {
    env!("CARGO_BIN_EXE_corecast")
}

/// The binary under test. It serves on the chosen backend, unless `args` name one, and gets no
/// setting from the environment.
pub(crate) fn command(args: &[&str]) -> Command {
    let mut command = Command::new(binary());
    command.args(args);
    without_settings(&mut command);
    if let Some(backend) = backend::flag()
        && args.first() == Some(&"serve")
        && !args.contains(&"--backend")
    {
        command.args(["--backend", &backend]);
    }
    command
}

/// Takes from the environment of `command` what the server would read as settings.
pub(crate) fn without_settings(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("CORECAST_") {
            command.env_remove(name);
        }
    }
}

/// A running `corecast serve`. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    addr: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// `corecast serve` on a free port of 127.0.0.1, with further arguments.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::spawn(command(&[&["serve", "--listen", "127.0.0.1:0"], args].concat()))
    }

    /// Runs `command`, which must execute a server that listens on 127.0.0.1.
    pub(crate) fn spawn(command: Command) -> Self {
        Self::try_spawn(command).unwrap_or_else(|said| panic!("{said}"))
    }

    /// The same; if no server starts, an error with the exit status and the output.
    pub(crate) fn try_spawn(mut command: Command) -> Result<Self, String> {
        command.stdin(Stdio::null());
        Self::try_spawn_with_input(command)
    }

    /// The same with the standard input that the command has.
    pub(crate) fn try_spawn_with_input(mut command: Command) -> Result<Self, String> {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let lines = follow(&mut child, &log);
        match await_start(&lines) {
            Some(addr) => Ok(Self { child, addr, log }),
            None => {
                let _ = child.kill();
                let status = child.wait();
                std::thread::sleep(Duration::from_millis(100));
                let said = log.lock().unwrap().join("\n");
                Err(format!("no server came of {command:?}: {status:?}\n{said}"))
            }
        }
    }

    /// The address on which it listens.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// That of its admin listener.
    pub(crate) fn admin(&self) -> SocketAddr {
        admin_address(&self.log()).expect("an admin listener in the start line")
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.child);
        kill_process(pid, signal).unwrap();
    }

    /// Whether it is running.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Waits for its end, for at most `limit`.
    pub(crate) fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return Some(status);
            }
            if start.elapsed() > limit {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Its output so far.
    pub(crate) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }

    /// Waits until the server has no connections, and fails the test if that takes long.
    pub(crate) fn await_no_connections(&self, limit: Duration) {
        let port = self.addr.port();
        let met = host::wait_until(limit, || host::sockets_on(port) == 0);
        assert!(met, "{} connections still open after {limit:?}", host::sockets_on(port));
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the server said:\n{}", self.log.lock().unwrap().join("\n"));
        }
    }
}

/// Reads both outputs of `child` until its end, and copies them into `log` and to the receiver.
fn follow(child: &mut Child, log: &Arc<Mutex<Vec<String>>>) -> Receiver<String> {
    let (sender, lines) = mpsc::channel();
    let outputs: [Option<Box<dyn Read + Send>>; 2] = [
        child.stdout.take().map(|output| Box::new(output) as _),
        child.stderr.take().map(|output| Box::new(output) as _),
    ];
    for output in outputs.into_iter().flatten() {
        let (sender, log) = (sender.clone(), Arc::clone(log));
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                log.lock().unwrap().push(line.clone());
                let _ = sender.send(line);
            }
        });
    }
    lines
}

/// The address in the start line; `None` if the server ended without one.
fn await_start(lines: &Receiver<String>) -> Option<SocketAddr> {
    let start = Instant::now();
    loop {
        let left = START_LIMIT.saturating_sub(start.elapsed());
        match lines.recv_timeout(left) {
            Ok(line) => {
                if let Some(addr) = listening_address(&line) {
                    return Some(addr);
                }
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => return None,
        }
    }
}

/// The address after `listening on `.
pub(crate) fn listening_address(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("listening on ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    rest[..end.unwrap_or(rest.len())].trim_end_matches(&['.', ':'][..]).parse().ok()
}

/// The address before ` (admin` in the start line.
fn admin_address(log: &[String]) -> Option<SocketAddr> {
    let line = log.iter().find(|line| line.contains("listening on "))?;
    let before = line.split_once(" (admin")?.0;
    before.rsplit([' ', ',']).next()?.parse().ok()
}

/// Runs `command` to its end within `limit`: the exit status, standard output and standard error,
/// and the time that it took.
pub(crate) fn run(mut command: Command, limit: Duration) -> Finished {
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
    let collect = |output: Option<Box<dyn Read + Send>>| {
        std::thread::spawn(move || {
            let mut text = String::new();
            output.map(|mut output| output.read_to_string(&mut text));
            text
        })
    };
    let stdout = collect(child.stdout.take().map(|output| Box::new(output) as _));
    let stderr = collect(child.stderr.take().map(|output| Box::new(output) as _));
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break Some(status);
        }
        if start.elapsed() > limit {
            let _ = child.kill();
            let _ = child.wait();
            break None;
        }
        std::thread::sleep(Duration::from_millis(2));
    };
    let took = start.elapsed();
    let (stdout, stderr) = (stdout.join().unwrap(), stderr.join().unwrap());
    let Some(status) = status else {
        panic!("{command:?} still ran after {limit:?}\n{stdout}\n{stderr}");
    };
    Finished { status, stdout, stderr, took }
}

/// The result of a command that has ended.
#[derive(Debug)]
pub(crate) struct Finished {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
    pub(crate) took: Duration,
}

impl Finished {
    /// The one line of an error, which must be all of standard error, with this exit code.
    pub(crate) fn error_line(&self, code: i32) -> &str {
        assert_eq!(self.status.code(), Some(code), "{self:?}");
        let lines: Vec<&str> = self.stderr.lines().collect();
        assert_eq!(lines.len(), 1, "{}", self.stderr);
        assert!(lines[0].starts_with("corecast: "), "{}", lines[0]);
        lines[0]
    }
}
