//! What a handler sends counts against the limit of its peer.

use std::time::Duration;

use corecast::app::SendError;
use corecast::config::{Config, SlowConsumer};
use corecast::pubsub::Payload;

use super::support::client::Client;
use super::support::host::{rss, wait_until};
use super::support::wire::{self, BINARY, FIN};
use super::{expect, say, script, wait_for};

const MIB: u64 = 1 << 20;

#[test]
fn three_hundred_megabytes_for_a_peer_that_does_not_read_are_not_held() {
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

#[test]
// Other tests of this process take memory as well, so the bound is not a tight one.
fn the_same_from_another_thread() {
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

/// A client that sends many messages at once and reads the answers is not a slow one.
#[test]
fn a_client_that_pipelines_is_not_closed() {
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
