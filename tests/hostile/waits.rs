//! Many waits, and what is said of them.

use std::time::Duration;

/// Waits in microseconds.
#[derive(Clone, Debug, Default)]
pub(crate) struct Waits(Vec<u32>);

impl Waits {
    pub(crate) fn add(&mut self, wait: Duration) {
        self.0.push(u32::try_from(wait.as_micros()).unwrap_or(u32::MAX));
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn longest(&self) -> Duration {
        Duration::from_micros(self.0.iter().copied().max().unwrap_or(0).into())
    }

    /// The wait that `share` of all do not exceed; 0.5 is the median.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let mut sorted = self.0.clone();
        sorted.sort_unstable();
        let at = (sorted.len() as f64 * share) as usize;
        let wait = sorted.get(at.min(sorted.len().saturating_sub(1))).copied().unwrap_or(0);
        Duration::from_micros(wait.into())
    }

    pub(crate) fn p99(&self) -> Duration {
        self.quantile(0.99)
    }
}
