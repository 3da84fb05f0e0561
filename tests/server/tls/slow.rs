//! Peers that do not read: what is encrypted waits, and arrives whole once they read.

use std::io::Write;
use std::time::Duration;

use corecast::config::Config;
use corecast::pubsub::Payload;
use rustls::version::{TLS12, TLS13};

use super::Running;
use super::client::{TlsClient, noise};
use crate::certificates::Pair;
use crate::support::wire::{self, BINARY, FIN};

/// Echoes of 16 MB to a client that sends all of it before it reads anything.
#[test]
fn echoes_wait_for_a_client_that_does_not_read() {
    let pair = Pair::new(&["localhost"]);
    let server = Running::start(&pair);
    for version in [&TLS13, &TLS12] {
        let client = TlsClient::open(server.tls(), pair.client_of(&[version]), "/");
        let messages: Vec<Vec<u8>> = (0..64).map(|at| noise(250_000 + at * 7, at as u64)).collect();
        let frames: Vec<u8> =
            messages.iter().flat_map(|message| wire::frame(FIN | BINARY, message)).collect();
        // Reading and writing go through one connection, so all is encrypted first.
        let TlsClient { mut tls, stream, .. } = client;
        tls.set_buffer_limit(None);
        Write::write_all(&mut tls.writer(), &frames).unwrap();
        let mut records = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut records).unwrap();
        }
        let mut writing = stream.try_clone().unwrap();
        let writer = std::thread::spawn(move || {
            Write::write_all(&mut writing, &records).unwrap();
        });
        std::thread::sleep(Duration::from_millis(300));
        let mut client = TlsClient::of(tls, stream);
        for message in &messages {
            assert!(client.read_frame().payload == *message);
        }
        writer.join().unwrap();
        client.close();
    }
}

/// Clients that hold most of the memory by parts of records, and send no more, cost nobody the
/// connection who sends a large message.
#[test]
fn parts_of_records_are_held_for_a_second() {
    const LIMIT: usize = 16 << 20;
    let pair = Pair::p256(&["localhost"]);
    let mut config = Config::default();
    config.limits.memory = LIMIT;
    let server = Running::start_on_one_core(pair.tls(), config);
    let worker = || server.0.stats()[0].worker;
    let mut silent = Vec::new();
    while silent.len() < 1_200 && worker().memory < LIMIT as u64 / 8 * 7 - 100_000 {
        let mut client = TlsClient::open(server.tls(), pair.client(), "/");
        let mut record = vec![0x17, 3, 3, 0x40, 0];
        record.resize(16_000, 0);
        client.stream.write_all(&record).unwrap();
        silent.push(client);
    }
    assert!((400..1_200).contains(&silent.len()), "{}", silent.len());
    // Those who have sent something in the last second are not slow yet.
    std::thread::sleep(Duration::from_millis(1_200));
    let mut client = TlsClient::open(server.tls(), pair.client(), "/");
    let message = noise(900_000, 7);
    let frame = wire::frame(FIN | BINARY, &message);
    // Those who are silent have their second while parts of it come.
    for part in frame.chunks(frame.len() / 15) {
        client.send(part);
        std::thread::sleep(Duration::from_millis(100));
    }
    let echo = client.read_frame();
    assert!(echo.payload == message, "{:?}", echo.payload.len().min(130));
    client.close();
    assert!(worker().shed > 5, "{}", worker().shed);
}

/// Large messages for many subscribers, of whom some begin to read late.
#[test]
fn broadcasts_wait_for_subscribers_that_do_not_read() {
    let pair = Pair::new(&["localhost"]);
    let mut config = Config::default();
    config.pubsub.queue = 64 << 20;
    let server = Running::start_with(pair.tls(), config);
    let mut clients: Vec<TlsClient> =
        (0..8).map(|_| TlsClient::open(server.tls(), pair.client(), "/topics/t")).collect();
    let messages: Vec<Vec<u8>> =
        (0..24).map(|at| noise([1 << 20, 65_000, 300_000, 50][at % 4], at as u64)).collect();
    for message in &messages {
        let publish = || server.0.publish("t", Payload::binary(message.clone()));
        while publish().is_err() {
            std::thread::sleep(Duration::from_millis(5));
        }
    }
    std::thread::sleep(Duration::from_millis(300));
    for client in &mut clients {
        for message in &messages {
            assert!(client.read_frame().payload == *message);
        }
    }
    clients.into_iter().for_each(TlsClient::close);
}
