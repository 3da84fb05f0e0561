//! The clock of all drivers that are no simulation.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

static START: LazyLock<Instant> = LazyLock::new(Instant::now);

/// The time when the first driver of the process was made: all drivers count from there, so that
/// the times of one core can be compared with those of another.
pub(super) fn start() -> Instant {
    *START
}

/// The time since then.
#[must_use]
pub fn now() -> Duration {
    START.elapsed()
}
