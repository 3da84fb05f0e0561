//! The worker under simulation: the same code that runs on io_uring, on a driver with virtual time
//! and seeded faults, with clients that act at random and check every byte.
//!
//! `CORECAST_SEEDS=100000 cargo test --release --test simulated sim::` tries more seeds than the
//! everyday run; with `CORECAST_SEED=7` and `-- --nocapture` one is replayed and traced.
//!
//! `CORECAST_TRACE=1 cargo test --release --test simulated sim:: -- --nocapture` runs the first 200
//! seeds and prints one hash of everything their clients received, with the virtual times. A
//! refactoring that changes no behaviour does not change it. The tally that `CORECAST_SEED=n`
//! prints has the hash of that seed alone.

mod actions;
mod client;
mod handshake;
mod link;
mod model;
mod tally;
mod world;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use corecast::config::Config;
use corecast::io::sim::{Faults, SimRing};
use corecast::io::{Driver, Wake};
use corecast::transport::Transport;
use corecast::transport::tls::Certificates;
use corecast::worker::Worker;

use crate::certificates::Pair;
use crate::support::echo::echo;
use crate::trace;
use client::Client;
use tally::Tally;
use world::World;

/// The limit of turns in one run; far more than any seed needs.
const TURNS: u64 = 3_000_000;

/// Prints how to replay the seed if the run panics.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "replay: CORECAST_SEED={} cargo test --release --test simulated sim:: \
                 -- --nocapture",
                self.0
            );
        }
    }
}

/// One run with TLS between the simulated network and the worker.
fn run_tls(seed: u64, tally: &mut Tally) {
    static PAIR: LazyLock<Pair> = LazyLock::new(|| Pair::new(&["localhost"]));
    let mut config = PAIR.client();
    config.resumption = rustls::client::Resumption::disabled();
    let config = Arc::new(config);
    let certificates = Arc::new(Certificates::new(&PAIR.tls()).unwrap());
    let wrap = |ring, listeners| Transport::new(ring, vec![true; listeners], certificates);
    run_on(seed, tally, |client| client.with_tls(&config), wrap, |_, _| {});
}

/// One run without.
fn run(seed: u64, tally: &mut Tally) {
    run_on(seed, tally, |client| client, |ring, _| ring, |_, _| {});
}

/// One run in which clients may send so much in a second, and wait if they send more.
fn run_rated(seed: u64, tally: &mut Tally) {
    run_on(
        seed,
        tally,
        |client| client,
        |ring, _| ring,
        |config, rng| {
            let rates = &mut config.rates;
            if rng.u8(0..4) > 0 {
                rates.messages = Some(rng.u32(20..2_000));
                rates.message_burst = Some(rng.u32(1..100));
            }
            if rng.bool() || rates.messages.is_none() {
                rates.bytes = Some(rng.u32(20_000..1_000_000));
                rates.byte_burst = Some(rng.u32(1..100_000));
            }
        },
    );
}

