//! Goal: the requests of one connection are handled and answered in order, in whatever segments
//! they arrive, also around requests that wait for other cores; the end of the connection comes
//! after all of them. Method: sequences of requests with known answers and deliveries, in one
//! segment and split at every byte, with a close frame, FIN or a reset after them, on one core and
//! on two.

use std::net::SocketAddr;
use std::time::Duration;

use corecast::server::allowed_cores;
use rustix::process::Signal;

use crate::pubsub::common::{Json, delivery};
use crate::pubsub::script::{Ask, Publish, SEQUENCES, Script, random_sequence};
use crate::support::client::{Client, End};
use crate::support::host::wait_until;
use crate::support::server::Server;
use crate::support::wire::{self, CLOSE, FIN, PONG, TEXT};

const LIMIT: Duration = Duration::from_secs(10);

/// A server on one core, and one on all cores.
fn servers() -> [Server; 2] {
    let first = allowed_cores()[0].to_string();
    [Server::start(&["--cores", &first]), Server::start(&[])]
}

/// Reads `count` frames.
fn read(client: &mut Client, count: usize) -> Vec<wire::Frame> {
    (0..count).map(|_| client.read_frame()).collect()
}

fn open(addr: SocketAddr) -> Client {
    Json::open(addr).client
}

#[test]
fn requests_in_one_segment_are_handled_in_order() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    for (cores, server) in servers().iter().enumerate() {
        // Enough that there are connections on all cores.
        for round in 0..120 {
            let sequence = match SEQUENCES.get(round / 4) {
                Some(sequence) => sequence.to_vec(),
                None => random_sequence(&mut random),
            };
            let script = Script::new(&format!("{cores}/{round}/"), &sequence);
            let mut client = open(server.addr());
            client.send(&script.sent);
            let frames = read(&mut client, script.expected.len());
            script.check(&frames, false, &format!("seed {seed}, {cores}, {sequence:?}"));
            client.expect_alive();
        }
    }
}

