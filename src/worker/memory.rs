//! What a core does when peers make it hold too much memory: publishers wait and connections are
//! refused, then those that hold the most are closed.

use std::cmp::Reverse;
use std::time::Duration;

use super::core::Core;
use super::slots::{Queue, Slot};
use crate::base::{ConnectionId, Millis};
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Outbound, Phase};

/// How often the largest holders are looked for while more is held than the limit, and while memory
/// is short: that looks at all connections.
const SHED_EVERY: Duration = Duration::from_millis(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// How long memory may be short, so that connections are refused and publishers wait.
const GRACE: Duration = Duration::from_secs(1);
/// The most connections that are closed at once.
const MAX_CLOSED: usize = 16;
const REASON: &str = "the server is short of memory";

impl Slot {
    /// What it holds, in bytes: messages that are incomplete, input and output that waits, and its
    /// share of what others hold as well.
    fn memory(&self) -> usize {
        self.received_memory() + self.queue.as_ref().map_or(0, |queue| queue.memory())
    }

    /// Of these, what it has sent.
    fn received_memory(&self) -> usize {
        let deferred = self.deferred.as_ref().map_or(0, |deferred| deferred.charge.bytes());
        self.session.memory() + deferred
    }
}

impl Queue {
    fn memory(&self) -> usize {
        self.charge.bytes() + self.queue.share()
    }
}

impl<D: Driver> Core<D> {
    /// Whether new connections are refused: from seven eighths of the limit on.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.pools.ledger.used() > self.pools.config.limits.short_memory()
    }

    /// Memory is short, or was so in the last turn. While more is held than the limit, and also
    /// while memory has been short for a second, the largest holders are closed.
    #[cold]
    pub(super) fn watch_memory(&mut self) {
        let limits = &self.pools.config.limits;
        let (used, limit, short) = (self.pools.ledger.used(), limits.memory, limits.short_memory());
        if used <= short {
            self.short_since = None;
            return;
        }
        let since = *self.short_since.get_or_insert(self.now);
        if self.now < self.shed_again {
            return;
        }
        if used > limit {
            self.shed_again = self.now.after(SHED_EVERY);
            self.shed_memory(limit);
        } else if self.now >= since.after(GRACE) {
            self.shed_again = self.now.after(LOOK_EVERY);
            self.shed_memory(short);
        }
    }

    /// When [`watch_memory`](Self::watch_memory) has to be called again.
    pub(super) fn watch_memory_at(&self) -> Millis {
        self.short_since.map_or(Millis::NEVER, |since| {
            let grace = since.after(GRACE);
            if grace > self.now { grace } else { self.now.after(LOOK_EVERY) }
        })
    }

    /// Closes the largest holders of memory until connections hold no more than `most`, less what
    /// the service holds for all of them. Those that send more than they are allowed to get 1009,
    /// those that read too slowly 1013. What is held by connections that are closing already will
    /// be freed, so nobody else is closed for it; and none that holds less than its even share is
    /// closed for anything.
    fn shed_memory(&mut self, most: usize) {
        let used = self.pools.ledger.used();
        let (mut open, mut closing) = (0, 0);
        let (mut largest, mut overdue) = (Vec::new(), Vec::new());
        for slot in self.slots.iter() {
            let held = slot.memory();
            if matches!(slot.session.phase(), Phase::Closing | Phase::Lingering | Phase::Finished) {
                closing += held;
                if slot.queue.as_ref().is_some_and(|queue| queue.cut_at <= self.now) {
                    overdue.push(slot.id());
                }
            } else if held > 0 {
                open += held;
                largest.push((held, slot.id()));
            }
        }
        let by_service = used.saturating_sub(open + closing);
        let room = most.saturating_sub(by_service.min(self.pools.config.limits.memory / 2));
        let mut excess = open.saturating_sub(room);
        let even_share = room / largest.len().max(1);
        largest.retain(|(held, _)| *held > even_share);
        let count = largest.len().min(MAX_CLOSED);
        if count > 0 && count < largest.len() {
            largest.select_nth_unstable_by_key(count - 1, |(held, _)| Reverse(*held));
            largest.truncate(count);
        }
        largest.sort_unstable_by_key(|(held, _)| Reverse(*held));
        for (held, id) in largest {
            if excess == 0 {
                break;
            }
            excess = excess.saturating_sub(held);
            self.shed(id);
        }
        // They have had their time to read the close frame.
        overdue.into_iter().for_each(|id| self.abort(id, CloseReason::Stalled));
    }

    fn shed(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        let is_sender = slot.received_memory() * 2 > slot.memory();
        self.stats.shed += 1;
        if let Some(queue) = &mut slot.queue {
            self.stats.dropped += queue.queue.clear_droppable();
            queue.cut_at = self.now.after(self.pools.config.timeouts.close);
        }
        let reason = match is_sender {
            true => CloseReason::Policy(CloseCode::MESSAGE_TOO_BIG),
            false => CloseReason::TooSlow,
        };
        // What it has received of a message is dropped with it.
        self.close(id, reason, REASON);
    }
}
