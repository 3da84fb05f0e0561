//! Goal: a subscriber that does not read is handled by the policy, gets the number and position of
//! its lost messages, and does not affect others; its pings are answered. Method: subscribers with
//! small receive buffers that stop reading while messages are published, next to some that keep
//! reading. Then they read again, and all numbers must add up.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use corecast::config::Config;
use serde_json::Value;

use crate::pubsub::common::{Json, text};
use crate::pubsub::many_clients::expect_all;
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, CLOSE, FIN, PING, PONG, TEXT};

const TOPICS: [&str; 3] = ["s/a", "s/b", "s/c"];
/// The number of messages of each topic, and the bytes of each: far more than the queue and the
/// sockets hold.
const MESSAGES: u64 = 400;
const SIZE: usize = 4_000;
/// The number of messages of each topic that the keen readers may be behind.
const AHEAD: u64 = 5;
const NARROW: usize = 4 << 10;
const LIMIT: Duration = Duration::from_secs(15);

fn narrow(server: &Server) -> Json {
    let mut json = Json::on(Client::connect_narrow(server.addr(), NARROW));
    json.subscribe(&["s/+"]);
    json
}

/// The messages of a topic that one subscriber has received.
#[derive(Debug, Default)]
struct Tally {
    got: u64,
    lost: u64,
    /// The number of the message that must come next; it increases with each message received or
    /// lost.
    next: u64,
}

#[derive(Debug, Default)]
struct Received {
    topics: BTreeMap<String, Tally>,
    gaps: u64,
}

impl Received {
    fn receive(&mut self, frame: &wire::Frame) {
        assert_eq!(frame.first, FIN | TEXT, "{frame:?}");
        let message: Value = serde_json::from_slice(&frame.payload).unwrap();
        if let Some(topic) = message["gap"].as_str() {
            let tally = self.topics.entry(topic.to_owned()).or_default();
            let lost = message["lost"].as_u64().unwrap();
            assert!(lost > 0);
            (tally.lost, tally.next, self.gaps) =
                (tally.lost + lost, tally.next + lost, self.gaps + 1);
        } else {
            let tally =
                self.topics.entry(message["topic"].as_str().unwrap().to_owned()).or_default();
            // A gap is at the position of its messages, so the numbers have no holes.
            assert_eq!(message["data"][0].as_u64(), Some(tally.next), "{message:.60}");
            (tally.got, tally.next) = (tally.got + 1, tally.next + 1);
        }
    }

    fn is_whole(&self) -> bool {
        TOPICS.iter().all(|topic| self.topics.get(*topic).is_some_and(|t| t.next == MESSAGES))
    }

    fn sum(&self, count: impl Fn(&Tally) -> u64) -> u64 {
        self.topics.values().map(count).sum()
    }
}

