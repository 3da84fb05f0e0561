//! Goal: every message arrives exactly once, in the order of each publisher and topic, with the
//! same bytes and opcode, for all cores of publisher and subscriber. Method: publishers of each
//! kind on all cores send numbered messages with known content; subscribers of each kind, with
//! overlapping filters, compare every byte.

use std::net::SocketAddr;
use std::time::Duration;

use crate::pubsub::common::{Cores, Json, raw, text};
use crate::pubsub::many_clients::expect_all;
use crate::pubsub::messages::{Received, Source, message};
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::wire;

const TOPICS: [&str; 3] = ["a/x", "a/y", "b"];
/// The number of messages of each publisher to each topic.
const EACH: usize = 60;
const JSON_PUBLISHERS: usize = 4;
/// Publishers of text and of binary messages, for each topic.
const RAW_PUBLISHERS: usize = 4;
const PER_TOPIC: usize = EACH * (JSON_PUBLISHERS + RAW_PUBLISHERS);
const LIMIT: Duration = Duration::from_secs(20);

/// A publisher in a separate thread.
fn publish_raw(
    addr: SocketAddr,
    topic: &'static str,
    source: Source,
) -> std::thread::JoinHandle<()> {
    let mut client = raw(addr, &format!("{topic}?role=pub"));
    std::thread::spawn(move || {
        for number in 0..EACH {
            let (first, payload) = message(source, number);
            client.send(&wire::frame(first, &payload));
        }
        // A connection that does not subscribe receives nothing.
        client.expect_alive();
        client.close();
    })
}

fn publish_json(addr: SocketAddr, who: usize) -> std::thread::JoinHandle<()> {
    let mut json = Json::open(addr);
    std::thread::spawn(move || {
        for number in 0..EACH {
            let data = String::from_utf8(message(Source::Json(who), number).1).unwrap();
            for topic in TOPICS {
                json.send(&format!(r#"{{"publish":"{topic}","data":{data}}}"#));
            }
        }
        json.expect_nothing();
        json.client.close();
    })
}

/// The subscribers, with the topic of each and the number of messages that it must receive.
fn subscribers(addr: SocketAddr) -> (Vec<Client>, Vec<(Option<&'static str>, usize)>) {
    let (mut clients, mut wants) = (Vec::new(), Vec::new());
    for topic in TOPICS {
        for _ in 0..4 {
            clients.push(raw(addr, &format!("{topic}?role=sub")));
            wants.push((Some(topic), PER_TOPIC));
        }
    }
    let filters: [(&[&str], usize); 4] = [
        (&["a/x", "a/+", "#"], 3),
        (&["#", "b", "+", "a/y", "a/#", "+/x"], 3),
        (&["a/+", "a/#"], 2),
        (&["b"], 1),
    ];
    for (filters, topics) in filters {
        for _ in 0..4 {
            clients.push(Json::subscribed(addr, filters).client);
            wants.push((None, topics * PER_TOPIC));
        }
    }
    (clients, wants)
}

#[test]
fn everything_arrives_once_in_order_and_unchanged() {
    // The speed of subscribers is not tested here.
    let server = Server::start(&["--subscriber-queue", "256MiB"]);
    let cores = Cores::of(&server);
    let (mut clients, wants) = subscribers(server.addr());
    let mut received: Vec<Received> = clients.iter().map(|_| Received::default()).collect();
    let mut publishers = Vec::new();
    for topic in TOPICS {
        for who in 0..RAW_PUBLISHERS / 2 {
            publishers.push(publish_raw(server.addr(), topic, Source::Text(who)));
            publishers.push(publish_raw(server.addr(), topic, Source::Binary(who)));
        }
    }
    publishers.extend((0..JSON_PUBLISHERS).map(|who| publish_json(server.addr(), who)));
    expect_all(&mut clients, LIMIT, |number, frame| {
        let (received, (topic, total)) = (&mut received[number], wants[number]);
        match topic {
            Some(topic) => received.raw(topic, &frame),
            None => received.json(&frame),
        }
        received.total == total
    });
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    // A duplicate would have arrived by now: messages sent from every core come after all earlier
    // ones.
    for mut client in clients {
        client.expect_alive();
        client.close();
    }
    cores.assert_all_worked();
    server.await_no_connections(LIMIT);
}

#[test]
fn own_messages_are_delivered_unless_echo_is_0() {
    let server = Server::start(&[]);
    let mut others: Vec<Client> = (0..16).map(|_| raw(server.addr(), "t")).collect();
    let mut mute = raw(server.addr(), "t?echo=0");
    let mut heard = raw(server.addr(), "t?echo=1&role=both");
    for round in 0..50 {
        let (ours, theirs) = (format!("mute {round}"), format!("heard {round}"));
        mute.send(&text(&ours));
        let ours = wire::unmasked(wire::FIN | wire::TEXT, ours.as_bytes());
        heard.expect(&ours);
        heard.send(&text(&theirs));
        let theirs = wire::unmasked(wire::FIN | wire::TEXT, theirs.as_bytes());
        heard.expect(&theirs);
        mute.expect(&theirs);
        let both = [ours, theirs].concat();
        others.iter_mut().for_each(|other| other.expect(&both));
    }
    // Also if its own messages and those of others are delivered in one batch.
    let many = |who: &str| (0..100).map(|n| format!("{who}{n}")).collect::<Vec<_>>();
    mute.send(&many("m").iter().flat_map(text).collect::<Vec<_>>());
    heard.send(&many("h").iter().flat_map(text).collect::<Vec<_>>());
    for expected in many("h") {
        assert_eq!(mute.read_frame().payload, expected.as_bytes());
    }
    let (mut m, mut h) = (0, 0);
    while m + h < 200 {
        let got = heard.read_frame().payload;
        let next = if got[0] == b'm' { &mut m } else { &mut h };
        assert_eq!(got[1..], *next.to_string().as_bytes());
        *next += 1;
    }
    mute.expect_alive();
    heard.expect_alive();
}
