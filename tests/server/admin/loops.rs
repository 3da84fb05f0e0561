//! The figures of each loop: the one that works has them, and the other has not.

use std::time::Instant;

use corecast::server::allowed_cores;

use crate::admin::page::{Administrated, Metrics, ask_on, status};
use crate::support::client::{Client, PATIENCE, request};
use crate::support::host::wait_until;
use crate::support::wire::{FIN, TEXT, frame};

const ECHOES: u32 = 2_000;
const BUFFERS: f64 = 32.0;

/// A server with two loops on one core.
fn two_loops(flags: &[&str]) -> Administrated {
    Administrated::start(&[&["--loops-per-core", "2"], flags].concat())
}

/// Metrics by one connection, so that asking opens none.
struct Watcher(Client);

impl Watcher {
    fn metrics(&mut self) -> Metrics {
        let (head, text) = ask_on(&mut self.0, "GET", "/metrics", "", b"");
        assert_eq!(status(&head), "200", "{text}");
        Metrics::parse(&text)
    }
}

/// A figure of this loop.
fn of(metrics: &Metrics, name: &str, number: usize) -> f64 {
    let core = allowed_cores()[0];
    metrics.get(&format!("corecast_{name}{{core=\"{core}\",loop=\"{number}\"}}"))
}

/// The numbers of the loops of connections with this endpoint.
fn loops_of(server: &Administrated, endpoint: &str) -> Vec<usize> {
    let page = server.json("/connections?limit=1000");
    let all = page["connections"].as_array().unwrap().iter();
    let ids = all.filter(|one| one["endpoint"] == endpoint).map(|one| one["id"].as_str().unwrap());
    ids.map(|id| id.split('-').next().unwrap().parse().unwrap()).collect()
}

#[test]
fn the_loop_that_works_is_seen() {
    let server = two_loops(&["--buffers", "32"]);
    let mut client = Client::open(server.addr());
    let busy = loops_of(&server, "app")[0];
    let idle = 1 - busy;
    let mut watcher = Watcher(Client::connect(server.admin));
    // Those of the requests before are gone: the client and the watcher are left.
    let mut before = watcher.metrics();
    assert!(wait_until(PATIENCE, || {
        before = watcher.metrics();
        of(&before, "loop_connections", 0) + of(&before, "loop_connections", 1) == 2.0
    }));
    assert!(of(&before, "loop_connections", busy) >= 1.0);
    let began = Instant::now();
    for _ in 0..ECHOES {
        client.send(&frame(FIN | TEXT, b"hello"));
        client.read_frame();
    }
    let after = watcher.metrics();
    let took = began.elapsed().as_secs_f64();
    let more = |name: &str, number: usize| of(&after, name, number) - of(&before, name, number);
    // Each echo is awaited, so that each takes a turn, and a call to wait for the next.
    for name in ["loop_turns_total", "kernel_calls_total"] {
        let (much, little) = (more(name, busy), more(name, idle));
        assert!(
            much >= f64::from(ECHOES) && little < f64::from(ECHOES / 4),
            "{name}: {much} {little}"
        );
    }
    let [much, little] = [busy, idle].map(|number| more("loop_cpu_seconds_total", number));
    assert!(much > little && little >= 0.0 && much < took + 0.1, "{much} {little} in {took}");
    for number in [busy, idle] {
        assert_eq!(of(&after, "receive_buffers", number), BUFFERS);
    }
    // One turn in 64 of each loop is measured.
    let turns = more("loop_turns_total", 0) + more("loop_turns_total", 1);
    let count = |metrics: &Metrics| metrics.get("corecast_turn_seconds_count");
    let measured = count(&after) - count(&before);
    assert!((measured - turns / 64.0).abs() <= 3.0, "{measured} of {turns}");
    let sum = after.get("corecast_turn_seconds_sum") - before.get("corecast_turn_seconds_sum");
    // It is counted in whole microseconds, of which a short turn may take none.
    assert!(sum >= 0.0 && sum < took + 0.1, "{sum} in {took}");
    drop(client);
    assert!(wait_until(PATIENCE, || {
        let metrics = watcher.metrics();
        of(&metrics, "loop_connections", 0) + of(&metrics, "loop_connections", 1) == 1.0
    }));
}

/// The limit of connections is that of each loop, and together they have as many times that.
#[test]
fn each_loop_has_its_own_limit_of_connections() {
    const LIMIT: usize = 3;
    let server = two_loops(&["--max-connections", "3"]);
    assert_eq!(server.metrics().get("corecast_connection_limit"), 2.0 * LIMIT as f64);
    let (mut open, mut refused) = (Vec::new(), 0);
    let mut connect = |open: &mut Vec<Client>| {
        let mut client = Client::connect(server.addr());
        client.send(&request(""));
        match client.read_head().status.split(' ').nth(1).unwrap() {
            "101" => open.push(client),
            status => {
                assert_eq!(status, "503");
                refused += 1;
            }
        }
    };
    // The kernel chooses the loop of a connection.
    for _ in 0..500 {
        if open.len() < 2 * LIMIT {
            connect(&mut open);
        }
    }
    assert_eq!(open.len(), 2 * LIMIT, "a loop is not full");
    (0..40).for_each(|_| connect(&mut open));
    assert_eq!(open.len(), 2 * LIMIT, "more than both loops may have");
    let loops = loops_of(&server, "app");
    for number in [0, 1] {
        assert_eq!(loops.iter().filter(|one| **one == number).count(), LIMIT, "{loops:?}");
    }
    let counter = "corecast_refused_connections_total{limit=\"connections\"}";
    assert_eq!(server.metrics().get(counter), f64::from(refused));
    open.iter_mut().for_each(Client::expect_alive);
}
