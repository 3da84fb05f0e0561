//! How long deliveries take.

use std::time::Duration;

use crate::base::Histogram;

/// Of so many deliveries the time of one is taken, from the first on: the clock and the histogram
/// cost as much as a delivery to some subscribers.
const MEASURED: u64 = 16;

/// The deliveries that were made to all subscribers of a core, and the times that some of them
/// took.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Measured {
    count: u64,
    /// When those were published that were done in this turn and are measured.
    published: Vec<Duration>,
    times: Histogram,
}

impl Measured {
    /// One more is done, of messages that were published then.
    #[inline]
    pub(super) fn count_done(&mut self, published: Duration) {
        if self.count.is_multiple_of(MEASURED) {
            self.published.push(published);
        }
        self.count += 1;
    }

    /// Whether a delivery was done in this turn whose time is taken.
    #[inline]
    pub(in crate::pubsub) const fn is_due(&self) -> bool {
        !self.published.is_empty()
    }

    /// The time at the end of a turn.
    pub(in crate::pubsub) fn end_turn(&mut self, now: Duration) {
        for published in self.published.drain(..) {
            self.times.observe(now.saturating_sub(published));
        }
    }

    pub(in crate::pubsub) const fn times(&self) -> &Histogram {
        &self.times
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_time_of_one_in_16_is_taken() {
        let mut measured = Measured::default();
        let mut due = Vec::new();
        for number in 0..33_u64 {
            measured.count_done(Duration::from_micros(number));
            if measured.is_due() {
                due.push(number);
                measured.end_turn(Duration::from_micros(100));
            }
        }
        assert_eq!(due, [0, 16, 32]);
        assert!(!measured.is_due());
        let times = measured.times();
        assert_eq!((times.count(), times.sum()), (3, Duration::from_micros(100 + 84 + 68)));
    }
}
