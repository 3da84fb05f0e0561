//! The search for the connections that hold the most memory, and for those that hold a part of a
//! message that comes too slowly, some slots in each turn.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::slots::Slots;
use crate::base::{ConnectionId, Millis};
use crate::io::Driver;
use crate::session::{Phase, Pools};

/// The most connections that are found because they hold the most, and of those that send too
/// slowly. So many can be closed in a turn.
const MAX_LARGEST: usize = 16;
const MAX_SLOW: usize = 256;

/// Connections that hold the most of those that were looked at, with what they hold.
#[derive(Debug, Default)]
pub(super) struct Found(BinaryHeap<Reverse<(usize, ConnectionId)>>);

impl Found {
    /// Adds one, unless `most` others hold more.
    fn add(&mut self, held: usize, id: ConnectionId, most: usize) {
        if self.0.len() < most {
            self.0.push(Reverse((held, id)));
        } else if let Some(mut least) = self.0.peek_mut()
            && least.0 < (held, id)
        {
            *least = Reverse((held, id));
        }
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// Those that hold the most first.
    pub(super) fn into_sorted(self) -> impl Iterator<Item = (usize, ConnectionId)> {
        self.0.into_sorted_vec().into_iter().map(|Reverse(found)| found)
    }
}

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
    /// The number of connections that hold some of `open`, and do not send too slowly.
    pub(super) holders: usize,
    /// Those of them that hold the most.
    pub(super) largest: Found,
    /// Connections that hold some of `open`, of which a part is of a message, a request or a record
    /// that comes too slowly; and their number, of which there may be more.
    pub(super) slow: Found,
    pub(super) all_slow: usize,
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
        (slots, driver, pools, now): (&mut Slots, &mut D, &Pools, Millis),
        (turn, slots_per_turn): (u64, u32),
        overdue: &mut Vec<ConnectionId>,
    ) -> bool {
        if self.next == 0 {
            // What waits to be freed is that of connections that have ended.
            self.closing = pools.discarded.bytes();
        }
        let end = slots.end().min(self.next.saturating_add(slots_per_turn));
        for index in self.next..end {
            let Some(slot) = slots.at(index) else { continue };
            let held = slot.memory() + driver.memory(slot.id());
            if matches!(slot.session.phase(), Phase::Closing | Phase::Lingering | Phase::Finished) {
                self.closing += held;
                if slot.is_overdue(now, &pools.config) {
                    overdue.push(slot.id());
                }
            } else if held > 0 {
                self.open += held;
                if slot.reads_too_slowly(now, &pools.config) || slot.sends_too_slowly(driver, now) {
                    self.all_slow += 1;
                    self.slow.add(held, slot.id(), MAX_SLOW);
                } else {
                    self.holders += 1;
                    self.largest.add(held, slot.id(), MAX_LARGEST);
                }
            }
        }
        self.has_overdue |= !overdue.is_empty();
        (self.next, self.turn) = (end, turn + 1);
        end == slots.end()
    }
}
