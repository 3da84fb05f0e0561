//! The peers as processes.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) name: &'static str,
    program: PathBuf,
    pub(crate) is_of_cargo: bool,
}

impl Peer {
    fn of_cargo(name: &'static str, program: &str) -> Self {
        Self { name, program: program.into(), is_of_cargo: true }
    }

    /// Its output for `--version`.
    pub(crate) fn version(&self) -> String {
        let output = Command::new(&self.program).arg("--version").output().unwrap();
        assert!(output.status.success());
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }
}

/// Every WebSocket peer.
pub(crate) fn all() -> Vec<Peer> {
    let mut peers = vec![
        Peer::of_cargo("fastwebsockets", env!("CARGO_BIN_EXE_fastwebsockets")),
        Peer::of_cargo("tokio-websockets", env!("CARGO_BIN_EXE_tokio-websockets")),
        Peer::of_cargo("tokio-tungstenite", env!("CARGO_BIN_EXE_tokio-tungstenite")),
        Peer::of_cargo("sockudo-ws", env!("CARGO_BIN_EXE_sockudo-ws")),
        Peer::of_cargo("tokio-uring", env!("CARGO_BIN_EXE_tokio-uring")),
    ];
    if let Some(program) = std::env::var_os("UWS_PEER") {
        peers.push(Peer { name: "uws", program: program.into(), is_of_cargo: false });
    }
    peers
}

pub(crate) fn with_topics(peer: &Peer) -> bool {
    peer.name != "tokio-uring"
}

pub(crate) fn with_tls(peer: &Peer) -> bool {
    ["tokio-websockets", "sockudo-ws", "uws"].contains(&peer.name)
}

pub(crate) fn ceiling() -> Peer {
    Peer::of_cargo("ceiling", env!("CARGO_BIN_EXE_ceiling"))
}

/// A peer that runs until it is dropped.
pub(crate) struct Server {
    child: Child,
    address: SocketAddr,
}

impl Server {
    pub(crate) fn start(peer: &Peer) -> Self {
        Self::start_with(peer, &[])
    }

    /// With further arguments.
    pub(crate) fn start_with(peer: &Peer, arguments: &[&str]) -> Self {
        let mut child = Command::new(&peer.program)
            .args(["--listen", "127.0.0.1:0"])
            .args(arguments)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim_end().strip_prefix("listening on ").map(str::parse);
        let Some(Ok(address)) = address else { panic!("{} said {line:?}", peer.name) };
        Self { child, address }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
