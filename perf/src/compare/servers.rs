//! The servers under test as child processes.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use super::certificate::Certificate;
use super::child;
use super::options::{Custom, Options};
use crate::machine;

/// The core of the load.
pub(crate) const LOAD_CORE: usize = 1;

const START_LIMIT: Duration = Duration::from_secs(20);

/// The number of lines of a server's output that are kept to explain a failure.
const LINES_KEPT: usize = 6;

/// The servers that `perf/peers` builds, and whether they have topics.
const PEERS: [(&str, Role); 7] = [
    ("uws", Role::Full),
    ("tokio-websockets", Role::Full),
    ("sockudo-ws", Role::Full),
    ("fastwebsockets", Role::Full),
    ("tokio-tungstenite", Role::Full),
    ("tokio-uring", Role::Echo),
    ("ceiling", Role::Bare),
];

/// Those of them that can use TLS.
const WITH_TLS: [&str; 5] = ["corecast", ON_EPOLL, "uws", "tokio-websockets", "sockudo-ws"];

/// corecast without io_uring.
const ON_EPOLL: &str = "corecast-epoll";

/// The abilities of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// Echo, and topics with the same paths as corecast.
    Full,
    Echo,
    /// Echoes bytes: no handshake, no frames.
    Bare,
    /// Only fan-out.
    Floor,
}

/// The form of the command line.
#[derive(Debug)]
enum Program {
    /// That of `corecast serve`.
    Serve(PathBuf),
    /// The same, on epoll.
    Epoll(PathBuf),
    /// That of the peers.
    Peer(PathBuf),
    /// A command with a placeholder for the port.
    Shell(String),
}

/// A repeated string instruction is stepped for each repetition, which takes seconds to clear a
/// hash table. With these limits the C library uses vector instructions instead: slightly more
/// instructions.
const NO_REP: &str = "glibc.cpu.x86_rep_stosb_threshold=1073741824:\
                      glibc.cpu.x86_rep_movsb_threshold=1073741824";

/// A server that can be started.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) role: Role,
    /// It can use TLS.
    pub(crate) tls: bool,
    /// The path for all connections, if it differs from those of corecast.
    pub(crate) path: Option<String>,
    program: Program,
}

/// The settings of a start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct How {
    /// The number of connections that will be opened.
    pub(crate) connections: usize,
    /// Messages will be compressed.
    pub(crate) deflate: bool,
    /// Connections will use TLS.
    pub(crate) tls: bool,
    /// It will be stepped.
    pub(crate) stepped: bool,
}

/// A running server; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<VecDeque<String>>>,
    /// Kept for a reload.
    _certificate: Option<Certificate>,
}

/// The number of loops for `connections` connections, if the limit of open files, which counts for
/// each loop, is `files`. The kernel distributes connections randomly, so a quarter stays free.
fn loops(connections: usize, files: u64) -> usize {
    let each = usize::try_from(files / 4 * 3).unwrap_or(usize::MAX).max(1);
    connections.div_ceil(each).max(1)
}

/// Restricts the calling thread and its children to some cores.
pub(crate) fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    for &core in cores {
        if core >= CpuSet::MAX_CPU {
            return Err(io::Error::other(format!("core {core} does not exist")));
        }
        set.set(core);
    }
    sched_setaffinity(None, &set)
        .map_err(|e| io::Error::other(format!("cannot run on cores {cores:?} ({e})")))
}

