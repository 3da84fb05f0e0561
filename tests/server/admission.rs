//! Goal: no address has more connections than it may, or begins them faster, on whichever core they
//! arrive, and no more handshakes are in progress than may be. Who is refused is told so.
//! Method: a server in the test's own process, and clients from several addresses of loopback, or
//! from those that a proxy names.

mod addresses;
mod handshakes;
mod proxies;
mod rate;

use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::backend;
use crate::support::client::{Client, PATIENCE, request};
use crate::support::host::wait_until;
use corecast::app::echo::Echo;
use corecast::config::Config;
use corecast::gateway::AddressCounts;
use corecast::server::{CoreStats, Listen, ServerHandle};
use corecast::worker::LimitCounts;

const TOO_MANY: &str = "Your address has too many connections; close some.\n";
const TOO_OFTEN: &str = "Your address connects too often; try again later.\n";
const FULL: &str = "The server is full or stopping; try again later.\n";

/// A server on all cores that are there, two at most. Stops when dropped.
struct Limited(ServerHandle);

impl Limited {
    fn start(change: impl FnOnce(&mut Config)) -> Self {
        Self::start_on(&[Listen::tcp(SocketAddr::from(([127, 0, 0, 1], 0)))], 2, change)
    }

    fn start_on(listen: &[Listen], cores: usize, change: impl FnOnce(&mut Config)) -> Self {
        let mut config = Config::default();
        change(&mut config);
        let mut allowed = corecast::server::allowed_cores();
        allowed.truncate(cores);
        let server =
            listen.iter().cloned().fold(backend::server(config), |it, at| it.listen_on(at));
        Self(server.cores(allowed).start(|_, _| Echo).unwrap())
    }

    fn addr(&self) -> SocketAddr {
        self.0.addresses()[0]
    }

    /// The counters of all loops. One that does not answer at once, on a busy machine, is asked
    /// again.
    fn stats(&self) -> Vec<CoreStats> {
        let mut stats = Vec::new();
        let all = self.0.cores().len();
        let is_complete = wait_until(PATIENCE, || {
            stats = self.0.stats();
            stats.len() == all
        });
        assert!(is_complete, "{} of {all} loops answer", stats.len());
        stats
    }

    /// The refusals by address, and by limits of a loop, on all loops.
    fn counts(&self) -> (AddressCounts, LimitCounts) {
        let (mut addresses, mut limits) = (AddressCounts::default(), LimitCounts::default());
        for one in self.stats() {
            addresses.connections += one.addresses.connections;
            addresses.handshakes += one.addresses.handshakes;
            limits.connections += one.worker.limits.connections;
            limits.handshakes += one.worker.limits.handshakes;
        }
        (addresses, limits)
    }

    fn connections(&self) -> usize {
        self.stats().iter().map(|one| one.connections).sum()
    }

    fn await_connections(&self, count: usize) {
        let met = wait_until(PATIENCE, || self.connections() == count);
        assert!(met, "{} connections instead of {count}", self.connections());
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.0.stop();
        let _ = self.0.join();
    }
}

/// A connection from this address of loopback.
fn connect_from(address: [u8; 4], to: SocketAddr) -> Client {
    use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    bind(&socket, &SocketAddr::from((Ipv4Addr::from(address), 0))).unwrap();
    connect(&socket, &to).unwrap();
    Client::from_stream(TcpStream::from(socket))
}

/// Sends a handshake with this in front of it, and these header lines. Returns the status; of one
/// that is refused the line is this.
fn ask(client: &mut Client, before: &[u8], headers: &str) -> (u16, String) {
    client.send(&[before, &request(headers)].concat());
    let head = client.read_head();
    let status = head.status.split(' ').nth(1).unwrap().parse().unwrap();
    let line = match head.get("Content-Length") {
        Some(len) => String::from_utf8(client.read_bytes(len.parse().unwrap())).unwrap(),
        None => String::new(),
    };
    if status != 101 {
        assert_eq!(head.get("Retry-After"), Some("1"), "{head:?}");
        assert_eq!(head.get("Connection"), Some("close"), "{head:?}");
    }
    (status, line)
}

/// An open WebSocket from this address.
fn open_from(address: [u8; 4], to: SocketAddr) -> Client {
    let mut client = connect_from(address, to);
    assert_eq!(ask(&mut client, b"", "").0, 101, "{address:?}");
    client
}

fn refused(line: &str, status: u16) -> (u16, String) {
    (status, line.to_owned())
}
