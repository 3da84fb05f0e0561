//! Progress lines on standard error.

use std::time::Instant;

/// The total work.
pub(crate) struct Progress {
    begin: Instant,
    /// The estimated seconds of the finished work, and of all.
    done: f64,
    all: f64,
}

impl Progress {
    pub(crate) fn new(expected_seconds: f64) -> Self {
        Self { begin: Instant::now(), done: 0.0, all: expected_seconds }
    }

    /// Prints the next step.
    pub(crate) fn say(&self, what: &str) {
        eprintln!("{what}; {} left", left(self.begin.elapsed().as_secs_f64(), self.done, self.all));
    }

    /// A step is over; `seconds` is its estimate.
    pub(crate) fn passed(&mut self, expected_seconds: f64) {
        self.done += expected_seconds;
    }

    pub(crate) fn seconds(&self) -> f64 {
        self.begin.elapsed().as_secs_f64()
    }
}

/// The remaining time: the estimate, corrected by the error of the estimates so far. The first 30 s
/// count as exactly estimated.
fn left(elapsed: f64, done: f64, all: f64) -> String {
    const TRUST: f64 = 30.0;
    let rest = (all - done).max(0.0) * (elapsed + TRUST) / (done + TRUST);
    if rest < 90.0 { format!("{rest:.0} s") } else { format!("{:.0} min", rest / 60.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_remaining_time_follows_the_speed_so_far() {
        assert_eq!(left(0.0, 0.0, 60.0), "60 s");
        assert_eq!(left(0.0, 0.0, 600.0), "10 min");
        // Twice as slow as estimated.
        assert_eq!(left(630.0, 300.0, 330.0), "60 s");
        assert_eq!(left(100.0, 70.0, 60.0), "0 s");
    }
}
