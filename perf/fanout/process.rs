//! The servers under test as child processes.

use std::collections::VecDeque;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_setaffinity};

use crate::LOAD_CORE;
use crate::floor;
use crate::options::{Options, Peer};

const START_LIMIT: Duration = Duration::from_secs(20);

/// How many lines of a server's output are kept to explain a failure.
const LINES_KEPT: usize = 12;

/// A server that can be started.
pub(crate) enum Server<'a> {
    /// This program, as the yardstick.
    Floor,
    /// The binary of this repository.
    Corecast(PathBuf),
    /// Any other.
    Peer(&'a Peer),
}

/// A server that runs; killed when dropped.
pub(crate) struct Running {
    child: Child,
    pub(crate) address: SocketAddr,
    said: Arc<Mutex<VecDeque<String>>>,
}

/// Restricts the calling thread, and what it starts, to some cores.
pub(crate) fn pin(cores: &[usize]) -> io::Result<()> {
    let mut set = CpuSet::new();
    cores.iter().for_each(|core| set.set(*core));
    Ok(sched_setaffinity(None, &set)?)
}

impl Server<'_> {
    /// What the tables call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Floor => "floor",
            Self::Corecast(_) => "corecast",
            Self::Peer(peer) => &peer.name,
        }
    }

    /// Starts it on its cores and waits until it listens.
    pub(crate) fn start(&self, options: &Options) -> io::Result<Running> {
        let cores = match self {
            Self::Corecast(_) => &options.cores[..],
            _ => &options.cores[..1],
        };
        let (mut command, port) = self.command(cores)?;
        // A process inherits its cores from the thread that starts it.
        pin(cores)?;
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|e| io::Error::other(format!("cannot start {}: {e}", self.name())));
        pin(&[LOAD_CORE])?;
        let mut running = Running {
            child: child?,
            address: SocketAddr::from(([127, 0, 0, 1], port.unwrap_or(0))),
            said: Arc::default(),
        };
        let lines = running.follow();
        if port.is_some() {
            running.await_port()?;
        } else {
            running.address = running.await_line(&lines)?;
        }
        Ok(running)
    }

    /// Its command, and the port if that is ours to choose.
    fn command(&self, cores: &[usize]) -> io::Result<(Command, Option<u16>)> {
        let program = match self {
            Self::Floor => std::env::current_exe()?,
            Self::Corecast(path) => path.clone(),
            Self::Peer(peer) => {
                let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
                let line = peer.command.replace("{port}", &port.to_string());
                let mut command = Command::new("sh");
                // The shell makes way, so that the child is the server and nothing else.
                command.args(["-c", &format!("exec {line}")]);
                return Ok((command, Some(port)));
            }
        };
        let cores: Vec<String> = cores.iter().map(ToString::to_string).collect();
        let mut command = Command::new(program);
        command.args([floor::ARGUMENT, "--listen", "127.0.0.1:0", "--cores", &cores.join(",")]);
        Ok((command, None))
    }
}

impl Running {
    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines that it printed, as an addition to an error.
    pub(crate) fn explain(&self, error: &io::Error) -> io::Error {
        // Give it a moment to say why.
        thread::sleep(Duration::from_millis(100));
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let lines: String = said.iter().map(|line| format!("\n  | {line}")).collect();
        io::Error::other(format!("{error}{lines}"))
    }

    /// Reads both outputs for as long as it lives.
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
                self.explain(&io::Error::other("the server did not say where it listens"))
            })?;
            if let Some(address) = listening_address(&line) {
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
        // Failures mean that it is already gone.
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
            // Nobody waits for a line once the address is known.
            let _ = sender.send(line);
        }
    });
}

/// The address behind `listening on `.
fn listening_address(line: &str) -> Option<SocketAddr> {
    let rest = line.split_once("listening on ")?.1;
    let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
    rest[..end.unwrap_or(rest.len())].trim_end_matches(['.', ':']).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

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
}
