//! What many connections hold together: filters on one core and on two, and replies that nobody
//! reads.

use std::io::{ErrorKind, Write};
use std::net::TcpStream;
use std::sync::PoisonError;
use std::time::Duration;

use corecast::config::Config;

use super::support::client::Client;
use super::support::library::Embedded;
use super::support::wire::{self, BINARY, FIN, TEXT};
use super::{MIB, SERIAL, agree, agree_on, open, send};

/// The connections that subscribe, the filters of each, and the most vectors that a loop keeps of
/// requests, which nobody is charged.
const CONNECTIONS: usize = 200;
const FILTERS: usize = 64;
const REQUEST: usize = 4 << 10;

/// Subscribes to filters whose names end with `behind`, in requests of bounded length: long ones
/// leave long vectors behind for reuse.
fn subscribe(server: &Embedded, client: usize, behind: &str) -> TcpStream {
    let stream = open(server, "/pubsub", "");
    let names: Vec<String> =
        (0..FILTERS).map(|number| format!("{client}/{number}{behind}")).collect();
    for names in names.chunks((REQUEST / (behind.len() + 10)).min(FILTERS)) {
        let names = serde_json::to_string(names).unwrap();
        send(&stream, &wire::frame(FIN | TEXT, format!("{{\"subscribe\":{names}}}").as_bytes()));
    }
    stream
}

/// Each core knows of the filters of the other, whose names are the same memory.
#[test]
fn many_filters_of_each_connection() {
    let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
    let long = "y".repeat(200);
    for cores in [1, 2] {
        for behind in ["", &long, "/+"] {
            let kind = format!("filters of {} bytes on {cores} cores", behind.len() + 6);
            let server = Embedded::start_on(Config::default(), cores);
            let hold = |server: &Embedded| {
                let one = |client| subscribe(server, client, behind);
                (0..CONNECTIONS).map(one).collect::<Vec<_>>()
            };
            agree_on(&kind, &server, 2 * MIB, hold, |_, clients| drop(clients), 0);
        }
    }
}

/// Sends until the server takes no more.
fn fill(stream: TcpStream, bytes: &[u8]) -> TcpStream {
    stream.set_nonblocking(true).unwrap();
    let mut waits = 0;
    let mut at = 0;
    while waits < 20 {
        match (&stream).write(&bytes[at..]) {
            Ok(sent) => (at, waits) = ((at + sent) % bytes.len(), 0),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                std::thread::sleep(Duration::from_millis(1));
                waits += 1;
            }
            Err(error) => panic!("{error}"),
        }
    }
    stream
}

#[test]
fn replies_that_nobody_reads() {
    let message = wire::frame(FIN | BINARY, &[b'x'; 60_000]);
    agree("echoes", Config::default(), 10 * MIB, |server| {
        (0..80).map(|_| fill(open(server, "/", ""), &message)).collect()
    });
    let requests = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n".repeat(500);
    agree("answers", Config::default(), 4 * MIB, |server| {
        let connect = || Client::connect_narrow(server.addr(), 4096).into_stream();
        (0..30).map(|_| fill(connect(), &requests)).collect()
    });
}
