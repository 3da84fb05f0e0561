//! Goal: 100 of 1,000 subscribers do not read. The other 900 lose nothing, and the server takes no
//! more memory than the queues may hold. Method: each of the 100 also subscribes to a separate
//! topic, to which 4 MB are published: more than a socket takes, and no queued data is shared. All
//! 1,000 subscribe to a common topic. Memory is the resident size of the process.

use std::sync::Mutex;
use std::time::Duration;

use crate::pubsub::common::{Cores, Json};
use crate::pubsub::many_clients::expect_all;
use crate::support::client::Client;
use crate::support::host::rss;
use crate::support::server::Server;
use crate::support::wire::{CLOSE, FIN};

const ALL: usize = 1_000;
const STALLED: usize = 100;
const COMMON: usize = 160;
const OWN: usize = 80;
const OWN_SIZE: usize = 50_000;
const QUEUE: u64 = 128 << 10;
/// Bytes in flight to a subscriber beside its queue.
const SENDING: u64 = 128 << 10;
/// The backlogs: 8 MiB in each direction between the two cores, and 8 MiB for the deliveries of
/// each; and the memory that the allocator keeps. Without limits it would be 400 MB.
const SLACK: u64 = (4 * 8 + 16) << 20;
const LIMIT: Duration = Duration::from_secs(20);

fn own(number: usize) -> String {
    format!("own/{number}")
}

/// One test at a time: two cores cannot run both in time.
static TURN: Mutex<()> = Mutex::new(());

fn hundred_stalled(policy: &str) -> (Server, Vec<Client>) {
    let queue = QUEUE.to_string();
    let server = Server::start(&["--slow-consumer", policy, "--subscriber-queue", &queue]);
    let cores = Cores::of(&server);
    let narrow = |number| {
        let mut json = Json::on(Client::connect_narrow(server.addr(), 4 << 10));
        json.subscribe(&["common", &own(number)]);
        json.client
    };
    let stalled: Vec<Client> = (0..STALLED).map(narrow).collect();
    let open = |_| Json::subscribed(server.addr(), &["common"]).client;
    let mut keen: Vec<Client> = (STALLED..ALL).map(open).collect();
    let before = rss(server.pid());
    let addr = server.addr();
    let publisher = std::thread::spawn(move || {
        let mut json = Json::open(addr);
        let filler = "f".repeat(OWN_SIZE);
        for round in 0..COMMON {
            json.publish("common", &format!("[{round},\"{}\"]", &filler[..500]), "");
            for number in (0..STALLED).filter(|_| round % (COMMON / OWN) == 0) {
                json.publish(&own(number), &format!("\"{filler}\""), "");
            }
        }
    });
    let mut next = vec![0; keen.len()];
    let mut most = 0;
    let mut frames = 0;
    expect_all(&mut keen, LIMIT, |number, frame| {
        let begin = format!(r#"{{"topic":"common","data":[{},""#, next[number]);
        assert!(frame.payload.starts_with(begin.as_bytes()), "{number} waits for {begin}");
        next[number] += 1;
        frames += 1;
        if frames % 5_000 == 0 {
            most = most.max(rss(server.pid()));
        }
        next[number] == COMMON
    });
    publisher.join().unwrap();
    let grown = most.max(rss(server.pid())).saturating_sub(before);
    println!("{policy}: grown by {} KiB", grown >> 10);
    assert!(grown < STALLED as u64 * (QUEUE + SENDING) + SLACK, "{policy}: grown by {grown} bytes");
    cores.assert_all_worked();
    keen.iter_mut().for_each(Client::expect_alive);
    (server, stalled)
}

#[test]
fn stalled_subscribers_lose_the_oldest_messages() {
    let _turn = TURN.lock();
    let (server, mut stalled) = hundred_stalled("drop-oldest");
    let end = format!(r#"{{"topic":"common","data":[{},"#, COMMON - 1);
    // They are still connected, have lost most of their own messages and, once they read, get the
    // last ones.
    let mut got = vec![0; STALLED];
    let mut gaps = vec![0; STALLED];
    expect_all(&mut stalled, LIMIT, |number, frame| {
        got[number] += usize::from(frame.payload.starts_with(br#"{"topic":"own/"#));
        gaps[number] += usize::from(frame.payload.starts_with(br#"{"gap":"own/"#));
        frame.payload.starts_with(end.as_bytes())
    });
    assert!(got.iter().all(|got| (1..OWN).contains(got)), "some did not stall: {got:?}");
    assert!(gaps.iter().all(|gaps| *gaps > 0), "some got no gap: {gaps:?}");
    drop(stalled);
    server.await_no_connections(LIMIT);
}

#[test]
fn stalled_subscribers_are_closed() {
    let _turn = TURN.lock();
    let (server, mut stalled) = hundred_stalled("close");
    expect_all(&mut stalled, LIMIT, |_, frame| {
        let is_close = frame.first == FIN | CLOSE;
        assert!(!is_close || frame.payload.starts_with(&1013_u16.to_be_bytes()), "{frame:?}");
        is_close
    });
    drop(stalled);
    server.await_no_connections(LIMIT);
}
