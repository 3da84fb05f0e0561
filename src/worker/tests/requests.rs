//! Plain requests through the loop: many at once, from clients that do not read, and at the end.

use std::sync::Arc;
use std::time::Duration;

use super::{Bench, COSTLY, head_len, request};
use crate::config::Config;

const GET: &[u8] = b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n";

/// The answer of the rig, which serves WebSocket only.
fn answer(bench: &mut Bench) -> Vec<u8> {
    let client = bench.network.connect(0);
    bench.network.write(client, &[GET, b"GET"].concat());
    let head = bench.read(client, 1);
    let body = head_len(&head).expect("the answer comes in one piece");
    assert!(head.starts_with(b"HTTP/1.1 426 ") && head.len() > body);
    bench.network.reset(client);
    head
}

#[test]
fn requests_at_once_are_answered_in_order_over_many_turns() {
    let mut bench = Bench::new().with_work_per_turn(40_000);
    let one = answer(&mut bench);
    let (many, other) = (bench.network.connect(0), bench.network.connect(0));
    bench.network.set_receive_window(many, 4 << 20);
    bench.network.write(many, &[&GET.repeat(500)[..], &request("/echo")].concat());
    bench.turn_until(|bench| bench.worker.stats().resumed > 2);
    // Somebody who sends one request does not wait for them.
    bench.network.write(other, GET);
    assert_eq!(bench.read(other, one.len()), one);
    assert!(bench.worker.stats().resumed < 100, "{}", bench.worker.stats().resumed);
    let got = bench.read(many, one.len() * 500 + 1);
    let (answers, last) = got.split_at(one.len() * 500);
    assert_eq!(answers, one.repeat(500));
    assert!(last.starts_with(b"HTTP/1.1 101 "), "{}", last.escape_ascii());
    bench.network.reset(other);
    bench.finish();
}

/// Such as those whose tokens are verified: many at once take many turns.
#[test]
fn costly_handshakes_are_spread_over_turns() {
    const COUNT: usize = 60;
    let mut bench = Bench::new().with_work_per_turn(4 * COSTLY);
    let clients: Vec<_> = (0..COUNT).map(|_| bench.network.connect(0)).collect();
    bench.settle();
    clients.iter().for_each(|client| bench.network.write(*client, &request("/costly")));
    bench.network.advance(Duration::from_millis(1));
    let (mut before, mut most, mut turns) = (0, 0, 0);
    bench.turn_until(|bench| {
        let opened = bench.rig.0.borrow().opened.len();
        most = most.max(opened - before);
        turns += usize::from(opened > before);
        before = opened;
        opened == COUNT
    });
    // What a turn may do, and the piece that exceeds it.
    assert!(most <= 6 && turns >= COUNT / 6, "{most} in a turn, {turns} turns");
    clients.iter().for_each(|client| bench.network.reset(*client));
    bench.finish();
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    const COUNT: usize = 20_000;
    let mut bench = Bench::new();
    let one = answer(&mut bench);
    let client = bench.network.connect(0);
    bench.network.set_receive_window(client, 16 << 10);
    bench.network.write(client, &GET.repeat(COUNT));
    bench.turn_until(|bench| bench.worker.stats().paused > 0);
    bench.settle();
    let held = bench.worker.stats().memory;
    assert!(held < (one.len() * COUNT) as u64 / 3, "{held} of {}", one.len() * COUNT);
    // It reads, so it gets every answer.
    let got = bench.read(client, one.len() * COUNT);
    assert!(got == one.repeat(COUNT), "{} bytes", got.len());
    bench.network.half_close(client);
    bench.turn_until(|bench| bench.worker.connections() == 0);
    assert_eq!(bench.worker.stats().memory, 0);
    bench.finish();
}

#[test]
fn a_connection_is_kept_for_a_while_and_ends_with_fin() {
    let mut bench = Bench::new();
    let one = answer(&mut bench);
    let client = bench.network.connect(0);
    for _ in 0..3 {
        bench.network.write(client, GET);
        assert_eq!(bench.read(client, one.len()), one);
    }
    let before = bench.network.now();
    assert_eq!(bench.read_to_end(client), b"");
    let waited = bench.network.now() - before;
    let due = Config::default().timeouts.keep_alive;
    assert!(waited + Duration::from_secs(1) > due && waited < due + Duration::from_secs(1));
    bench.network.half_close(client);
    bench.turn_until(|bench| bench.worker.connections() == 0);
    assert_eq!(bench.worker.stats().refused, 0);
    bench.finish();
}

#[test]
fn a_request_that_has_begun_is_answered_if_the_limits_change() {
    let mut bench = Bench::new();
    let one = answer(&mut bench);
    let client = bench.network.connect(0);
    let post = b"POST /x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n";
    bench.network.write(client, &[&post[..], b"bo"].concat());
    bench.settle();
    let mut config = Config::default();
    let head = &mut config.limits.head;
    (head.max_bytes, head.max_line, head.max_headers) = (20, 10, 1);
    bench.worker.reconfigure(Arc::new(config));
    bench.network.write(client, b"dy");
    assert_eq!(bench.read(client, one.len()), one);
    // The next one is too large.
    bench.network.write(client, GET);
    let next = bench.read_to_end(client);
    assert!(next.starts_with(b"HTTP/1.1 4") && next[9..12] != one[9..12]);
    bench.finish();
}

#[test]
fn a_client_that_has_ended_its_side_is_answered() {
    let mut bench = Bench::new().with_work_per_turn(20_000);
    let one = answer(&mut bench);
    let client = bench.network.connect(0);
    bench.network.write(client, &GET.repeat(300));
    bench.network.half_close(client);
    assert_eq!(bench.read_to_end(client), one.repeat(300));
    bench.turn_until(|bench| bench.worker.connections() == 0);
    bench.finish();
}

#[test]
fn a_server_that_stops_does_not_wait_for_idle_connections() {
    let mut bench = Bench::new();
    let one = answer(&mut bench);
    let client = bench.network.connect(0);
    bench.network.write(client, GET);
    assert_eq!(bench.read(client, one.len()), one);
    let now = bench.network.now();
    bench.worker.drain();
    assert_eq!(bench.read_to_end(client), b"");
    bench.network.half_close(client);
    bench.finish_by(now + Duration::from_secs(4));
}
