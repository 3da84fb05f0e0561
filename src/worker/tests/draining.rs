//! Connections are told to go in pieces, over the window; what is no WebSocket at once; and a
//! successor's clients are served first.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Bench, head_len, request};
use crate::config::{Config, DrainCode};
use crate::io::sim::{ClientId, Faults, SimOptions};
use crate::worker::core::BATCH;

const CLIENTS: usize = 600;

fn config(delay: u64, window: u64) -> Config {
    let mut config = Config::default();
    config.draining.delay = Duration::from_secs(delay);
    config.draining.window = Duration::from_secs(window);
    config.draining.code = DrainCode::Restart;
    config.timeouts.drain = Duration::from_secs(100);
    config.timeouts.close = Duration::from_secs(100);
    config
}

fn bench(delay: u64, window: u64) -> Bench {
    let options = SimOptions { slots: 1000, ..SimOptions::default() };
    Bench::with_options(config(delay, window), options)
}

/// Clients that have opened a WebSocket.
fn open(bench: &mut Bench, count: usize) -> Vec<ClientId> {
    let clients: Vec<ClientId> = (0..count).map(|_| bench.network.connect(0)).collect();
    clients.iter().for_each(|client| bench.network.write(*client, &request("/echo")));
    for client in &clients {
        assert!(bench.read_head(*client).starts_with("HTTP/1.1 101 "));
    }
    clients
}

/// The time from now until each client has got the close frame; and the most that got it after one
/// turn. They leave then.
fn told(bench: &mut Bench, clients: &[ClientId]) -> (Vec<Duration>, usize) {
    let (start, network) = (bench.network.now(), bench.network.clone());
    let mut waiting: Vec<_> = clients.iter().map(|client| (*client, Vec::new())).collect();
    let (mut times, mut most) = (Vec::new(), 0);
    bench.turn_until(|_| {
        let before = waiting.len();
        waiting.retain_mut(|(client, got)| {
            got.extend(network.read(*client));
            if got.len() < 4 {
                return true;
            }
            assert!(got[0] == 0x88 && got[2..4] == 1012_u16.to_be_bytes(), "{got:?}");
            network.reset(*client);
            false
        });
        most = most.max(before - waiting.len());
        times.extend((waiting.len()..before).map(|_| network.now() - start));
        waiting.is_empty()
    });
    (times, most)
}

#[test]
fn without_a_window_all_are_told_at_once_in_pieces() {
    let mut bench = bench(0, 0);
    let clients = open(&mut bench, CLIENTS);
    bench.worker.drain();
    let (times, most) = told(&mut bench, &clients);
    assert!(times.iter().all(|time| *time < Duration::from_secs(1)), "{times:?}");
    assert!(most <= 2 * BATCH, "{most}");
    bench.finish();
}

#[test]
fn a_window_spreads_them() {
    let mut bench = bench(0, 10);
    let clients = open(&mut bench, CLIENTS);
    let (silent, half) = (bench.network.connect(0), bench.network.connect(0));
    bench.network.write(half, b"GET /echo HTTP/1.1\r\n");
    bench.settle();
    let begun = bench.network.now();
    bench.worker.drain();
    // What is no WebSocket has nothing to wait for.
    let answer = bench.read(half, 12);
    assert!(answer.starts_with(b"HTTP/1.1 503"), "{}", answer.escape_ascii());
    bench.read_to_end(silent);
    assert!(bench.network.now() - begun < Duration::from_secs(1));
    let (times, most) = told(&mut bench, &clients);
    for second in 0..10 {
        let share = times.iter().filter(|time| time.as_secs() == second).count();
        assert!((20..=100).contains(&share), "{second}: {share}");
    }
    assert!(most < CLIENTS / 10 && times[CLIENTS - 1] < Duration::from_secs(11), "{times:?}");
    bench.finish();
}

