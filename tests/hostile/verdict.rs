//! Whether a run stayed within the contract.

use std::time::Duration;

use corecast::config::Config;

use crate::run::Outcome;
use crate::script::Workload;

/// Nobody else on the core waits longer than this for the work of one connection ...
pub(crate) const FOR_ONE: Duration = Duration::from_millis(5);
/// ... and than this for any number of hostile ones.
pub(crate) const FOR_MANY: Duration = Duration::from_millis(20);
/// A handshake takes several turns: the connection is accepted, its head is read, and the other
/// cores acknowledge a subscription.
const HANDSHAKE_TURNS: u32 = 3;

/// How late the measuring itself was: as late as the same server without the attack. How late the
/// control was is taken from each wait already.
pub(crate) fn noise(outcome: &Outcome) -> Duration {
    outcome.measured.echo.quiet.counted.longest()
}

/// The longest wait that is allowed. A server with assertions, as that of the tests is, takes up to
/// twice as long for the same work; one that `CORECAST` names has none.
pub(crate) fn bound(workload: &Workload) -> Duration {
    let has_assertions = cfg!(debug_assertions) && std::env::var_os("CORECAST").is_none();
    let bound = if workload.is_one { FOR_ONE } else { FOR_MANY };
    bound * if has_assertions { 2 } else { 1 }
}

/// Whether the machine below took so much processor time during the attack that waits say little:
/// more than a twentieth of what one core has. The scheduler does not tell of it.
pub(crate) fn is_disturbed(outcome: &Outcome) -> bool {
    outcome.stolen * 20 > outcome.time
}

/// All that was beyond the contract; nothing if the run stayed within it.
pub(crate) fn faults(workload: &Workload, outcome: &Outcome) -> Vec<String> {
    [waits_beyond(bound(workload), outcome), others(outcome)].concat()
}

/// The waits that were longer than `bound`.
pub(crate) fn waits_beyond(bound: Duration, outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let measured = &outcome.measured;
    for (name, series, bound) in [
        ("echo", &measured.echo, bound),
        ("topic", &measured.topic, bound),
        ("push", &measured.push, bound),
        ("101", &measured.handshake, bound * HANDSHAKE_TURNS),
    ] {
        let longest = series.longest();
        if longest.saturating_sub(noise(outcome)) > bound {
            faults.push(format!("{name} {} ms", longest.as_millis()));
        }
    }
    faults
}

/// What has nothing to do with time: messages and connections that are lost, memory, and runs that
/// say nothing.
pub(crate) fn others(outcome: &Outcome) -> Vec<String> {
    let mut faults = Vec::new();
    let measured = &outcome.measured;
    if outcome.is_dead {
        faults.push("the server ended".to_owned());
    }
    if outcome.report.opened == 0 && outcome.report.sent == 0 {
        faults.push("no attack came about".to_owned());
    }
    for (name, series) in [
        ("echo", &measured.echo),
        ("topic", &measured.topic),
        ("push", &measured.push),
        ("101", &measured.handshake),
    ] {
        if series.lost > 0 {
            faults.push(format!("{name} lost {}", series.lost));
        }
        if series.attack.counted.len() == 0 {
            faults.push(format!("{name}: nothing was measured"));
        }
    }
    // New connections are refused from 15/16 of the limit of memory on, and for no other reason.
    let scarce = Config::default().limits.memory as u64 / 8 * 7;
    if measured.refused > 0 && outcome.peak < scarce {
        faults.push(format!("101 refused {}", measured.refused));
    }
    if measured.closed > 0 {
        faults.push(format!("{} honest closed", measured.closed));
    }
    if outcome.peak > outcome.limit {
        faults.push(format!("peak {} MiB", outcome.peak >> 20));
    }
    faults
}
