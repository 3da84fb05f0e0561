//! The short form: the workloads that the server has to withstand today, each for a moment.

use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use crate::run::{Settings, run};
use crate::verdict;
use crate::workloads::named;

/// The judged workloads, some 4 s each. One that is mended is added here, or takes the place of one
/// that says less: the whole file is to take less than a minute.
const JUDGED: [&str; 6] = [
    "declared",
    "json-subscribers",
    "mixtures-8k",
    "open-and-close",
    "open-and-reset",
    "slow-subscribers",
];

/// How often a workload is tried. What the server does wrong it does each time; what the machine
/// does to it, and cannot be told apart, seldom happens so often in a row.
const TRIES: usize = 3;

const SETTINGS: Settings =
    Settings { quiet: Duration::from_millis(800), attack: Duration::from_millis(1_500), cores: 1 };

/// One at a time: each measurement wants the machine for itself.
pub(crate) fn alone() -> MutexGuard<'static, ()> {
    static ONE: Mutex<()> = Mutex::new(());
    ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[test]
fn the_honest_do_not_wait_for_the_hostile() {
    let _alone = alone();
    let mut failed = Vec::new();
    for name in JUDGED {
        let workload = named(name).expect(name);
        let mut last = Vec::new();
        for attempt in 1..=TRIES {
            last = verdict::faults(&workload, &run(&workload, SETTINGS), SETTINGS.cores);
            println!("{name}, attempt {attempt}: {last:?}");
            if last.is_empty() {
                break;
            }
        }
        if !last.is_empty() {
            failed.push(format!("{name} ({}): {}", workload.about, last.join(", ")));
        }
    }
    assert!(failed.is_empty(), "beyond the bounds:\n{}", failed.join("\n"));
}
