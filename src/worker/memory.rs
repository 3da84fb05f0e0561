//! What a core does when peers make it hold too much memory: it accepts no more connections, then
//! it closes those that hold the most.

use std::cmp::Reverse;
use std::time::Duration;

use super::core::Core;
use super::slots::Slot;
use crate::base::ConnectionId;
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Phase};

/// How often the largest holders are looked for while more is held than the limit: that looks at
/// all connections.
const SHED_EVERY: Duration = Duration::from_millis(5);
/// The most connections that are closed at once.
const MAX_CLOSED: usize = 16;
const REASON: &str = "the server is short of memory";

impl Slot {
    /// What it holds, in bytes: messages that are incomplete, input and output that waits.
    fn memory(&self) -> usize {
        let queue = self.queue.as_ref().map_or(0, |queue| queue.charge.bytes());
        let deferred = self.deferred.as_ref().map_or(0, |deferred| deferred.charge.bytes());
        self.session.memory() + queue + deferred
    }
}

impl<D: Driver> Core<D> {
    /// Whether new connections are refused: from seven eighths of the limit on.
    pub(super) fn is_short_of_memory(&self) -> bool {
        let limit = self.pools.config.limits.memory;
        self.pools.ledger.used() >= limit - limit / 8
    }

    /// Closes the largest holders of memory while more is held than the limit. Those that send more
    /// than they are allowed to get 1009, those that read too slowly 1013. What is held by
    /// connections that are closing already will be freed, so nobody else is closed for it.
    #[cold]
    pub(super) fn shed_memory(&mut self) {
        if self.now < self.shed_again {
            return;
        }
        self.shed_again = self.now.after(SHED_EVERY);
        let mut excess = self.pools.ledger.used().saturating_sub(self.pools.config.limits.memory);
        let mut largest: Vec<(usize, ConnectionId)> = Vec::new();
        for slot in self.slots.iter() {
            let held = slot.memory();
            if slot.session.phase() != Phase::Open {
                excess = excess.saturating_sub(held);
            } else if held > 0 {
                largest.push((held, slot.id()));
            }
        }
        let count = largest.len().min(MAX_CLOSED);
        if count > 0 && count < largest.len() {
            largest.select_nth_unstable_by_key(count - 1, |(held, _)| Reverse(*held));
            largest.truncate(count);
        }
        largest.sort_unstable_by_key(|(held, _)| Reverse(*held));
        for (held, id) in largest {
            if excess == 0 {
                return;
            }
            excess = excess.saturating_sub(held);
            self.shed(id);
        }
    }

    fn shed(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        let received = slot.memory() - slot.queue.as_ref().map_or(0, |queue| queue.charge.bytes());
        let is_sender = received * 2 > slot.memory();
        self.stats.shed += 1;
        if let Some(queue) = &mut slot.queue {
            self.stats.dropped += queue.queue.clear_droppable();
        }
        let reason = match is_sender {
            true => CloseReason::Policy(CloseCode::MESSAGE_TOO_BIG),
            false => CloseReason::TooSlow,
        };
        // What it has received of a message is dropped with it.
        self.close_for(id, reason, REASON);
    }
}