/// All servers that exist, corecast first, and remarks about those that do not.
pub(crate) fn servers(options: &Options) -> io::Result<(Vec<Server>, Vec<String>)> {
    let program = std::env::current_exe()?;
    let folder = program.parent().unwrap_or(Path::new("."));
    let corecast = options.corecast.clone().unwrap_or_else(|| folder.join("corecast"));
    if !corecast.exists() {
        let text = format!("{} is missing: run perf/compare, it builds it", corecast.display());
        return Err(io::Error::other(text));
    }
    let (mut servers, mut notes) = (Vec::new(), Vec::new());
    servers.push(Server::new("corecast", Role::Full, Program::Serve(corecast.clone())));
    servers.push(Server::new(ON_EPOLL, Role::Full, Program::Epoll(corecast)));
    let beside = folder.parent().unwrap_or(folder).join("peers/release");
    let peers = options.peers.as_ref().unwrap_or(&beside);
    for (name, role) in PEERS {
        let path = peers.join(name);
        if options.no_peers || options.without.iter().any(|without| without == name) {
            continue;
        }
        if path.exists() {
            servers.push(Server::new(name, role, Program::Peer(path)));
        } else {
            notes.push(format!("{name} is not built and left out"));
        }
    }
    let floor = folder.join("floor");
    if floor.exists() {
        servers.push(Server::new("floor", Role::Floor, Program::Serve(floor)));
    } else {
        notes.push("floor is not built and left out".to_owned());
    }
    servers.extend(options.customs().iter().map(Server::custom));
    servers.retain(|server| !options.without.contains(&server.name));
    Ok((servers, notes))
}

/// Whether a server of this name may be missing.
pub(crate) fn known(name: &str, options: &Options) -> bool {
    let ours = ["corecast", ON_EPOLL, "floor"].contains(&name);
    let custom = options.customs().iter().any(|custom| custom.name == name);
    ours || custom || PEERS.iter().any(|(peer, _)| *peer == name)
}

impl Server {
    fn new(name: &str, role: Role, program: Program) -> Self {
        let version = match &program {
            Program::Serve(_) if role == Role::Floor => None,
            Program::Serve(path) | Program::Epoll(path) | Program::Peer(path) => {
                machine::first_line(Command::new(path).arg("--version"))
            }
            Program::Shell(_) => None,
        };
        let version = version.as_deref().and_then(|line| Some(line.split_once(' ')?.1));
        let version = version.unwrap_or_default().to_owned();
        let tls = WITH_TLS.contains(&name);
        Self { name: name.to_owned(), version, role, tls, path: None, program }
    }

    fn custom(custom: &Custom) -> Self {
        let program = Program::Shell(custom.command.clone());
        Self { path: custom.path.clone(), ..Self::new(&custom.name, Role::Full, program) }
    }

