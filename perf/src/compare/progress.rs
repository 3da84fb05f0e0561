//! Lines on standard error that say how far it is.

use std::time::Instant;

/// Knows how much there is to do.
pub(crate) struct Progress {
    begin: Instant,
    /// Seconds that were expected of what is done, and of all.
    done: f64,
    all: f64,
}

impl Progress {
    pub(crate) fn new(expected_seconds: f64) -> Self {
        Self { begin: Instant::now(), done: 0.0, all: expected_seconds }
    }

    /// Says what begins now.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{what}; {} left", left(self.begin.elapsed().as_secs_f64(), self.done, self.all));
    }

    /// Something is over that was expected to take so many seconds.
    pub(crate) fn passed(&mut self, expected_seconds: f64) {
        self.done += expected_seconds;
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }
}

/// The time that is left: what is expected, corrected by how far expectations have been off. The
/// first half minute counts as if it had been expected.
fn left(elapsed: f64, done: f64, all: f64) -> String {
    const TRUST: f64 = 30.0;
    let rest = (all - done).max(0.0) * (elapsed + TRUST) / (done + TRUST);
    if rest < 90.0 { format!("{rest:.0} s") } else { format!("{:.0} min", rest / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_follows_what_was_seen() {
        assert_eq!(left(0.0, 0.0, 60.0), "60 s");
        assert_eq!(left(0.0, 0.0, 600.0), "10 min");
        // Twice as slow as expected.
        assert_eq!(left(630.0, 300.0, 330.0), "60 s");
        assert_eq!(left(100.0, 70.0, 60.0), "0 s");
    }
}
