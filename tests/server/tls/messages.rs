//! Messages over TLS arrive as they were sent.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use corecast::pubsub::Payload;
use rustls::version::{TLS12, TLS13};

use super::Running;
use super::client::{End, TlsClient, noise};
use crate::certificates::Pair;
use crate::support::client::{Client, request_to};
use crate::support::wire::{self, BINARY, FIN};

const SIZES: [usize; 13] =
    [0, 1, 125, 126, 1000, 16_300, 16_384, 16_385, 33_000, 65_535, 65_536, 300_000, 1 << 20];

#[test]
fn messages_of_every_size_come_back() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for version in [&TLS13, &TLS12] {
        let mut client = TlsClient::open(server.tls(), pair.client_of(&[version]), "/");
        assert_eq!(client.tls.protocol_version(), Some(version.version));
        for (size, seed) in SIZES.into_iter().zip(0..) {
            client.echo(&noise(size, seed));
        }
        client.close();
    }
    // The listener without TLS serves beside it.
    Client::open(server.plain()).close();
}

/// Many messages in one record, and each in a record of its own.
#[test]
fn pipelined_messages_come_back_in_order() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let mut client = TlsClient::open(server.tls(), pair.client(), "/");
    let messages: Vec<Vec<u8>> = (0..200).map(|at| noise(at % 40, at as u64)).collect();
    let frames: Vec<Vec<u8>> =
        messages.iter().map(|message| wire::frame(FIN | BINARY, message)).collect();
    client.send(&frames.concat());
    frames.iter().for_each(|frame| client.tls.writer().write_all(frame).unwrap());
    client.flush();
    for message in messages.iter().chain(&messages) {
        assert_eq!(client.read_frame().payload, *message);
    }
    client.close();
}

/// The client's bytes come one by one, from the first of TLS on.
#[test]
fn records_may_come_in_any_pieces() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for version in [&TLS13, &TLS12] {
        let config = std::sync::Arc::new(pair.client_of(&[version]));
        let name = "localhost".try_into().unwrap();
        let mut tls = rustls::ClientConnection::new(config, name).unwrap();
        let mut stream = TcpStream::connect(server.tls()).unwrap();
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        let mut writing = stream.try_clone().unwrap();
        let mut drip = |tls: &mut rustls::ClientConnection| {
            let mut out = Vec::new();
            while tls.wants_write() {
                tls.write_tls(&mut out).unwrap();
            }
            for byte in out {
                writing.write_all(&[byte]).unwrap();
            }
        };
        tls.writer().write_all(&request_to("/", "")).unwrap();
        while tls.is_handshaking() {
            drip(&mut tls);
            assert!(tls.read_tls(&mut stream).unwrap() > 0, "no end within the handshake");
            tls.process_new_packets().unwrap();
        }
        drip(&mut tls);
        let mut answer = Vec::new();
        let mut read_through = |tls: &mut rustls::ClientConnection, end: &[u8]| {
            while !answer.ends_with(end) {
                let state = tls.process_new_packets().unwrap();
                let mut part = vec![0; state.plaintext_bytes_to_read()];
                tls.reader().read_exact(&mut part).unwrap();
                answer.extend(part);
                let is_there = answer.ends_with(end);
                assert!(is_there || tls.read_tls(&mut stream).unwrap() > 0, "{answer:?}");
            }
        };
        read_through(&mut tls, b"\r\n\r\n");
        tls.writer().write_all(&wire::frame(FIN | BINARY, b"drop by drop")).unwrap();
        drip(&mut tls);
        read_through(&mut tls, b"drop by drop");
    }
}

/// Subscribers with TLS and without are sent the same messages in the same order.
#[test]
fn a_published_message_reaches_subscribers_of_both_kinds() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let mut secure: Vec<TlsClient> =
        (0..20).map(|_| TlsClient::open(server.tls(), pair.client(), "/topics/t")).collect();
    let mut plain: Vec<Client> = (0..5)
        .map(|_| {
            let mut client = Client::connect(server.plain());
            client.open_at("/topics/t", "");
            client
        })
        .collect();
    let messages: Vec<Vec<u8>> = [10, 1000, 40_000, 200_000, 3]
        .into_iter()
        .zip(0..)
        .map(|(len, at)| noise(len, at))
        .collect();
    for message in &messages {
        server.0.publish("t", Payload::binary(message.clone())).unwrap();
    }
    for message in &messages {
        secure.iter_mut().for_each(|client| assert!(client.read_frame().payload == *message));
        plain.iter_mut().for_each(|client| assert!(client.read_frame().payload == *message));
    }
    secure.into_iter().for_each(TlsClient::close);
}

/// A plain request over TLS. The server ends the connection as TLS wants it.
#[test]
fn https_is_answered() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let mut client = TlsClient::connect(server.tls(), pair.client());
    client.send(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n");
    let (answer, end) = client.read_to_end();
    assert!(answer.starts_with(b"HTTP/1.1 200 OK\r\n") && answer.ends_with(b"\r\n\r\nok\n"));
    assert_eq!(end, End::Notified);
}

/// The page of the server names its addresses as a client over TLS needs them.
#[test]
fn the_page_names_addresses_with_tls() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    let mut client = TlsClient::connect(server.tls(), pair.client());
    client.send(b"GET / HTTP/1.1\r\nHost: a:1\r\nConnection: close\r\n\r\n");
    let (answer, end) = client.read_to_end();
    let answer = String::from_utf8(answer).unwrap();
    assert!(
        answer.contains("wss://a:1/echo") && answer.contains("https://a:1/healthz"),
        "{answer}"
    );
    assert!(!answer.contains(" ws://") && !answer.contains("\nws://"), "{answer}");
    assert_eq!(end, End::Notified);
}
