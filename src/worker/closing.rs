//! The end of a connection: what was sent is known to be sent, every operation has returned, and
//! only then its slot is closed.

use super::Worker;
use super::access::log_end;
use super::core::Core;
use super::slots::{Blocked, Flags, Receive};
use crate::base::{ConnectionId, Work};
use crate::io::Driver;
use crate::session::{CloseReason, Phase, Service, Session};

/// The connections that are ended in one turn hold about so many bytes at most. To free them takes
/// the kernel about a millisecond.
const MAX_FREED: usize = 32 << 20;
/// So many connections are looked at in one turn. Each that ends costs some microseconds, and one
/// that ends in order counts for [`IN_ORDER`]: the kernel sends FIN and takes that of the peer.
const MAX_LOOKED_AT: usize = 512;
const IN_ORDER: usize = 4;
/// What the kernel may hold for a peer that has not read what it was sent.
const KERNEL_QUEUE: usize = 4 << 20;
/// At most one slot in so many rests.
const RESTING: usize = 64;

impl<D: Driver, S: Service> Worker<D, S> {
    /// Looks at every connection that is ending. Runs after all events, so an empty queue means
    /// that the kernel has taken every byte.
    pub(super) fn reap(&mut self) {
        for id in std::mem::take(&mut self.core.undecided) {
            self.service.undecided(id);
        }
        let mut closing = std::mem::take(&mut self.core.closing);
        let (mut at, mut looked_at, mut freed) = (0, 0, 0);
        while let Some(&id) = closing.get(at)
            && freed < MAX_FREED
            && looked_at < MAX_LOOKED_AT
        {
            (at, looked_at) = (at + 1, looked_at + 1);
            let Some(slot) = self.core.slots.get(id) else { continue };
            slot.flags.remove(Flags::CLOSING);
            // It has output in this turn still; the end of the turn lists it again.
            if !slot.outbox.is_none() {
                continue;
            }
            if slot.session.reason() != Some(CloseReason::Broken) {
                looked_at += IN_ORDER - 1;
            }
            match slot.session.phase() {
                Phase::Lingering => self.core.half_close_when_sent(id),
                Phase::Finished => {
                    freed += slot.memory();
                    if slot.flags.contains(Flags::ABORTED) {
                        freed += KERNEL_QUEUE;
                    }
                    self.release_slot(id);
                }
                Phase::Request | Phase::Deciding | Phase::Open | Phase::Closing => {}
            }
        }
        closing.drain(..at);
        if self.core.closing.is_empty() {
            self.core.closing = closing;
        } else {
            self.core.closing.append(&mut closing);
        }
    }

    /// Cancels what the kernel holds; closes once it holds nothing.
    fn release_slot(&mut self, id: ConnectionId) {
        let core = &mut self.core;
        let Some(slot) = core.slots.get(id) else { return };
        if slot.queue.is_some() {
            return;
        }
        let is_over = Flags::ABORTED | Flags::HALF_CLOSING | Flags::HALF_CLOSED;
        if !slot.flags.intersects(is_over) && core.driver.has_end(id) {
            return core.end_transport(id);
        }
        if matches!(slot.receive, Receive::Armed | Receive::Cancelling) {
            return core.update_receive(id);
        }
        if slot.flags.contains(Flags::HALF_CLOSING) {
            return;
        }
        core.drop_deferred(id);
        self.service.left(id);
        core.close_or_retire(id);
        core.wheel.clear(id.slot);
        core.trackers.remove(&id);
        core.meters.reset(id.slot);
        if let Some(mut slot) = core.slots.remove(id.slot) {
            tracing::trace!(slot = id.slot, reason = ?slot.session.reason(), "closed");
            if let Some(reason) = slot.session.reason() {
                let client = self.service.client_addr(id);
                let is_refused = matches!(reason, CloseReason::Refused(_));
                let said = if is_refused { core.pools.said.take(id) } else { None };
                core.refusals.ended((reason, said), client, core.now, &mut core.stats);
            }
            if core.pools.config.access_log && slot.session.is_websocket() {
                let client = self.service.client_addr(id);
                log_end(&id.of_loop(self.number), slot.session.reason(), client);
            }
            core.count_end(&slot.session);
            slot.session.finish(&mut core.pools, &mut self.service);
        }
        core.pools.work.charge(Work::END);
        core.retry_accepts_now();
    }
}

impl<D: Driver> Core<D> {
    /// Counts a connection that has ended.
    pub(super) fn count_end(&mut self, session: &Session) {
        if session.is_admin() {
            self.stats.admin -= 1;
            return;
        }
        self.stats.closed += 1;
        self.stats.closes.count(session.reason().unwrap_or(CloseReason::Broken));
    }

    /// Closes a connection. If it has the last id of its slot, the slot rests, so that its ids are
    /// not given again soon: the kernel gives the slot that was freed last.
    fn close_or_retire(&mut self, id: ConnectionId) {
        if id.generation != ConnectionId::GENERATION_MASK || !self.driver.retire(id) {
            return self.driver.close(id);
        }
        self.slots.retired.push_back(id.slot);
        if self.slots.retired.len() > (self.driver.slots() as usize / RESTING).max(1) {
            self.return_retired();
        }
    }

    /// The slot that has rested longest may be used again. Returns whether there was one.
    pub(super) fn return_retired(&mut self) -> bool {
        let Some(slot) = self.slots.retired.pop_front() else { return false };
        self.driver.close(ConnectionId { slot, generation: ConnectionId::GENERATION_MASK });
        true
    }

    /// Sends FIN once all else is sent. The receive goes on, to read and throw away.
    fn half_close_when_sent(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        let sent = Flags::HALF_CLOSING | Flags::HALF_CLOSED;
        if slot.queue.is_none() && !slot.flags.intersects(sent) {
            slot.flags.insert(Flags::HALF_CLOSING);
            self.driver.half_close(id);
            self.pace_receive(id);
        }
    }

    /// Has the end of a transport sent, and waits for that of the peer unless it has come.
    #[cold]
    fn end_transport(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id)
            && !slot.flags.contains(Flags::INPUT_ENDED)
        {
            slot.session.linger(self.now, &self.pools.config);
        }
        self.half_close_when_sent(id);
        // A session that had finished was not read from.
        self.update_receive(id);
        self.mark_dirty(id);
    }

    /// From now on what is received is discarded, one buffer in a turn: a peer that floods it must
    /// not keep the core and the buffers from others.
    pub(super) fn pace_receive(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id)
            && slot.receive == Receive::Armed
        {
            slot.blocked.insert(Blocked::REARMING);
            self.update_receive(id);
        }
    }

    /// FIN has been sent.
    pub(super) fn on_half_closed(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id) {
            slot.flags.remove(Flags::HALF_CLOSING);
            slot.flags.insert(Flags::HALF_CLOSED);
            self.mark_dirty(id);
        } else {
            self.stats.stale += 1;
        }
    }
}