    /// Starts it on its cores, of which only corecast can use more than one, and waits until it
    /// listens.
    pub(crate) fn start(&self, cores: &[usize], how: &How) -> io::Result<Running> {
        let first = cores.first().map_or(&[][..], std::slice::from_ref);
        let cores = if self.is_corecast() { cores } else { first };
        let (mut command, port) = self.command(cores, how.tls)?;
        let loops = loops(how.connections, machine::max_files());
        if self.is_corecast() && loops > 1 {
            command.args(["--loops-per-core", &loops.to_string()]);
        }
        if how.deflate && self.name == "uws" {
            command.arg("--deflate");
        }
        if how.stepped {
            command.env("GLIBC_TUNABLES", NO_REP);
        }
        let certificate = how.tls.then(Certificate::new).transpose()?;
        if let Some(files) = &certificate {
            command.arg("--tls-cert").arg(&files.certificate).arg("--tls-key").arg(&files.key);
        }
        child::die_with_us(&mut command);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        // A process inherits its cores from the thread that starts it.
        pin(cores)?;
        let child = command.spawn();
        pin(&[LOAD_CORE])?;
        let child = child.map_err(|e| io::Error::other(format!("cannot be started: {e}")))?;
        let address = SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(0)));
        let mut running =
            Running { child, address, said: Arc::default(), _certificate: certificate };
        let lines = running.follow();
        if port.is_some() {
            running.await_port()?;
        } else {
            running.address = running.await_line(&lines)?;
        }
        Ok(running)
    }

    pub(crate) fn is_corecast(&self) -> bool {
        self.name == "corecast"
    }

    /// Its command, and the port if this program chooses it.
    fn command(&self, cores: &[usize], tls: bool) -> io::Result<(Command, Option<u16>)> {
        let (mut command, port) = match &self.program {
            Program::Serve(path) | Program::Epoll(path) => {
                let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
                let mut command = Command::new(path);
                let listen = if tls { "--listen-tls" } else { "--listen" };
                command.args(["serve", listen, "127.0.0.1:0", "--cores", &cores.join(",")]);
                if matches!(self.program, Program::Epoll(_)) {
                    command.args(["--backend", "epoll"]);
                }
                (command, None)
            }
            Program::Peer(path) => {
                let mut command = Command::new(path);
                command.args(["--listen", "127.0.0.1:0"]);
                (command, None)
            }
            Program::Shell(line) => {
                let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
                let line = line.replace("{port}", &port.to_string());
                let mut command = Command::new("sh");
                // `exec` replaces the shell, so that the child is the server itself.
                command.args(["-c", &format!("exec {line}")]);
                (command, Some(port))
            }
        };
        command.env_remove("RUST_LOG");
        Ok((command, port))
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The error in one line, with the last lines that the server printed.
    pub(crate) fn explain(&self, error: &io::Error) -> io::Error {
        // Wait a moment for its error message.
        thread::sleep(Duration::from_millis(100));
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = said.iter().map(|line| format!(" | {line}")).collect();
        io::Error::other(format!("{error}{lines}"))
    }

    /// Reads both outputs until their end.
    fn follow(&mut self) -> Receiver<String> {
        let (sender, lines) = mpsc::channel();
        if let Some(output) = self.child.stdout.take() {
            keep(output, sender.clone(), Arc::clone(&self.said));
        }
        if let Some(output) = self.child.stderr.take() {
            keep(output, sender, Arc::clone(&self.said));
        }
        lines
    }

    fn await_line(&self, lines: &Receiver<String>) -> io::Result<SocketAddr> {
        let end = Instant::now() + START_LIMIT;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let line = lines.recv_timeout(left).map_err(|_| {
                self.explain(&io::Error::other("the server did not print its address"))
            })?;
            if let Some(address) = listening_address(&line) {
                // An error after this point names its cause.
                self.said.lock().unwrap_or_else(PoisonError::into_inner).clear();
                return Ok(address);
            }
        }
    }

    fn await_port(&mut self) -> io::Result<()> {
        let end = Instant::now() + START_LIMIT;
        while TcpStream::connect(self.address).is_err() {
            if self.child.try_wait()?.is_some() || Instant::now() > end {
                return Err(self.explain(&io::Error::other("the server does not listen")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // These calls fail if it has ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn keep(
    output: impl Read + Send + 'static,
    sender: Sender<String>,
    said: Arc<Mutex<VecDeque<String>>>,
) {
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            if said.len() == LINES_KEPT {
                said.pop_front();
            }
            said.push_back(line.clone());
            drop(said);
            // Lines after the address are not needed.
            let _ = sender.send(line);
        }
    });
}

/// The address after `listening on `.
fn listening_address(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("listening on ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ':']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_files_need_more_loops() {
        assert_eq!([1, 15_000, 15_001, 100_000].map(|n| loops(n, 20_000)), [1, 1, 2, 7]);
        assert_eq!(loops(9000, 1 << 20), 1);
    }

    #[test]
    fn the_address_is_found_in_a_log_line() {
        let expected = Some(SocketAddr::from(([127, 0, 0, 1], 4567)));
        for line in [
            "listening on 127.0.0.1:4567",
            "2026-01-01T00:00:00Z INFO listening on 127.0.0.1:4567, cores 0",
            "listening on 127.0.0.1:4567.",
        ] {
            assert_eq!(listening_address(line), expected, "{line}");
        }
        assert_eq!(listening_address("listening soon"), None);
    }

    #[test]
    fn a_server_that_fails_is_quoted() {
        let custom = Custom {
            name: "x".to_owned(),
            command: "sh -c 'echo no luck with {port} >&2; exit 3'".to_owned(),
            path: None,
        };
        let error = Server::custom(&custom)
            .start(&[0], &How::default())
            .map(|_| ())
            .unwrap_err()
            .to_string();
        assert!(error.contains("does not listen | no luck with "), "{error}");
    }
}
