//! The long form: all workloads, one after the other, as a table. It judges nothing; the verdict is
//! in the last column.

use std::time::Duration;

use crate::run::{Settings, run};
use crate::script::Workload;
use crate::table;
use crate::workloads::all;

/// An environment variable, if it is set and not empty.
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// A number in an environment variable.
fn number(name: &str) -> Option<u64> {
    variable(name).map(|value| value.parse().unwrap_or_else(|_| panic!("{name}={value}")))
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

fn show(said: &[Vec<u8>]) {
    for (number, bytes) in said.iter().enumerate() {
        println!("  group {number} was sent: {}", bytes.escape_ascii());
    }
}

#[test]
#[ignore = "some minutes; run by scripts/hostile.sh"]
fn long_form() {
    let cores = usize::try_from(number("HOSTILE_CORES").unwrap_or(1)).unwrap();
    assert!((1..=2).contains(&cores), "HOSTILE_CORES is 1 or 2");
    let seconds = number("HOSTILE_SECONDS").unwrap_or(4);
    let is_open = variable("HOSTILE_SHOW").is_some();
    println!("{}", table::HEAD);
    for workload in chosen() {
        let attack = Duration::from_secs(seconds.max(workload.least));
        let settings = Settings { quiet: Duration::from_millis(1_500), attack, cores };
        let outcome = run(&workload, settings);
        println!("{}", table::row(&workload, &outcome, cores));
        if is_open {
            let report = &outcome.report;
            println!(
                "  opened {}, refused {}, ended {}; memory before {} KiB; stolen {:?}; \
                 {} echoes, {} deliveries, {} handshakes",
                report.opened,
                report.refused,
                report.ended,
                outcome.before >> 10,
                outcome.stolen,
                outcome.measured.echo.attack.wall.len(),
                outcome.measured.topic.attack.wall.len(),
                outcome.measured.handshake.attack.wall.len(),
            );
            show(&report.said);
        }
    }
}

#[test]
#[ignore = "prints the list for scripts/hostile.sh"]
fn list() {
    for workload in all() {
        println!("{:24} {:7} {}", workload.name, workload.fault, workload.about);
    }
}
