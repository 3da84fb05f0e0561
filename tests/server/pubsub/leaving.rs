//! Goal: subscribers that disconnect in the middle of a fan-out do not affect the others, and all
//! their resources are released. Method: half of the subscribers end at random times, by reset, FIN
//! or a close frame, some with half of the messages unread, and others connect; the rest must
//! receive every message.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::pubsub::common::{Cores, Json, delivery, raw, text};
use crate::pubsub::many_clients::expect_all;
use crate::support::client::Client;
use crate::support::server::Server;
use crate::support::wire;

const PUBLISHERS: usize = 4;
const EACH: usize = 400;
const STAY: usize = 30;
const LIMIT: Duration = Duration::from_secs(15);

/// A subscriber that connects, reads for a while and ends at random.
fn visit(addr: std::net::SocketAddr, random: &mut fastrand::Rng) {
    let mut client = match random.bool() {
        true => raw(addr, "l/0"),
        false => Json::subscribed(addr, &["l/+", "#"]).client,
    };
    for _ in 0..random.usize(..20) {
        // The messages may have ended.
        if client.try_read_frame(Duration::from_millis(20)).is_err() {
            break;
        }
    }
    std::thread::sleep(Duration::from_micros(random.u64(..2_000)));
    match random.u8(..4) {
        0 => client.reset(),
        1 => client.finish(),
        2 => client.send(&wire::close(1000, "")),
        _ => {}
    }
}

#[test]
fn subscribers_that_disconnect_do_not_affect_the_others() {
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let server = Server::start(&["--subscriber-queue", "64MiB"]);
    let (addr, cores) = (server.addr(), Cores::of(&server));
    let mut stay: Vec<Client> =
        (0..STAY).map(|_| Json::subscribed(addr, &["l/#", "l/+"]).client).collect();
    let start = Instant::now();
    let visitors: Vec<_> = (0..3)
        .map(|number| {
            let mut random = fastrand::Rng::with_seed(seed ^ number);
            std::thread::spawn(move || {
                let mut visits = 0;
                while start.elapsed() < Duration::from_secs(2) {
                    visit(addr, &mut random);
                    visits += 1;
                }
                visits
            })
        })
        .collect();
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|who| {
            let mut client = raw(addr, &format!("l/{who}?role=pub"));
            std::thread::spawn(move || {
                for number in 0..EACH {
                    client.send(&text(format!("[{number},\"{}\"]", "l".repeat(number * 20))));
                    std::thread::sleep(Duration::from_millis(5));
                }
            })
        })
        .collect();
    let mut next = vec![[0; PUBLISHERS]; STAY];
    expect_all(&mut stay, LIMIT, |number, frame| {
        let said: serde_json::Value = serde_json::from_slice(&frame.payload).unwrap();
        let who: usize = said["topic"].as_str().unwrap()[2..].parse().unwrap();
        assert_eq!(said["data"][0], next[number][who], "seed {seed}");
        next[number][who] += 1;
        next[number] == [EACH; PUBLISHERS]
    });
    publishers.into_iter().for_each(|publisher| publisher.join().unwrap());
    let visits: usize = visitors.into_iter().map(|visitor| visitor.join().unwrap()).sum();
    assert!(visits > 100, "only {visits} visits");
    stay.into_iter().for_each(Client::close);
    server.await_no_connections(LIMIT);
    cores.assert_all_worked();
    serves_and_ends(server);
}

/// The server still works, and stops cleanly.
fn serves_and_ends(mut server: Server) {
    let mut subscribers: Vec<Json> =
        (0..12).map(|_| Json::subscribed(server.addr(), &["l/+"])).collect();
    let mut publisher = Json::open(server.addr());
    publisher.publish("l/0", "1", "");
    subscribers.iter_mut().for_each(|subscriber| subscriber.expect(&delivery("l/0", "1")));
    drop((publisher, subscribers));
    server.await_no_connections(LIMIT);
    server.signal(Signal::TERM);
    assert!(server.wait(LIMIT).expect("an end").success());
}
