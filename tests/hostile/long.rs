//! The long form: all workloads, one after the other, as a table. It judges nothing; the verdict is
//! in the last column.

use std::time::Duration;

use crate::run::{Settings, run};
use crate::script::Workload;
use crate::workloads::all;
use crate::{sigterm, table};

/// An environment variable, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A number in an environment variable.
fn number(name: &str) -> Option<u64> {
    variable(name).map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
}

fn cores() -> usize {
    let cores = usize::try_from(number("HOSTILE_CORES").unwrap_or(1)).unwrap();
    assert!((1..=2).contains(&cores), "HOSTILE_CORES is 1 or 2");
    cores
}

/// Seconds of each attack.
fn seconds() -> u64 {
    number("HOSTILE_SECONDS").unwrap_or(4)
}

/// The workloads that are asked for: those whose names are listed, or all.
fn chosen() -> Vec<Workload> {
    let Some(names) = variable("HOSTILE_ONLY") else { return all() };
    let names: Vec<&str> = names.split(',').collect();
    for name in &names {
        assert!(all().iter().any(|workload| workload.name == *name), "no workload is named {name}");
    }
    all().into_iter().filter(|workload| names.contains(&workload.name)).collect()
}

/// How much is printed of what a group was sent.
const SHOWN: usize = 160;

fn show(said: &[Vec<u8>]) {
    for (number, bytes) in said.iter().enumerate() {
        println!("  group {number} was sent: {}", bytes[..bytes.len().min(SHOWN)].escape_ascii());
    }
}

#[test]
#[ignore = "some minutes; run by scripts/hostile.sh"]
fn long_form() {
    let (cores, seconds) = (cores(), seconds());
    let is_open = variable("HOSTILE_SHOW").is_some();
    println!("\n{}", table::HEAD);
    for workload in chosen() {
        let attack = Duration::from_secs(seconds.max(workload.least));
        let settings = Settings { quiet: Duration::from_millis(1_000), attack, cores };
        let outcome = run(&workload, settings);
        println!("{}", table::row(&workload, &outcome));
        if is_open {
            let report = &outcome.report;
            println!(
                "  opened {}, refused {}, ended {}; memory before {} KiB; \
                 {} echoes, {} deliveries, {} handshakes",
                report.opened,
                report.refused,
                report.ended,
                outcome.before >> 10,
                outcome.measured.echo.attack.wall.len(),
                outcome.measured.topic.attack.wall.len(),
                outcome.measured.handshake.attack.wall.len(),
            );
            show(&report.said);
        }
    }
}

#[test]
#[ignore = "some minutes; run by scripts/hostile.sh --sigterm"]
fn sigterm_form() {
    println!("\n{}", sigterm::HEAD);
    for workload in chosen() {
        let time = Duration::from_secs(seconds());
        println!("{}", sigterm::row(&workload, &sigterm::stop_under(&workload, time, cores())));
    }
}

#[test]
#[ignore = "prints the list for scripts/hostile.sh"]
fn list() {
    println!();
    for workload in all() {
        println!("{:24} {:7} {}", workload.name, workload.fault, workload.about);
    }
}
