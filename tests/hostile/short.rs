//! The short form: the workloads that the server has to withstand today, each for a moment.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::run::{Settings, run};
use crate::sched::slowness;
use crate::verdict;
use crate::workloads::named;

/// The judged workloads, some 4 s each. One that is mended is added here, or takes the place of one
/// that says less: the whole file is to take less than 75 s.
const JUDGED: [&str; 13] = [
    "behind-an-answer",
    "bombs-in-pieces",
    "held-inflated",
    "json-subscribers",
    "mixtures-8k",
    "one-byte-fragments",
    "open-and-close",
    "open-and-reset",
    "retained-replay",
    "slow-subscribers",
    "stopped-subscribers",
    "subscribe-again",
    "wrong-tokens-es256",
];

/// How often a workload is tried, and how many tries must fail, without one between them that
/// passes. What the server does wrong it does each time; what the machine does to it, and cannot be
/// told apart, lasts for some seconds.
const TRIES: usize = 8;
const FAILURES: usize = 4;
/// The bounds are those of a machine that is as fast as usual; a slower one gets up to this much.
const SLOWEST: f64 = 4.0;

const SETTINGS: Settings =
    Settings { quiet: Duration::from_millis(800), attack: Duration::from_millis(1_500), cores: 1 };

/// One at a time: each measurement wants the machine for itself.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What was wrong with `name`, if several tries in a row say so.
fn judge(name: &str) -> Option<String> {
    let workload = named(name).expect(name);
    let mut failures = Vec::new();
    for attempt in 1..=TRIES {
        let before = slowness();
        let outcome = run(&workload, SETTINGS);
        let slowness = before.max(slowness()).min(SLOWEST);
        let is_disturbed = verdict::is_disturbed(&outcome);
        let bound = verdict::bound(&workload).mul_f64(slowness);
        let waits = verdict::waits_beyond(bound, &outcome);
        let others = verdict::others(&outcome);
        println!(
            "{name}, attempt {attempt}, slowness {slowness:.1}, disturbed: {is_disturbed}: \
             {waits:?} {others:?}"
        );
        if waits.is_empty() && others.is_empty() {
            return None;
        }
        // Waits say nothing when the machine below took the processor away.
        if !is_disturbed || !others.is_empty() {
            failures.push([waits, others].concat().join(", "));
        }
        if failures.len() == FAILURES {
            return Some(format!("{name} ({}): {}", workload.about, failures.join("; ")));
        }
    }
    None
}

/// The 99th percentile of the echo during handshakes of TLS is at most so many times that without.
const HANDSHAKES: u32 = 3;

#[test]
fn handshakes_of_tls_keep_the_echo_within_three_times_what_it_takes() {
    let _alone = alone();
    let settings = Settings { attack: Duration::from_secs(3), ..SETTINGS };
    let workload = named("tls-handshakes").unwrap();
    let mut failures = Vec::new();
    for _ in 0..TRIES {
        let outcome = run(&workload, settings);
        let (opened, echo) = (outcome.report.opened, &outcome.measured.echo);
        assert_eq!((echo.lost, outcome.report.refused), (0, 0));
        let (quiet, attack) = (echo.quiet.counted.p99(), echo.attack.counted.p99());
        println!("{opened} handshakes: {quiet:?}, {attack:?}");
        // On a busy machine the attackers, which have the lowest priority, complete none; what is
        // measured is then the beginning of handshakes.
        assert!(outcome.report.sent > 0, "no attack came about");
        if attack <= HANDSHAKES * quiet {
            return;
        }
        failures.push((opened, quiet, attack));
        assert!(failures.len() < FAILURES, "{failures:?}");
    }
}

#[test]
fn the_honest_do_not_wait_for_the_hostile() {
    let _alone = alone();
    let failed: Vec<String> = JUDGED.iter().filter_map(|name| judge(name)).collect();
    assert!(failed.is_empty(), "beyond the bounds:\n{}", failed.join("\n"));
}