/// One run. At its end all clients are closed, the worker has stopped, and no resource is leaked.
fn run_on<D: Driver>(
    seed: u64,
    tally: &mut Tally,
    prepare: impl Fn(Client) -> Client,
    wrap: impl FnOnce(SimRing, usize) -> D,
    tune: impl FnOnce(&mut Config, &mut fastrand::Rng),
) {
    let _print = PrintSeed(seed);
    let mut world = World::new(seed);
    let mut config = world.config.clone();
    tune(&mut config, &mut fastrand::Rng::with_seed(seed));
    let service = echo(&mut config);
    let config = Arc::new(config);
    let (drain, stop_at, listeners) =
        (config.timeouts.drain, world.stop_at, world.options.listeners);
    let ring = SimRing::new(seed, world.options);
    let (network, waker) = (ring.network(), ring.waker());
    let stop = Arc::new(AtomicBool::new(false));

    let mut seeds = fastrand::Rng::with_seed(seed);
    let clients: Vec<Client> =
        (0..world.clients).map(|_| prepare(Client::new(seeds.fork(), &world))).collect();
    let clients = Rc::new(RefCell::new(clients));
    let acting = Rc::clone(&clients);
    let stopping = Arc::clone(&stop);
    network.drive(move |network| {
        world.now = network.now();
        if world.is_draining() && !stopping.swap(true, Ordering::AcqRel) {
            waker.wake();
        }
        let mut next = if world.is_draining() { None } else { Some(world.stop_at) };
        for (number, client) in acting.borrow_mut().iter_mut().enumerate() {
            let due = client.act(network, &world).and_then(|due| {
                if client.is_gone() {
                    client.finish(&world)?;
                }
                Ok(due)
            });
            match due {
                Ok(due) => next = next.into_iter().chain(due).min(),
                Err(error) => panic!("seed {seed}, client {number}, {:?}: {error}", world.now),
            }
        }
        next
    });

    let mut worker = Worker::new(wrap(ring, listeners), config, service, listeners, stop);
    // From here on, turns of some seeds may do little work: much is left to later ones.
    if seed >= trace::SEEDS {
        let units = [u64::MAX, 1_000, 20_000, 200_000];
        worker = worker.with_work_per_turn(units[seed as usize % units.len()]);
    }
    let mut done_at = None;
    for turn in 0.. {
        worker.turn().unwrap();
        if worker.is_done() {
            let done_at = *done_at.get_or_insert(network.now());
            assert!(done_at <= stop_at + drain + Duration::from_secs(2), "stopped at {done_at:?}");
            if clients.borrow().iter().all(Client::is_gone) {
                break;
            }
        }
        assert!(turn < TURNS, "seed {seed}: no end, now {:?}", network.now());
    }
    // Submits what the last turn queued; without faults, so that nothing is refused.
    network.set_faults(Faults::default());
    worker.turn().unwrap();
    network.check_quiescent();
    let stats = worker.stats();
    assert_eq!((stats.accepted, stats.stale), (stats.closed, 0), "seed {seed}: {stats:?}");
    tally.add(&stats);
    clients.borrow().iter().for_each(|client| client.report(tally));
}

#[test]
fn every_message_comes_back_under_all_faults() {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("CORECAST_SEED and CORECAST_SEEDS are numbers"))
    };
    if trace::is_printed(run, |tally| &tally.trace) {
        return;
    }
    let mut tally = Tally::default();
    if let Some(seed) = number("CORECAST_SEED") {
        let run = if number("CORECAST_TLS").is_some() { run_tls } else { run };
        let trace = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let trace = trace.without_time().with_target(false).with_writer(std::io::stderr);
        // Another test of this process may have set one.
        let _ = trace.try_init();
        run(seed, &mut tally);
        println!("{tally:#?}");
        return;
    }
    for seed in 0..number("CORECAST_SEEDS").unwrap_or(2000) {
        run(seed, &mut tally);
    }
    println!("{tally:#?}");
    tally.check();
}

#[test]
fn a_seed_replays_its_run() {
    let report = |seed| {
        let mut tally = Tally::default();
        run(seed, &mut tally);
        format!("{tally:?}")
    };
    for seed in 0..20 {
        assert_eq!(report(seed), report(seed), "seed {seed}");
    }
}

/// The same clients speak TLS. A record may be cut at every byte, and what is encrypted is sent in
/// part.
#[test]
fn every_message_comes_back_over_tls() {
    let seeds = std::env::var("CORECAST_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let mut tally = Tally::default();
    for seed in 0..seeds.unwrap_or(1000) {
        run_tls(seed, &mut tally);
    }
    println!("{tally:#?}");
    tally.check();
}

/// Who sends too much waits, and loses nothing: not when it closes or leaves meanwhile, either.
#[test]
fn every_message_comes_back_at_a_rate() {
    let seeds = std::env::var("CORECAST_SEEDS").ok().and_then(|seeds| seeds.parse().ok());
    let mut tally = Tally::default();
    for seed in 0..seeds.unwrap_or(1000) {
        run_rated(seed, &mut tally);
    }
    println!("{tally:#?}");
    assert!(tally.delayed > 0 && tally.echoes > 0, "{tally:#?}");
}
