//! How often something took how long.

use std::time::Duration;

/// The upper bounds of the ranges, in microseconds.
const BOUNDS: [u64; 16] = [
    50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_500_000, 10_000_000,
];

/// Durations counted by ranges: plain integers of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Of each range, and last of what is longer than all of them.
    counts: [u64; BOUNDS.len() + 1],
    micros: u64,
}

impl Histogram {
    /// Counts one more.
    pub fn observe(&mut self, duration: Duration) {
        let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        let range = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(range) {
            *count += 1;
        }
        self.micros = self.micros.saturating_add(micros);
    }

    /// The bound of each range, and how many were not above it.
    pub fn up_to(&self) -> impl Iterator<Item = (Duration, u64)> {
        BOUNDS.iter().zip(&self.counts).scan(0, |sum, (bound, count)| {
            *sum += count;
            Some((Duration::from_micros(*bound), *sum))
        })
    }

    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The sum of all.
    #[must_use]
    pub const fn sum(&self) -> Duration {
        Duration::from_micros(self.micros)
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        self.counts.iter_mut().zip(other.counts).for_each(|(count, more)| *count += more);
        self.micros = self.micros.saturating_add(other.micros);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_one_range() {
        let mut histogram = Histogram::default();
        for micros in [0, 50, 51, 1_000, 9_999_999, 10_000_001] {
            histogram.observe(Duration::from_micros(micros));
        }
        let up_to: Vec<u64> = histogram.up_to().map(|(_, count)| count).collect();
        assert_eq!(up_to, [2, 3, 3, 3, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 4, 5]);
        assert_eq!((histogram.count(), histogram.sum().as_micros()), (6, 20_001_101));
        let mut twice = histogram;
        twice.add(&histogram);
        assert_eq!((twice.count(), twice.sum()), (12, histogram.sum() * 2));
    }
}