/// As long as the delay lasts nothing happens, and new clients are served. Then the last one ends
/// the worker.
#[test]
fn a_delay_comes_first() {
    let mut bench = bench(5, 0);
    let mut clients = open(&mut bench, 10);
    let begun = bench.network.now();
    bench.worker.drain();
    clients.extend(open(&mut bench, 10));
    assert!(!bench.worker.is_done());
    told(&mut bench, &clients);
    let taken = bench.network.now() - begun;
    assert!(Duration::from_secs(5) <= taken && taken < Duration::from_secs(6), "{taken:?}");
    bench.finish();
}

/// It was to stay, and the settings have changed since it began to drain.
#[test]
fn who_is_to_end_ends_within_the_time_that_holds_then() {
    let mut bench = bench(50, 0);
    let stays = Arc::new(AtomicBool::new(true));
    bench.worker.stays = Arc::clone(&stays);
    open(&mut bench, 10);
    bench.worker.drain();
    let mut config = config(50, 0);
    config.timeouts.drain = Duration::from_secs(5);
    bench.worker.reconfigure(Arc::new(config));
    bench.settle();
    let begun = bench.network.now();
    stays.store(false, Ordering::Release);
    // The clients do not leave.
    bench.finish_by(begun + Duration::from_secs(6));
}

/// It was accepted while the server stops: the time for a handshake is not waited for.
#[test]
fn who_comes_late_and_is_silent_is_cut_soon() {
    let mut config = config(0, 0);
    config.timeouts.handshake = Duration::from_secs(50);
    // The end of accepting is slow.
    let faults = Faults { late_cancel: 1000, ..Faults::default() };
    let options = SimOptions { slots: 1000, faults, ..SimOptions::default() };
    let mut bench = Bench::with_options(config, options);
    // This one does not leave.
    open(&mut bench, 1);
    bench.worker.drain();
    bench.turn_until(|bench| bench.worker.core.accepting.refuses);
    let silent: Vec<ClientId> = (0..20).map(|_| bench.network.connect(0)).collect();
    let begun = bench.network.now();
    silent.iter().for_each(|client| drop(bench.read_to_end(*client)));
    assert!(bench.worker.stats().accepted > 1, "none came in time");
    assert!(bench.network.now() - begun < Duration::from_secs(1));
    bench.finish();
}

/// With nothing to lose, the window is not waited for.
#[test]
fn an_idle_worker_ends_at_once() {
    let mut bench = bench(0, 50);
    let clients = open(&mut bench, 10);
    clients.iter().for_each(|client| bench.network.reset(*client));
    bench.settle();
    let soon = bench.network.now() + Duration::from_secs(1);
    bench.finish_by(soon);
}

/// Requests that have begun are answered, and their connections told after that.
#[test]
fn what_was_accepted_before_a_hand_over_is_served() {
    let mut bench = bench(5, 0);
    let hands_over = Arc::new(AtomicBool::new(true));
    bench.worker.hands_over = Arc::clone(&hands_over);
    let clients = open(&mut bench, 10);
    let late: Vec<ClientId> = (0..10).map(|_| bench.network.connect(0)).collect();
    late.iter().for_each(|client| bench.network.write(*client, &request("/echo")[..20]));
    let silent = bench.network.connect(0);
    bench.settle();
    let begun = bench.network.now();
    bench.worker.drain();
    told(&mut bench, &clients);
    assert!(bench.network.now() - begun < Duration::from_secs(1), "the delay is not waited for");
    late.iter().for_each(|client| bench.network.write(*client, &request("/echo")[20..]));
    for client in &late {
        let (mut got, network) = (Vec::new(), bench.network.clone());
        bench.turn_until(|_| {
            got.extend(network.read(*client));
            head_len(&got).is_some_and(|len| got.len() > len)
        });
        let (head, frame) = got.split_at(head_len(&got).unwrap());
        assert!(head.starts_with(b"HTTP/1.1 101 ") && frame[0] == 0x88);
        bench.network.reset(*client);
    }
    // Who sends nothing is not waited for longer than for any request.
    bench.read_to_end(silent);
    assert!(hands_over.load(Ordering::Acquire));
    bench.finish();
}
