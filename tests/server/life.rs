//! Stopping, draining, reloading and restarting a server.

mod blocked;
mod drain;
#[cfg(all(feature = "auth-url", feature = "tls"))]
mod fixed;
mod handover;
mod level;
mod library;
mod notify;
mod reload;

use std::net::SocketAddr;
use std::time::Duration;

use crate::support::client::Client;

/// For what should happen soon, on a machine with much else to do.
const LIMIT: Duration = Duration::from_secs(20);

/// Asks the admin listener; returns the status and the body.
fn ask(admin: SocketAddr, method: &str, target: &str) -> (u16, String) {
    let mut client = Client::connect(admin);
    client.send(format!("{method} {target} HTTP/1.0\r\nHost: localhost\r\n\r\n").as_bytes());
    let head = client.read_head();
    let status = head.status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap();
    let (body, _) = client.read_to_end(LIMIT);
    (status, String::from_utf8(body).unwrap())
}