/// Publishes everything, and keeps within a socket buffer of those in `keen`, which read everything
/// and lose nothing.
fn flow(server: &Server, keen: &mut [Client]) {
    let addr = server.addr();
    let slowest = Arc::new(AtomicU64::new(0));
    let publishers = TOPICS.map(|topic| {
        let (mut json, slowest) = (Json::open(addr), Arc::clone(&slowest));
        std::thread::spawn(move || {
            let filler = "f".repeat(SIZE);
            for number in 0..MESSAGES {
                let is_near = || number < slowest.load(Ordering::Relaxed) + AHEAD;
                assert!(wait_until(LIMIT, is_near), "a keen reader has stopped");
                json.publish(topic, &format!(r#"[{number},"{filler}"]"#), "");
            }
        })
    });
    let mut heard: Vec<Received> = keen.iter().map(|_| Received::default()).collect();
    expect_all(keen, LIMIT, |number, frame| {
        heard[number].receive(&frame);
        let least = |heard: &Received| TOPICS.map(|t| heard.topics.get(t).map_or(0, |t| t.next));
        let least = heard.iter().flat_map(least).min();
        slowest.store(least.unwrap(), Ordering::Relaxed);
        heard[number].is_whole()
    });
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    assert_eq!(heard.iter().map(|heard| heard.gaps).sum::<u64>(), 0, "a keen reader lost some");
}

/// The messages that stalled subscribers receive once they read again, with a pong in between.
fn stall(policy: &str) -> Vec<Received> {
    let server = Server::start(&["--slow-consumer", policy, "--subscriber-queue", "64KiB"]);
    let mut stalled: Vec<Json> = (0..6).map(|_| narrow(&server)).collect();
    let mut keen: Vec<Client> =
        (0..10).map(|_| Json::subscribed(server.addr(), &["s/#"]).client).collect();
    flow(&server, &mut keen);
    let ping = wire::frame(FIN | PING, b"from one who does not read");
    stalled.iter_mut().for_each(|json| json.client.send(&ping));
    let mut clients: Vec<Client> = stalled.into_iter().map(|json| json.client).collect();
    let mut heard: Vec<Received> = clients.iter().map(|_| Received::default()).collect();
    let mut pongs = vec![0; clients.len()];
    expect_all(&mut clients, LIMIT, |number, frame| {
        if frame.first == FIN | PONG {
            assert_eq!(frame.payload, b"from one who does not read");
            pongs[number] += 1;
        } else {
            heard[number].receive(&frame);
        }
        heard[number].is_whole() && pongs[number] == 1
    });
    for (heard, mut client) in heard.iter().zip(clients) {
        let (got, lost) = (heard.sum(|t| t.got), heard.sum(|t| t.lost));
        assert_eq!(got + lost, MESSAGES * 3, "{policy}: {heard:?}");
        assert!(got > 0 && lost > MESSAGES / 4, "{policy}: no reader was slow: {heard:?}");
        // Nothing is reported twice, and new messages arrive.
        client.expect_alive();
        client.send(&text(r#"{"publish":"z","data":1,"id":2}"#));
        client.expect(&wire::unmasked(FIN | TEXT, br#"{"published":"z","id":2}"#));
        client.close();
    }
    heard
}

#[test]
fn drop_newest_reports_losses_after_the_first_messages() {
    for heard in stall("drop-newest") {
        // The first messages arrive, and the losses come after them.
        assert!(heard.topics.values().any(|tally| tally.got > 3), "{heard:?}");
    }
}

#[test]
fn drop_oldest_reports_losses_before_the_last_messages() {
    for heard in stall("drop-oldest") {
        assert!(heard.gaps >= 2, "{heard:?}");
        assert!(heard.topics.values().any(|tally| tally.got > 3), "{heard:?}");
    }
}

#[test]
fn conflate_keeps_the_last_of_each_topic() {
    // `Received` requires that every message was received or reported as lost; here the last one of
    // each topic must be received.
    let server = Server::start(&["--slow-consumer", "conflate", "--subscriber-queue", "64KiB"]);
    let mut stalled: Vec<Json> = (0..6).map(|_| narrow(&server)).collect();
    let mut json = Json::open(server.addr());
    let filler = "f".repeat(SIZE);
    for number in 0..MESSAGES {
        for topic in TOPICS {
            json.publish(topic, &format!(r#"[{number},"{filler}"]"#), "");
        }
    }
    for stalled in &mut stalled {
        let (mut heard, mut last) = (Received::default(), BTreeMap::new());
        while !heard.is_whole() || last.values().any(|number| *number + 1 != MESSAGES) {
            let frame = stalled.client.read_frame();
            heard.receive(&frame);
            let message: Value = serde_json::from_slice(&frame.payload).unwrap();
            if let Some(topic) = message["topic"].as_str() {
                last.insert(topic.to_owned(), message["data"][0].as_u64().unwrap());
            }
        }
        assert_eq!(last.values().copied().collect::<Vec<_>>(), [MESSAGES - 1; 3]);
        assert!(heard.sum(|t| t.lost) > MESSAGES / 4, "no reader was slow: {heard:?}");
        stalled.expect_nothing();
    }
}

#[test]
fn close_ends_with_1013_and_others_lose_nothing() {
    let server = Server::start(&["--subscriber-queue", "64KiB"]);
    let mut stalled: Vec<Json> = (0..6).map(|_| narrow(&server)).collect();
    let mut keen: Vec<Client> =
        (0..10).map(|_| Json::subscribed(server.addr(), &["s/#"]).client).collect();
    flow(&server, &mut keen);
    for stalled in &mut stalled {
        let mut heard = Received::default();
        let close = loop {
            match stalled.client.try_read_frame(LIMIT) {
                Ok(frame) if frame.first == FIN | CLOSE => break frame,
                Ok(frame) => heard.receive(&frame),
                Err(other) => panic!("no close frame, but {other:?}"),
            }
        };
        // The messages up to the close frame have no gap.
        assert!(heard.gaps == 0 && !heard.is_whole(), "{heard:?}");
        assert_eq!(close.payload, wire::close_payload(1013, b"reads too slowly"));
        stalled.client.send(&wire::close(1013, ""));
        stalled.client.expect_end(b"");
    }
    keen.into_iter().for_each(Client::close);
    drop(stalled);
    server.await_no_connections(LIMIT);
}

#[test]
fn messages_lost_by_a_closed_subscriber_are_counted() {
    const QUEUE: usize = 64 << 10;
    let mut config = Config::default();
    config.pubsub.queue = QUEUE;
    let server = Embedded::start_on(config, 1);
    let mut client = Client::connect_narrow(server.addr(), NARROW);
    client.open_at("/topics/c?role=sub", "");
    let mut publisher = Json::open(server.addr());
    let filler = "f".repeat(SIZE - 9);
    for number in 0..3 * MESSAGES {
        publisher.publish("c", &format!("\"{number:06}{filler}\""), "");
    }
    let mut got = 0;
    let close = loop {
        let frame = client.read_frame();
        if frame.first == FIN | CLOSE {
            break frame;
        }
        assert!(frame.payload.starts_with(format!("\"{got:06}").as_bytes()), "{frame:?}");
        got += 1;
    };
    assert_eq!(close.payload, wire::close_payload(1013, b"reads too slowly"));
    assert!((1..3 * MESSAGES).contains(&got), "{got} came");
    drop((client, publisher));
    let stats = server.stop();
    // The messages that filled the queue, and the one for which there was no room.
    let queued = QUEUE / (SIZE - 1 + 4);
    assert_eq!((stats[0].too_slow, stats[0].dropped), (1, queued as u64 + 1), "{stats:?}");
}

#[test]
fn a_raw_subscriber_gets_payloads_only() {
    let server = Server::start(&["--slow-consumer", "drop-oldest", "--subscriber-queue", "64KiB"]);
    let mut client = Client::connect_narrow(server.addr(), NARROW);
    client.open_at("/topics/r?role=sub", "");
    let mut publisher = Json::open(server.addr());
    // More than the kernel takes.
    for number in 0..4_000 {
        publisher.publish("r", &format!("[{number},\"{}\"]", "f".repeat(SIZE)), "");
    }
    let (mut last, mut got) = (None, 0);
    while last != Some(3_999) {
        let payload: Value = serde_json::from_slice(&client.read_frame().payload).unwrap();
        let number = payload[0].as_u64();
        assert!(number > last, "{number:?} after {last:?}");
        (last, got) = (number, got + 1);
    }
    assert!((10..3_900).contains(&got), "{got} of 4,000 came");
    client.expect_alive();
}

#[test]
fn a_flooded_subscriber_s_ping_is_answered() {
    let server = Server::start(&["--slow-consumer", "drop-oldest"]);
    let mut clients: Vec<Client> =
        (0..8).map(|_| Json::subscribed(server.addr(), &["f"]).client).collect();
    let mut publisher = Json::open(server.addr());
    let on = Arc::new(AtomicBool::new(true));
    let flooding = Arc::clone(&on);
    let flood = std::thread::spawn(move || {
        let request = text(format!(r#"{{"publish":"f","data":"{}"}}"#, "f".repeat(1_000)));
        while flooding.load(Ordering::Relaxed) {
            publisher.client.send(&request.repeat(20));
        }
    });
    let mut deliveries = 0;
    for round in 0..20_u8 {
        // Starts once messages arrive.
        expect_all(&mut clients, LIMIT, |_, frame| frame.payload.len() > 1000);
        clients.iter_mut().for_each(|client| client.send(&wire::frame(FIN | PING, &[round])));
        let mut before = vec![0; clients.len()];
        // Publishing goes on until all pongs have come.
        expect_all(&mut clients, LIMIT, |number, frame| {
            assert!(frame.first != FIN | PONG || frame.payload == [round], "{frame:?}");
            before[number] += frame.payload.len();
            frame.first == FIN | PONG
        });
        // The pong comes after the data in the queue and the sockets, not after all messages.
        let most = *before.iter().max().unwrap();
        println!("pongs after up to {} KiB", most >> 10);
        assert!(most < 64 << 20, "a pong came after {most} bytes");
        deliveries += before.iter().sum::<usize>();
    }
    on.store(false, Ordering::Relaxed);
    flood.join().unwrap();
    assert!(deliveries > 1 << 18, "that was no flood: {deliveries} bytes");
}
