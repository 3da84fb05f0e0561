//! How much work one turn does, in units of [`Work`](crate::base::Work): about a nanosecond each.
//!
//! A connection that causes little work is served in the turn in which its bytes arrive, or in the
//! next one. A connection that causes much work stops at the first place where it can be resumed,
//! and shares a part of each following turn with all others that do.

/// The parts of a turn, in the order in which they are used. Each may be exceeded by one piece of
/// work, such as 1 KiB of compressed data.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// For connections whose input came when the turn before had done enough.
    pub(super) late: u64,
    /// For connections that have used up their share of earlier turns.
    pub(super) deferred: u64,
    /// The share of one such connection in one turn.
    pub(super) share: u64,
    /// For what is received in this turn. Beyond that, each connection is given one piece of work.
    pub(super) received: u64,
    /// After so much, nothing more of what was received is handled in this turn.
    pub(super) turn: u64,
    /// The most slots that the search for the largest holders of memory looks at.
    pub(super) slots: u32,
    /// The most entries that are dropped from the queues of slow subscribers to make room for
    /// others. Each takes up to 0.5 us.
    pub(super) drops: usize,
}

impl Budget {
    /// A turn of about `units`.
    #[allow(clippy::cast_possible_truncation, reason = "compared before")]
    pub(super) const fn new(units: u64) -> Self {
        Self {
            late: units / 2,
            deferred: units / 8,
            share: units / 64,
            received: units / 4,
            turn: units,
            drops: (units / 512) as usize + 1,
            slots: if units < u32::MAX as u64 { units as u32 / 128 + 1 } else { u32::MAX },
        }
    }
}

impl Default for Budget {
    /// Two milliseconds. A connection that causes little work waits about so long at most for the
    /// work of all others.
    fn default() -> Self {
        Self::new(2_000_000)
    }
}
