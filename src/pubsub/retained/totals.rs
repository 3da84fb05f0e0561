//! The number and bytes of the values that all cores of a server retain.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::config::PubSub;

/// Values and bytes that the cores of one server retain, and the clock that orders the changes. A
/// core counts a value from when it accepts it until it learns that another value has replaced it.
/// So values that several cores accept at the same time do not exceed the limits together. Only
/// retaining accesses it.
#[derive(Clone, Debug)]
pub struct Totals(Arc<Counts>);

#[derive(Debug)]
struct Counts {
    count: AtomicUsize,
    bytes: AtomicUsize,
    clock: AtomicU64,
    max_count: usize,
    max_bytes: usize,
}

/// The limit that keeps a value from being retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum RetainLimit {
    /// The most topics with a value.
    Count(usize),
    /// The most bytes.
    Bytes(usize),
    /// Another core does not respond, and the queue of messages for it is full.
    CoreHangs,
    /// The most memory that filters and retained values take on a core.
    Memory(usize),
}

impl fmt::Display for RetainLimit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("published, but not retained: ")?;
        match self {
            Self::Count(max) => {
                write!(f, "{max} topics have a retained value, which is as many as may have one")
            }
            Self::Bytes(max) => {
                write!(f, "retained values and their topics may have {max} bytes together")
            }
            Self::CoreHangs => f.write_str("a part of the server does not respond"),
            Self::Memory(max) => {
                write!(f, "retained values and filters may take {max} bytes, half of max-memory")
            }
        }
    }
}

impl Totals {
    /// No values so far, with these limits. The brokers of a server share one.
    #[must_use]
    pub fn new(config: &PubSub) -> Self {
        let (max_count, max_bytes) = (config.max_retained, config.max_retained_bytes);
        let (count, bytes) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let clock = AtomicU64::new(0);
        Self(Arc::new(Counts { count, bytes, clock, max_count, max_bytes }))
    }

    /// The clock for a change: above `known` and above that of every change made so far on any
    /// core. So it is also above those that the client has seen and this core has not taken yet.
    pub(super) fn next_clock(&self, known: u64) -> u64 {
        self.0.clock.fetch_max(known, Ordering::Relaxed);
        self.0.clock.fetch_add(1, Ordering::Relaxed) + 1
    }

    pub(super) fn max_count(&self) -> usize {
        self.0.max_count
    }

    /// Adds a value of `bytes`, which replaces one of `earlier` bytes, or none if that is 0.
    pub(super) fn take(&self, bytes: usize, earlier: usize) -> Result<(), RetainLimit> {
        let Counts { max_count, max_bytes, .. } = *self.0;
        let others = usize::from(earlier > 0);
        let relaxed = Ordering::Relaxed;
        let count = |count: usize| {
            (count.saturating_sub(others) < max_count).then(|| count.saturating_add(1))
        };
        let sum = |sum: usize| {
            let more = sum.saturating_add(bytes);
            (more.saturating_sub(earlier) <= max_bytes).then_some(more)
        };
        // The counters order no other memory accesses, and each is exact by itself.
        self.0
            .count
            .fetch_update(relaxed, relaxed, count)
            .map_err(|_| RetainLimit::Count(max_count))?;
        if self.0.bytes.fetch_update(relaxed, relaxed, sum).is_err() {
            self.0.count.fetch_sub(1, relaxed);
            return Err(RetainLimit::Bytes(max_bytes));
        }
        Ok(())
    }

    /// Subtracts a value of `bytes`.
    pub(super) fn give(&self, bytes: usize) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.bytes.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// The values and bytes counted at this moment.
    #[cfg(test)]
    pub(super) fn counted(&self) -> (usize, usize) {
        (self.0.count.load(Ordering::Relaxed), self.0.bytes.load(Ordering::Relaxed))
    }
}
