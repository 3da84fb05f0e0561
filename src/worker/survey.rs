//! The search for the connections that hold the most memory, some slots in each turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slots::Slots;
use crate::base::{ConnectionId, Millis};
use crate::io::Driver;
use crate::session::{Phase, Pools};

/// The most connections that are found.
const MAX_FOUND: usize = 16;

/// What the connections hold that were looked at so far.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The slot to go on with.
    next: u32,
    /// The turn in which the search goes on. If it does not, what was found says nothing any more:
    /// some were closed, or memory was not short.
    turn: u64,
    /// The bytes that connections hold which are not closing, and those of all others.
    pub(super) open: usize,
    pub(super) closing: usize,
    /// The number of connections that hold some of `open`.
    pub(super) holders: usize,
    /// Those of them that hold the most, with what they hold.
    pub(super) largest: BinaryHeap<Reverse<(usize, ConnectionId)>>,
    /// Some were overdue.
    pub(super) has_overdue: bool,
}

impl Survey {
    /// Whether it goes on in this turn.
    pub(super) const fn is_of(&self, turn: u64) -> bool {
        self.turn == turn
    }

    /// Looks at the next slots. What the driver holds for a connection, such as a part of a record
    /// of TLS, counts as that of the connection. Adds to `overdue` those that were closed for what
    /// they hold, and have had their time. Returns whether all slots were looked at.
    pub(super) fn go_on<D: Driver>(
        &mut self,
        (slots, driver, pools, now): (&Slots, &D, &Pools, Millis),
        (turn, slots_per_turn): (u64, u32),
        overdue: &mut Vec<ConnectionId>,
    ) -> bool {
        if self.next == 0 {
            // What waits to be freed is that of connections that have ended.
            self.closing = pools.discarded.bytes();
        }
        let end = slots.end().min(self.next.saturating_add(slots_per_turn));
        for slot in slots.range(self.next..end) {
            let held = slot.memory() + driver.memory(slot.id());
            if matches!(slot.session.phase(), Phase::Closing | Phase::Lingering | Phase::Finished) {
                self.closing += held;
                if slot.is_overdue(now, &pools.config) {
                    overdue.push(slot.id());
                }
            } else if held > 0 {
                self.open += held;
                self.holders += 1;
                self.largest.push(Reverse((held, slot.id())));
                if self.largest.len() > MAX_FOUND {
                    self.largest.pop();
                }
            }
        }
        self.has_overdue |= !overdue.is_empty();
        (self.next, self.turn) = (end, turn + 1);
        end == slots.end()
    }
}
