//! What a core does when peers make it hold too much memory: publishers wait, connections are
//! refused, and those are closed that send too slowly what they have begun, and that hold the most.

use std::time::Duration;

use super::core::Core;
use super::slots::{Flags, Queue, Slot};
use super::survey::Survey;
use crate::base::{ConnectionId, Millis, Pace, Work};
use crate::config::Config;
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Outbound, Phase};

/// How long after holders were found they are looked for again while memory is short,
/// and if there was none: that looks at all connections.
const SHED_EVERY: Duration = Duration::from_millis(5);
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// They are also looked for once memory has grown by this part of its limit since there was none.
const GROWN: usize = 128;
/// Large messages wait for so long after some were closed: no longer, since without any that can be
/// closed they would wait for ever.
const LARGE_WAIT: Duration = Duration::from_secs(1);
/// A peer that has taken nothing of its replies for this time does not read. It is cut: a close
/// frame would wait behind the replies.
const STUCK: Duration = Duration::from_millis(100);
/// So many entries of queues that nobody is sent any more are dropped in a turn.
const MAX_DROPPED: usize = 8_192;
const REASON: &str = "the server is short of memory";
const TOO_SLOW: &str = "the server is short of memory, and the message comes too slowly";

impl Slot {
    /// What it holds, in bytes: messages that are incomplete, input and output that waits, and its
    /// share of what others hold as well.
    pub(super) fn memory(&self) -> usize {
        self.received_memory() + self.queue.as_ref().map_or(0, |queue| queue.memory())
    }

    /// Of these, what it has sent.
    fn received_memory(&self) -> usize {
        let deferred = self.deferred.as_ref().map_or(0, |deferred| deferred.charge.bytes());
        self.session.memory() + deferred
    }

    /// Whether the peer has taken nothing of its replies for [`STUCK`].
    fn is_stuck(&self, now: Millis, config: &Config) -> bool {
        let has_begun = self.queue.as_ref().is_some_and(|queue| queue.stall != Millis::NEVER);
        has_begun && !self.has_sent_within(STUCK, now, config)
    }

    /// Whether a part of a message, of a request or of what the driver makes these of has come, and
    /// the rest comes too slowly to be held while memory is short.
    pub(super) fn sends_too_slowly<D: Driver>(&mut self, driver: &mut D, now: Millis) -> bool {
        let is_read = self.blocked.is_empty() && self.deferred.is_none();
        let of_session = self.session.comes_too_slowly(now, is_read);
        of_session.unwrap_or_else(|| driver.input_comes_too_slowly(self.id(), now, is_read))
    }

    /// Whether what waits for it is taken too slowly to be held while memory is short. It is not,
    /// if it has to wait for its turn.
    pub(super) fn reads_too_slowly(&mut self, now: Millis, config: &Config) -> bool {
        let awaits_send = self.flags.contains(Flags::AWAITING_SEND);
        let begun = |queue: &&mut Box<Queue>| queue.stall != Millis::NEVER;
        let Some(queue) = self.queue.as_mut().filter(begun) else { return false };
        let last = queue.stall.before(config.timeouts.stall);
        let (taken, held) = (queue.taken, queue.memory());
        let pace = queue.pace.get_or_insert_with(|| Box::new(Pace::new(last)));
        if awaits_send {
            pace.excuse(now, taken);
            return false;
        }
        pace.is_too_slow(now, last, taken, held)
    }

    /// Whether it was closed for what it holds, and does not read or has had its time to do so.
    pub(super) fn is_overdue(&self, now: Millis, config: &Config) -> bool {
        self.queue.as_ref().is_some_and(|queue| {
            queue.cut_at <= now || queue.cut_at != Millis::NEVER && self.is_stuck(now, config)
        })
    }
}

impl Queue {
    fn memory(&self) -> usize {
        self.charge.bytes() + self.queue.share()
    }
}