#[test]
fn a_split_at_any_byte_makes_no_difference() {
    for (cores, server) in servers().iter().enumerate() {
        let sequence =
            &[Ask::Subscribe("x"), Publish("x"), Ask::Wrong(r#""x":1"#), Ask::Unsubscribe("x")][..];
        let mut client = open(server.addr());
        let len = Script::new("0/000/", sequence).sent.len();
        for cut in 1..len {
            let script = Script::new(&format!("{cores}/{cut:03}/"), sequence);
            client.send(&script.sent[..cut]);
            // In most cases the server receives the parts separately.
            std::thread::sleep(Duration::from_micros(100));
            client.send(&script.sent[cut..]);
            let frames = read(&mut client, script.expected.len());
            script.check(&frames, false, &format!("{cores}, cut at {cut}"));
        }
        client.expect_alive();
    }
}

/// The end of the connection after the requests.
#[derive(Clone, Copy, Debug)]
enum Ending {
    Close,
    Fin,
    /// A frame that breaks a rule: a reserved opcode.
    Violation,
}

/// All frames until the end, and the payload of the close frame if there is one.
fn read_to_end(client: &mut Client, what: &str) -> (Vec<wire::Frame>, Option<Vec<u8>>) {
    let (bytes, end) = client.read_to_end(LIMIT);
    assert_eq!(end, End::Fin, "{what}: {}", bytes.escape_ascii());
    let (mut frames, rest) = wire::server_frames(&bytes);
    assert!(rest.is_empty(), "{what}");
    let close = frames.pop_if(|frame| frame.first == FIN | CLOSE).map(|frame| frame.payload);
    (frames, close)
}

#[test]
fn the_end_of_the_connection_waits_for_all_requests() {
    for (cores, server) in servers().iter().enumerate() {
        // The messages are published, whatever end follows them.
        let mut witness = Json::subscribed(server.addr(), &["#"]);
        let mut round = 0;
        for ending in [Ending::Close, Ending::Fin, Ending::Violation] {
            for delay in [None, Some(Duration::ZERO), Some(Duration::from_millis(1))] {
                for sequence in SEQUENCES.iter().cycle().take(36) {
                    round += 1;
                    let prefix = format!("{cores}/{round}/");
                    let what = format!("{cores}, {ending:?} after {delay:?}, {sequence:?}");
                    let script = Script::new(&prefix, sequence);
                    let mut client = open(server.addr());
                    let last = match ending {
                        Ending::Close => wire::close(1000, "bye"),
                        Ending::Fin => Vec::new(),
                        Ending::Violation => wire::frame(FIN | 0x3, b""),
                    };
                    match delay {
                        None => client.send(&[&script.sent[..], &last].concat()),
                        Some(delay) => {
                            client.send(&script.sent);
                            std::thread::sleep(delay);
                            client.send(&last);
                        }
                    }
                    if matches!(ending, Ending::Fin) {
                        client.finish();
                    }
                    let (frames, close) = read_to_end(&mut client, &what);
                    script.check(&frames, true, &what);
                    match (ending, close) {
                        (Ending::Close, Some(close)) => {
                            assert_eq!(close, wire::close_payload(1000, b"bye"), "{what}");
                        }
                        (Ending::Violation, Some(close)) => {
                            assert_eq!(close[..2], 1002_u16.to_be_bytes(), "{what}");
                        }
                        (Ending::Fin, None) => {}
                        (_, close) => panic!("{what}: {close:?}"),
                    }
                    let mut published = script.published();
                    for _ in 0..published.len() {
                        let said = witness.read();
                        let at = published.iter().position(|text| *text == said);
                        // Messages of one topic are in order; there is no order between topics.
                        let at = at.unwrap_or_else(|| panic!("{what}: {said}"));
                        let topic = |text: &str| text.split(',').next().map(str::to_owned);
                        let first = published.iter().position(|text| topic(text) == topic(&said));
                        assert_eq!(first, Some(at), "{what}: {said}");
                        published.remove(at);
                    }
                }
            }
        }
        drop(witness);
        server.await_no_connections(LIMIT);
    }
}

#[test]
fn the_order_of_each_connection_is_kept_with_many_at_once() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    for (cores, server) in servers().iter().enumerate() {
        let addr = server.addr();
        let threads: Vec<_> = (0..8_u64)
            .map(|who| {
                std::thread::spawn(move || {
                    let mut random = fastrand::Rng::with_seed(seed ^ who);
                    let mut clients: Vec<Client> = (0..6).map(|_| open(addr)).collect();
                    for round in 0..20 {
                        let scripts: Vec<(Vec<Ask>, Script)> = (0..clients.len())
                            .map(|number| {
                                let prefix = format!("{who}/{round}/{number}/");
                                let sequence = random_sequence(&mut random);
                                let script = Script::new(&prefix, &sequence);
                                (sequence, script)
                            })
                            .collect();
                        for (client, (_, script)) in clients.iter_mut().zip(&scripts) {
                            client.send_in_steps(&script.sent, random.usize(20..2000));
                        }
                        for (client, (sequence, script)) in clients.iter_mut().zip(&scripts) {
                            let frames = read(client, script.expected.len());
                            let what =
                                format!("seed {seed}, {cores}, {who}, {round}, {sequence:?}");
                            script.check(&frames, false, &what);
                        }
                    }
                    clients.into_iter().for_each(Client::close);
                })
            })
            .collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        server.await_no_connections(LIMIT);
    }
}

/// After the reset of a connection whose subscription waits, all resources are released, and no
/// other connection waits for it.
#[test]
fn a_reset_while_a_subscription_waits_releases_everything() {
    for server in servers() {
        let mut other = Json::open(server.addr());
        for round in 0..200 {
            let mut client = open(server.addr());
            let script = Script::new("r/", SEQUENCES[round % SEQUENCES.len()]);
            client.send(&script.sent);
            if round % 3 == 0 {
                std::thread::sleep(Duration::from_micros(50));
            }
            client.reset();
            other.subscribe(&["r/x"]);
            let answer = other.ask(r#"{"unsubscribe":"r/x","id":1}"#);
            assert_eq!(answer, r#"{"unsubscribed":["r/x"],"id":1}"#);
        }
        drop(other);
        server.await_no_connections(LIMIT);
        // Both topics have no subscribers any more: a new one is the only one.
        let mut last = Json::subscribed(server.addr(), &["r/+"]);
        last.publish("r/x", "1", "");
        last.expect(&delivery("r/x", "1"));
        last.expect_nothing();
    }
}

/// A server that stops closes all connections with 1001, also those with waiting requests, and
/// ends.
#[test]
fn a_stopping_server_does_not_wait_for_subscriptions() {
    for mut server in servers() {
        let mut clients: Vec<Client> = (0..40).map(|_| open(server.addr())).collect();
        for (number, client) in clients.iter_mut().enumerate() {
            client.send(&Script::new(&format!("{number}/"), SEQUENCES[number % 12]).sent);
        }
        server.signal(Signal::TERM);
        for client in &mut clients {
            let close = loop {
                match client.try_read_frame(LIMIT) {
                    Ok(frame) if frame.first == FIN | CLOSE => break frame,
                    Ok(frame) => {
                        assert!([FIN | TEXT, FIN | PONG].contains(&frame.first), "{frame:?}")
                    }
                    Err(other) => panic!("no close frame, but {other:?}"),
                }
            };
            assert_eq!(close.payload[..2], 1001_u16.to_be_bytes());
            client.send(&wire::close(1001, ""));
        }
        assert!(wait_until(LIMIT, || !server.is_running()));
        assert!(server.wait(LIMIT).expect("an end").success());
    }
}
