//! What a handler sends counts against the limit of its peer.

use std::time::Duration;

use corecast::app::SendError;
use corecast::config::{Config, SlowConsumer};
use corecast::pubsub::Payload;

use super::{PREPARED, expect, say, script, wait_for};
use crate::support::client::Client;
use crate::support::host::{rss, wait_until};
use crate::support::wire::{self, BINARY, FIN};

const MIB: u64 = 1 << 20;

#[test]
fn three_hundred_megabytes_for_a_peer_that_does_not_read_are_not_held() {
    let _memory = super::memory();
    let (server, log) = script(Config::default());
    let mut client = Client::open(server.addr());
    let before = rss(std::process::id());
    say(&mut client, "large 300");
    wait_for(&log, "sent ");
    // One may always wait, however large.
    assert_eq!(log.lock().unwrap().first().map(String::as_str), Some("sent 1"));
    let grown = rss(std::process::id()).saturating_sub(before);
    assert!(grown < 60 * MIB, "{grown} bytes");
    client.expect(&wire::unmasked(FIN | BINARY, &vec![b'x'; 1 << 20]));
    client.expect(&wire::server_close(1013, "reads too slowly"));
    let stats = server.handle().stats();
    let sum = |of: fn(&corecast::app::AppStats) -> u64| {
        stats.iter().map(|stats| of(&stats.app)).sum::<u64>()
    };
    assert_eq!((sum(|app| app.dropped), sum(|app| app.too_slow)), (1, 1));
}

/// The first echo is never refused. Each further one is a message like any other.
#[test]
fn many_echoes_of_one_message_are_not_held() {
    let _memory = super::memory();
    let (server, log) = script(Config::default());
    let mut client = Client::open(server.addr());
    say(&mut client, &format!("echoes {}", "e".repeat(1 << 20)));
    wait_for(&log, "echoes ");
    let line = log.lock().unwrap().first().cloned().unwrap();
    let queued: u64 = line.trim_start_matches("echoes ").parse().unwrap();
    assert!(queued < 3 * MIB, "{queued} bytes");
    let stats = server.handle().stats();
    assert_eq!(stats.iter().map(|stats| stats.app.too_slow).sum::<u64>(), 1);
}

#[test]
// Other tests of this process take memory as well, so the bound is not a tight one.
fn the_same_from_another_thread() {
    let _memory = super::memory();
    for slow in [SlowConsumer::Close, SlowConsumer::DropNewest] {
        let mut config = Config::default();
        config.pubsub.slow = slow;
        let (server, _) = script(config);
        let mut client = Client::open(server.addr());
        say(&mut client, "ready");
        expect(&mut client, "ready");
        let handle = server.handle().connections().remove(0);
        let before = rss(std::process::id());
        let (mut queued, mut refused) = (0, None);
        for _ in 0..300 {
            match handle.send(Payload::binary(vec![b'x'; 1 << 20])) {
                Ok(()) => queued += 1,
                Err(error) => refused = Some(error),
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        assert!(queued < 300 && refused.is_some(), "{slow:?}: {queued}, {refused:?}");
        let grown = rss(std::process::id()).saturating_sub(before);
        assert!(grown < 200 * MIB, "{slow:?}: {grown} bytes");
        if slow == SlowConsumer::Close {
            assert!(matches!(refused, Some(SendError::Full | SendError::Gone)), "{refused:?}");
            continue;
        }
        // Once it has read, there is room again.
        let mut payloads = 0;
        while payloads < 1 {
            payloads += usize::from(client.read_frame().payload.len() == 1 << 20);
        }
        // It reads on until there is room again.
        let is_sent = || {
            let _ = client.try_read_frame(Duration::from_millis(200));
            handle.send(Payload::text("after")).is_ok()
        };
        assert!(wait_until(Duration::from_secs(20), is_sent));
        while client.read_frame().payload != b"after" {}
    }
}

/// Whatever the policy, what was accepted is sent, in order; what was not is told.
#[test]
fn under_every_policy_the_message_that_does_not_fit_is_the_one_that_is_dropped() {
    for (slow, error) in [
        (SlowConsumer::Close, SendError::TooSlow),
        (SlowConsumer::DropNewest, SendError::Full),
        (SlowConsumer::DropOldest, SendError::Full),
        (SlowConsumer::Conflate, SendError::Full),
    ] {
        let mut config = Config::default();
        config.pubsub.slow = slow;
        let (server, log) = script(config);
        let mut client = Client::open(server.addr());
        say(&mut client, "count");
        wait_for(&log, "accepted ");
        let told = log.lock().unwrap().first().unwrap().clone();
        assert_eq!(told, format!("accepted 4 {error:?}"), "{slow:?}");
        for number in 0..4 {
            let expected = [&[number][..], &[b'.'; 60_000]].concat();
            client.expect(&wire::unmasked(FIN | BINARY, &expected));
        }
        if slow == SlowConsumer::Close {
            client.expect(&wire::server_close(1013, "reads too slowly"));
        } else {
            client.expect_alive();
        }
    }
}

/// A prepared message is not copied for each peer that does not read it, behind a 101, alone, or
/// behind another message.
#[test]
fn a_large_prepared_message_is_held_once() {
    let _memory = super::memory();
    const PEERS: usize = 50;
    let (server, _) = script(Config::default());
    for (path, word) in [("/", "prepared"), ("/", "both"), ("/prepared", "")] {
        let before = rss(std::process::id());
        let open = |_| {
            let mut client = Client::connect(server.addr());
            client.open_at(path, "");
            if !word.is_empty() {
                say(&mut client, word);
            }
            client
        };
        let mut clients: Vec<Client> = (0..PEERS).map(open).collect();
        // The answer comes behind what all have asked for.
        let first = clients.first_mut().unwrap();
        if word == "both" {
            expect(first, "first");
        }
        first.expect(&wire::unmasked(FIN | BINARY, &vec![b'p'; PREPARED]));
        first.expect_alive();
        let grown = rss(std::process::id()).saturating_sub(before);
        assert!(grown < (PEERS * PREPARED / 2) as u64, "{word} at {path}: {grown} bytes");
        for client in clients.iter_mut().skip(1).take(3) {
            if word == "both" {
                expect(client, "first");
            }
            client.expect(&wire::unmasked(FIN | BINARY, &vec![b'p'; PREPARED]));
            client.expect_alive();
        }
    }
}

/// A client that sends many messages at once and reads the answers is not a slow one.
#[test]
fn a_client_that_pipelines_is_not_closed() {
    let _memory = super::memory();
    let (server, _) = script(Config::default());
    let mut client = Client::open(server.addr());
    let text = "y".repeat(60_000);
    let mut sender = Client::from_stream(client.stream().try_clone().unwrap());
    let many = wire::frame(FIN | wire::TEXT, text.as_bytes()).repeat(200);
    let sending = std::thread::spawn(move || sender.send(&many));
    // It begins to read late.
    std::thread::sleep(Duration::from_millis(300));
    (0..200).for_each(|_| expect(&mut client, &text));
    sending.join().unwrap();
    client.expect_alive();
}
