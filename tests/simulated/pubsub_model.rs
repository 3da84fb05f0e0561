//! Publish and subscribe against a naive model: one to three cores, each on a simulated driver,
//! connected by the mesh as in the server; clients and programs that act at random. Every frame is
//! checked as it arrives. Whenever the system is quiescent (all cores sleep and no bytes are in
//! flight), every message that had to arrive must have arrived.
//! arrived.
//!
//! A sleeping core has no turn until it is woken or something happens on its network. So a lost
//! wake is found: the system is idle, and a message is missing.
//!
//! `CORECAST_SEEDS=100000 cargo test --release --test simulated pubsub_model::` tries more seeds
//! than the everyday run; with `CORECAST_SEED=7` and `-- --nocapture` one is replayed and traced.
//!
//! `CORECAST_TRACE=1 cargo test --release --test simulated pubsub_model:: -- --nocapture` runs the
//! first 200 seeds and prints one hash of everything their clients received, with the virtual
//! times. A refactoring that changes no behaviour does not change it. The tally that
//! `CORECAST_SEED=n` prints has the hash of that seed alone.

mod actions;
mod check;
mod client;
mod cores;
mod log;
mod tally;
mod world;

use crate::trace;
use tally::Tally;
use world::World;

/// Prints how to replay the seed if the run panics.
struct PrintSeed(u64);

impl Drop for PrintSeed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!(
                "replay: CORECAST_SEED={} cargo test --release --test simulated pubsub_model:: \
                 -- --nocapture",
                self.0
            );
        }
    }
}

fn run(seed: u64, tally: &mut Tally) {
    let _print = PrintSeed(seed);
    let mut world = World::new(seed);
    let result = world.run(World::is_idle).and_then(|()| world.finish(tally));
    if let Err(error) = result {
        panic!("seed {seed}, {:?}: {error}", world.now);
    }
}

#[test]
fn subscribers_receive_what_the_model_allows() {
    let number = |name: &str| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<u64>().expect("CORECAST_SEED and CORECAST_SEEDS are numbers"))
    };
    if trace::is_printed(run, |tally| &tally.trace) {
        return;
    }
    let mut tally = Tally::default();
    if let Some(seed) = number("CORECAST_SEED") {
        let trace = tracing_subscriber::fmt().with_max_level(tracing::Level::TRACE);
        let trace = trace.without_time().with_target(false).with_writer(std::io::stderr);
        // Another test of this process may have set one.
        let _ = trace.try_init();
        run(seed, &mut tally);
        println!("{tally:#?}");
        return;
    }
    for seed in 0..number("CORECAST_SEEDS").unwrap_or(5000) {
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
        tally
    };
    for seed in 0..20 {
        assert_eq!(report(seed), report(seed), "seed {seed}");
    }
}
