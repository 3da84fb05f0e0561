//! Peers that do not speak TLS, or break it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Stdio;
use std::sync::Arc;

use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error};

use super::Running;
use super::client::{End, TlsClient, noise};
use crate::certificates::Pair;
use crate::support::client::{Client, PATIENCE};
use crate::support::host;
use crate::support::wire::{self, BINARY, FIN};

/// A client of TLS at a plain listener is told in its own language.
#[test]
fn tls_to_a_plain_listener_gets_an_alert() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for version in [&TLS13, &TLS12] {
        let config = Arc::new(pair.client_of(&[version]));
        let refused = TlsClient::try_connect(server.plain(), &config, "localhost").err();
        assert_eq!(refused, Some(Error::AlertReceived(AlertDescription::HandshakeFailure)));
    }
}

/// A client of HTTP at a listener with TLS too.
#[test]
fn http_to_a_listener_with_tls_is_told_so() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for request in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "POST / HTTP/1.1\r\nHost: a\r\n\r\nbody"] {
        let mut client = Client::connect(server.tls());
        client.send(request.as_bytes());
        let (answer, _) = client.read_to_end(PATIENCE);
        let answer = String::from_utf8(answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(head.contains(&format!("Content-Length: {}\r\n", body.len())), "{answer}");
        assert!(body.contains("https://") && body.contains("wss://"), "{answer}");
    }
}

/// The connection ends with an alert, whatever was broken.
#[test]
fn broken_records_end_the_connection() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for (record, alert) in [
        // Application data that cannot be decrypted.
        ([&[23, 3, 3, 0, 40][..], &[7; 40]].concat(), AlertDescription::BadRecordMac),
        // A record of a type that there is not.
        (vec![99, 3, 3, 0, 1, 0], AlertDescription::DecodeError),
    ] {
        let mut client = TlsClient::open(server.tls(), pair.client(), "/");
        client.echo(b"so far");
        client.stream.write_all(&record).unwrap();
        let error = loop {
            assert!(client.tls.read_tls(&mut client.stream).unwrap() > 0, "no alert");
            if let Err(error) = client.tls.process_new_packets() {
                break error;
            }
        };
        if alert == AlertDescription::BadRecordMac {
            assert_eq!(error, Error::AlertReceived(alert));
        } else {
            assert!(matches!(error, Error::AlertReceived(_)), "{error}");
        }
        let mut rest = Vec::new();
        client.stream.read_to_end(&mut rest).unwrap();
    }
}

/// Nothing of a handshake, or too much of one: the connection ends, and nobody else is affected.
#[test]
fn a_handshake_that_is_none_ends_the_connection() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let long = [&[22, 3, 1, 0x40, 0, 1, 0, 0xff, 0xff][..], &[0; 100_000]].concat();
    for bytes in [noise(3000, 1), vec![22, 3, 1, 0xff, 0xff], vec![22, 3, 1, 0, 0], long] {
        let mut stream = TcpStream::connect(server.tls()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        // The server may end it before it has read everything.
        let _ = stream.write_all(&bytes);
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.len() < 10 && !answer.starts_with(b"HTTP"), "{answer:?}");
    }
    TlsClient::open(server.tls(), pair.client(), "/").close();
}

/// Keys are updated while messages pass.
#[test]
fn clients_may_update_their_keys() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let mut client = TlsClient::open(server.tls(), pair.client_of(&[&TLS13]), "/");
    for at in 0..40_u8 {
        client.tls.refresh_traffic_keys().unwrap();
        client.echo(&[at; 20_000]);
    }
    client.close();
}

/// A new handshake within a connection of TLS 1.2 is refused (RFC 5746 leaves that open).
#[test]
fn renegotiation_is_refused() {
    let pair = Pair::p256(&["localhost"]);
    let server = Running::start(&pair);
    let mut command = host::tool("openssl");
    command.args(["s_client", "-tls1_2", "-connect", &server.tls().to_string()]);
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A line that is `R` alone has it renegotiate.
    let mut input = child.stdin.take().unwrap();
    input.write_all(b"R\n").unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    drop(input);
    let _ = child.wait();
    assert!(said.contains("RENEGOTIATING") && said.contains("no renegotiation"), "{said}");
    TlsClient::open(server.tls(), pair.client(), "/").close();
}

/// After TCP has ended without the end of TLS nothing is answered; after that of TLS, all is.
#[test]
fn an_end_of_tcp_alone_is_no_end() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let messages = || wire::frame(FIN | BINARY, &[7; 1000]).repeat(50);
    let mut whole = TlsClient::open(server.tls(), pair.client(), "/");
    whole.send(&messages());
    whole.tls.send_close_notify();
    whole.flush();
    let (answer, end) = whole.read_to_end();
    assert_eq!((answer.len(), end), (50 * 1004, End::Notified));
    let mut cut = TlsClient::open(server.tls(), pair.client(), "/");
    cut.echo(b"so far");
    cut.stream.shutdown(std::net::Shutdown::Write).unwrap();
    let (answer, end) = cut.read_to_end();
    assert!(answer.is_empty() && end != End::Notified, "{} bytes, {end:?}", answer.len());
}
