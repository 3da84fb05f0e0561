//! Callbacks and what a context does.

use corecast::config::Config;

use super::{expect, say, script, wait_for};
use crate::support::client::Client;
use crate::support::wire::{self, FIN, PING, PONG};

#[test]
fn the_answer_has_the_headers_and_the_greeting_follows() {
    let (server, _) = script(Config::default());
    let mut client = Client::connect(server.addr());
    let head = client.open_at("/greet", "");
    assert_eq!(head.get("Set-Cookie"), Some("seen=1"));
    assert_eq!(head.get("X-Path"), Some("/greet"));
    expect(&mut client, "hello");
    client.close();
}

#[test]
fn control_frames_timers_and_the_end_are_seen() {
    let (server, log) = script(Config::default());
    let mut watcher = Client::open(server.addr());
    // The retained value comes once the subscription is in force on every core.
    say(&mut watcher, "retain left");
    say(&mut watcher, "subscribe left");
    expect(&mut watcher, "ok");
    expect(&mut watcher, "kept");
    let mut client = Client::connect(server.addr());
    client.open_at("/one", "");
    client.send(&wire::frame(FIN | PING, b"a"));
    client.expect(&wire::unmasked(FIN | PONG, b"a"));
    wait_for(&log, "ping a");
    say(&mut client, "ping b");
    client.expect(&wire::unmasked(FIN | PING, b"b"));
    client.send(&wire::frame(FIN | PONG, b"b"));
    wait_for(&log, "pong b");
    // Only the later of two timers counts.
    say(&mut client, "timer 60000");
    say(&mut client, "timer 100");
    expect(&mut client, "time");
    client.expect_alive();
    say(&mut client, "close");
    client.expect(&wire::server_close(1000, "asked"));
    client.send(&wire::close(1000, ""));
    client.expect_end(b"");
    wait_for(&log, "closed /one: closed here with");
    expect(&mut watcher, "/one");
}

#[test]
fn what_waits_is_counted_and_its_end_is_told() {
    let _memory = super::memory();
    let (server, log) = script(Config::default());
    let mut client = Client::open(server.addr());
    say(&mut client, "queued");
    expect(&mut client, "12345678");
    // More than the kernel takes.
    say(&mut client, "prepared");
    std::thread::sleep(std::time::Duration::from_millis(100));
    assert!(!log.lock().unwrap().iter().any(|line| line == "drain"));
    client.expect(&wire::unmasked(FIN | wire::BINARY, &vec![b'p'; super::PREPARED]));
    wait_for(&log, "drain");
    client.expect_alive();
}

#[test]
fn connections_of_the_application_share_the_topics() {
    let (server, _) = script(Config::default());
    let mut both: Vec<Client> = (0..2).map(|_| Client::open(server.addr())).collect();
    say(&mut both[0], "retain a/kept");
    for client in &mut both {
        say(client, "subscribe a/#");
        expect(client, "ok");
        expect(client, "kept");
    }
    let mut raw = Client::connect(server.addr());
    raw.open_at("/topics/a/x", "");
    say(&mut both[0], "publish a/x");
    say(&mut both[0], "others a/x");
    say(&mut both[0], "publish a/x");
    both.iter_mut().for_each(|client| expect(client, "all"));
    expect(&mut both[1], "others");
    both.iter_mut().for_each(|client| expect(client, "all"));
    ["all", "others", "all"].iter().for_each(|text| expect(&mut raw, text));
    say(&mut raw, "from raw");
    both.iter_mut().for_each(|client| expect(client, "from raw"));
    say(&mut both[0], "unsubscribe a/#");
    expect(&mut both[0], "true");
    say(&mut both[0], "unsubscribe a/#");
    expect(&mut both[0], "false");
    say(&mut both[0], "publish a/x");
    expect(&mut both[1], "all");
    both[0].expect_alive();
}
