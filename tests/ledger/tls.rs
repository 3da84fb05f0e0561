//! Connections with TLS as holders.

#[path = "../support/certificates.rs"]
mod certificates;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::{Arc, PoisonError};

use corecast::config::Config;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection};

use super::support::client::{PATIENCE, request_to};
use super::support::library::Embedded;
use super::{SERIAL, agree_on};
use certificates::Pair;

/// A block of the tables by slot, which grow by blocks.
const COUNT: usize = 1_000;
/// A loop keeps room for the expanded keys of 1,024 connections.
const KEYS: usize = 1_024 * 1_200;

/// An open WebSocket. What the client has allocated for it is freed, so that only the server holds
/// something.
fn open(server: &Embedded, config: &Arc<ClientConfig>) -> TcpStream {
    let mut stream = TcpStream::connect(server.handle().addresses()[1]).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let name = "localhost".try_into().unwrap();
    let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
    tls.writer().write_all(&request_to("/", "")).unwrap();
    let mut answer = [0; 12];
    rustls::Stream::new(&mut tls, &mut stream).read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 101");
    stream
}

#[test]
fn tls_connections() {
    let _serial = SERIAL.lock().unwrap_or_else(PoisonError::into_inner);
    let pair = Pair::new(&["localhost"]);
    for version in [&TLS13, &TLS12] {
        let server = Embedded::start_tls(Config::default(), pair.tls());
        let hold = |server: &Embedded| {
            let mut config = pair.client_of(&[version]);
            config.resumption = rustls::client::Resumption::disabled();
            let config = Arc::new(config);
            (0..COUNT).map(|_| open(server, &config)).collect::<Vec<TcpStream>>()
        };
        let kind = format!("{version:?}");
        let kind = &kind[..20.min(kind.len())];
        agree_on(kind, &server, COUNT * 1000, hold, |_, c| drop(c), KEYS);
    }
}
