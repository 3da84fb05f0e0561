//! The account of work: how much processor time what a core does has cost, by counting.

/// Work, in units of about a nanosecond of processor time.
///
/// It is counted where it is done, with a fixed cost for each kind of step, instead of measured
/// with a clock: counting takes an addition, and gives the same result on every run. Whoever wants
/// to know what a piece of work has cost calls [`take`](Self::take) before and after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Work {
    used: u64,
}

impl Work {
    /// One node of the index visited, which is seldom in a cache.
    pub const NODE: u64 = 150;
    /// One level of a topic compared with one level of a filter.
    pub const LEVEL: u64 = 20;
    /// One filter that matches: its entry and its list of subscribers are looked at.
    pub const FILTER: u64 = 300;
    /// One filter added to the index or removed from it.
    pub const CHANGE: u64 = 1_000;
    /// One topic with a retained value looked at, without the comparison of its levels.
    pub const RETAINED_TOPIC: u64 = 100;
    /// One level of the filter that such a topic is compared with.
    pub const RETAINED_LEVEL: u64 = 50;
    /// One delivery to a subscriber, the send included.
    pub const DELIVERY: u64 = 2_500;
    /// One subscriber looked at that is sent nothing.
    pub const SUBSCRIBER: u64 = 20;
    /// One message encoded in one form, without its bytes.
    pub const FRAME: u64 = 100;

    /// Counts work.
    #[inline]
    pub const fn charge(&mut self, units: u64) {
        self.used = self.used.wrapping_add(units);
    }

    /// The work for `bytes` that are copied, validated or escaped.
    #[must_use]
    pub const fn of_bytes(bytes: usize) -> u64 {
        bytes as u64 / 2
    }

    /// The work for `bytes` that are compressed.
    #[must_use]
    pub const fn of_deflated(bytes: usize) -> u64 {
        bytes as u64 * 8
    }

    /// The work counted since the last call.
    pub const fn take(&mut self) -> u64 {
        std::mem::replace(&mut self.used, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_summed_up_until_it_is_taken() {
        let mut work = Work::default();
        work.charge(3 * Work::NODE);
        work.charge(Work::of_bytes(1000));
        assert_eq!((work.take(), work.take()), (950, 0));
    }
}