impl<D: Driver> Core<D> {
    /// Whether holders are closed: from seven eighths of the limit on.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.pools.ledger.used() > self.pools.config.limits.short_memory()
    }

    /// Whether new connections are refused: if that did not free enough.
    pub(super) fn has_scarce_memory(&self) -> bool {
        self.pools.ledger.used() > self.pools.config.limits.scarce_memory()
    }

    /// Whether large messages that have used up their share of a turn wait: memory is scarce, and
    /// the largest holders are being closed.
    pub(super) fn large_messages_wait(&self) -> bool {
        self.now < self.large_wait_until && self.has_scarce_memory()
    }

    /// Whether all that wait for room have sent so much of a message that they wait until memory is
    /// not short any more. That is looked at in the turns that [`watch_memory`](Self::watch_memory)
    /// needs and in those with events, so the core may sleep.
    pub(super) fn lacks_memory(&self) -> bool {
        self.deferring.all_lack_room() && self.is_short_of_memory()
    }

    /// Memory is short: closes holders until it no longer is. It is done at once, or
    /// over a few turns if there are very many connections, so that newcomers and publishers are
    /// kept waiting for moments only.
    #[cold]
    pub(super) fn watch_memory(&mut self) {
        let used = self.pools.ledger.used();
        if self.now < self.shed_again && used <= self.shed_above {
            return;
        }
        let most = self.pools.config.limits.short_memory();
        let Some(has_closed) = self.shed_memory(most) else { return };
        if has_closed {
            self.large_wait_until = self.now.after(LARGE_WAIT);
        }
        self.shed_again = self.now.after(if has_closed { SHED_EVERY } else { LOOK_EVERY });
        let grown = self.pools.config.limits.memory / GROWN;
        self.shed_above = if has_closed { usize::MAX } else { used.saturating_add(grown) };
    }

    /// When [`watch_memory`](Self::watch_memory) has to be called again.
    pub(super) fn watch_memory_at(&self) -> Millis {
        if self.is_short_of_memory() { self.shed_again } else { Millis::NEVER }
    }

    /// Closes holders of memory until connections hold no more than `most`, less what the service
    /// holds for all of them. First those of which a part of a message or a request has come, and
    /// the rest comes too slowly, however little each holds: they get 1008. If that is not enough,
    /// the largest: those that send more than they are allowed to get 1009, those that read too
    /// slowly 1013. What is held by connections that are closing already will be freed, so nobody
    /// else is closed for it; and none that holds less than its even share is closed for anything
    /// but being slow. Returns whether any was closed, or `None` if the search for them goes on in
    /// the next turn.
    fn shed_memory(&mut self, most: usize) -> Option<bool> {
        let turn = self.stats.turns;
        let mut survey = self.survey.take().filter(|survey| survey.is_of(turn));
        let mut overdue = Vec::new();
        let parts = (&mut self.slots, &mut self.driver, &self.pools, self.now);
        let is_complete =
            survey.get_or_insert_default().go_on(parts, (turn, self.budget.slots), &mut overdue);
        // They do not read, or have had their time to read the close frame.
        overdue.into_iter().for_each(|id| self.abort(id, CloseReason::Stalled));
        if !is_complete {
            self.survey = survey;
            return None;
        }
        let Survey { open, closing, holders, largest, slow, all_slow, has_overdue, .. } = *survey?;
        let by_service = self.pools.ledger.used().saturating_sub(open + closing);
        let room = most.saturating_sub(by_service.min(self.pools.config.limits.memory / 2));
        let mut excess = open.saturating_sub(room);
        let mut has_closed = has_overdue;
        let others_are_slow = all_slow > slow.len();
        for (held, id) in slow.into_sorted() {
            if excess == 0 {
                return Some(has_closed);
            }
            excess = excess.saturating_sub(held);
            self.shed(id, true);
            has_closed = true;
        }
        if others_are_slow && !self.has_scarce_memory() {
            return Some(has_closed);
        }
        let even_share = room / holders.max(1);
        for (held, id) in largest.into_sorted() {
            if excess == 0 || held <= even_share {
                break;
            }
            excess = excess.saturating_sub(held);
            self.shed(id, false);
            has_closed = true;
        }
        Some(has_closed)
    }

    /// Whether anything waits to be freed.
    #[inline]
    pub(super) fn has_discarded(&self) -> bool {
        !self.pools.discarded.is_empty() || !self.leftovers.is_empty()
    }

    /// Frees some of the large vectors of messages that are dropped, and of what waited for
    /// connections that were given up.
    #[cold]
    pub(super) fn free_discarded(&mut self) {
        let freed = self.pools.discarded.free_some();
        self.pools.work.charge(Work::of_freed(freed));
        let mut most = MAX_DROPPED;
        while most > 0
            && let Some(leftover) = self.leftovers.last_mut()
        {
            let (entries, messages) = leftover.drop_some(most, |vector| self.pools.give(vector));
            self.stats.dropped += messages;
            self.pools.work.charge(entries as u64 * Work::DROPPED);
            most -= entries;
            if leftover.is_empty() {
                self.leftovers.pop();
            }
        }
    }

    /// Drops what waits for a connection and may be dropped. The rest is sent in the time that a
    /// peer has for its answer to a close frame, or never.
    pub(super) fn cut_queue(&mut self, id: ConnectionId) {
        let Some(queue) = self.slots.get(id).and_then(|slot| slot.queue.as_mut()) else { return };
        self.stats.dropped += queue.queue.clear_droppable();
        queue.cut_at = self.now.after(self.pools.config.timeouts.close);
    }

    /// Closes a holder. If it is slow, it is of what it sends that it holds a part.
    fn shed(&mut self, id: ConnectionId, is_slow: bool) {
        let (now, config) = (self.now, &self.pools.config);
        let by_driver = self.driver.memory(id);
        let Some(slot) = self.slots.get(id) else { return };
        // What the driver holds was received, unless replies are being sent, encrypted.
        let received = slot.received_memory() + if slot.queue.is_none() { by_driver } else { 0 };
        let is_sender = received * 2 > slot.memory() + by_driver;
        let is_stuck = !is_sender && slot.is_stuck(now, config);
        self.stats.shed += 1;
        self.cut_queue(id);
        let (config, Some(slot)) = (&self.pools.config, self.slots.get(id)) else { return };
        if is_stuck && slot.committed() > config.limits.send_queue {
            return self.abort(id, CloseReason::Stalled);
        }
        let (code, text) = match (is_sender, is_slow) {
            (true, true) => (CloseCode::POLICY_VIOLATION, TOO_SLOW),
            (true, false) => (CloseCode::MESSAGE_TOO_BIG, REASON),
            (false, _) => (CloseCode::TRY_AGAIN_LATER, REASON),
        };
        let reason = CloseReason::Memory(code);
        // All that it holds is held by the driver, which needs more before anything can be said.
        if slot.session.phase() == Phase::Request && slot.memory() == 0 {
            return self.abort(id, reason);
        }
        // What it has received of a message is dropped with it.
        self.close(id, reason, text);
    }
}
