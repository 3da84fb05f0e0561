//! What the service does to connections at the end of a turn.

use std::rc::Rc;

use super::core::Core;
use super::slots::Blocked;
use crate::base::ConnectionId;
use crate::io::Driver;
use crate::protocol::http::Response;
use crate::protocol::websocket::handshake::Refusal;
use crate::session::{
    Accept, CloseReason, Delivered, Frames, Offer, Outbound, Output, Phase, Replies,
};

/// What one connection is given in one turn, unless a single delivery is larger. More follows in
/// the next turn.
const MAX_DELIVERED: usize = 64 << 10;
/// The reason in the close frame to a subscriber that reads too slowly.
const TOO_SLOW: &str = "reads too slowly";

impl<D: Driver> Outbound for Core<D> {
    #[inline]
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> Delivered {
        let Some(slot) = self.slots.get(to) else { return Delivered::Taken };
        if slot.session.phase() != Phase::Open {
            return Delivered::Taken;
        }
        if !slot.outbox.is_none() || slot.queue.is_some() {
            return self.deliver_behind(to, frames);
        }
        self.outbox.broadcast(slot, frames.bytes());
        Delivered::Taken
    }

    fn answer(&mut self, to: ConnectionId, frames: &[u8]) -> bool {
        if self.slots.get(to).is_some_and(|slot| slot.session.phase() == Phase::Open)
            && let Some(entry) = self.entry(to)
        {
            entry.output.append(frames, Vec::new);
            self.pools.counts.written += 1;
            return true;
        }
        false
    }

    fn answer_shared(&mut self, to: ConnectionId, frames: &Rc<Frames>) {
        if self.slots.get(to).is_some_and(|slot| slot.session.phase() == Phase::Open)
            && let Some(entry) = self.entry(to)
        {
            entry.delivered += frames.len();
            entry.output.append_frames(frames.bytes(), Vec::new);
        }
    }

    fn with_replies(&mut self, to: ConnectionId, act: impl FnOnce(&mut Replies<'_>)) -> bool {
        let mut is_open = false;
        self.with_output(to, |slot, now, pools, output| {
            is_open = slot.session.reply(now, slot.backlog(), pools, output, act);
        });
        if is_open {
            // It may be closing now: then the peer's answer has to be read.
            self.list_for_retry(to);
            self.update_receive(to);
        }
        is_open
    }

    fn respond(
        &mut self,
        to: ConnectionId,
        decision: Result<Option<Accept>, Refusal>,
        open: impl FnOnce(&mut Replies<'_>),
    ) -> bool {
        let mut is_open = false;
        self.with_output(to, |slot, now, pools, output| {
            is_open = slot.session.respond(now, decision, pools, output, open);
        });
        self.set_reading(to, true);
        is_open
    }

    fn is_deciding(&mut self, id: ConnectionId) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.session.phase() == Phase::Deciding)
    }

    fn answer_request(&mut self, to: ConnectionId, response: &Response) {
        self.with_output(to, |slot, now, pools, output| {
            slot.session.answer_request(now, response, pools, output);
        });
        self.set_reading(to, true);
    }

    fn set_reading(&mut self, id: ConnectionId, on: bool) {
        let Some(slot) = self.slots.get(id) else { return };
        slot.blocked.set(Blocked::BY_SERVICE, !on);
        self.list_for_retry(id);
        self.update_receive(id);
    }

    fn close(&mut self, id: ConnectionId, reason: CloseReason, text: &str) {
        if self.is_deciding(id) {
            self.undecided.push(id);
        }
        self.with_output(id, |slot, now, pools, output| {
            slot.session.close(now, reason, text, pools, output);
        });
        // The peer's answer has to be read, whatever kept it from being read so far.
        self.list_for_retry(id);
        self.pace_receive(id);
        self.update_receive(id);
    }

    fn has_backlog(&mut self, id: ConnectionId) -> bool {
        self.slots.get(id).is_some_and(|slot| slot.queue.is_some())
    }

    fn wake(&mut self, core: usize) {
        if let Some(peer) = self.peers.get(core) {
            self.driver.wake_peer(peer);
        }
    }
}

impl<D: Driver> Core<D> {
    /// Delivers to a connection that has other output in this turn, or has not read all of what it
    /// was sent before.
    #[cold]
    fn deliver_behind(&mut self, id: ConnectionId, frames: &Rc<Frames>) -> Delivered {
        let Some(slot) = self.slots.get(id) else { return Delivered::Taken };
        let taken = if slot.outbox.is_none() { Delivered::Taken } else { Delivered::Joined };
        let Some(entry) = self.outbox.entry(slot) else { return taken };
        if entry.delivered > 0 && entry.delivered + frames.len() > MAX_DELIVERED {
            // Nothing that follows in this turn may overtake it.
            entry.delivered = MAX_DELIVERED;
            return Delivered::NextTurn;
        }
        entry.delivered += frames.len();
        let buffers = &mut self.pools.buffers;
        if let Some(buffer) = entry.buffer.take() {
            entry.output.copy_out(self.driver.bytes(&buffer), || buffers.take());
            self.driver.release(buffer);
        }
        // A queue that has just been emptied ends with the turn: its reader is not a slow one.
        let waiting = slot.queue.as_mut().filter(|queue| !queue.queue.is_empty());
        let Some(queue) = waiting else {
            if entry.output.is_empty() {
                entry.output = Output::of_shared(frames.bytes());
            } else {
                entry.output.append_frames(frames.bytes(), || buffers.take());
            }
            return taken;
        };
        // The answers of this turn come first.
        queue.queue.push_output(&mut entry.output, |copied| buffers.give(copied));
        match queue.queue.offer(frames, &mut self.drops) {
            Offer::Queued(lost) | Offer::Dropped(lost) => self.stats.dropped += lost,
            Offer::Later(lost) => {
                self.stats.dropped += lost;
                entry.delivered = MAX_DELIVERED;
                return Delivered::NextTurn;
            }
            Offer::TooSlow => {
                self.stats.dropped += u64::from(frames.messages());
                self.too_slow.push(id);
            }
        }
        taken
    }

    /// Closes the subscribers that read too slowly.
    pub(super) fn close_too_slow(&mut self) {
        while let Some(id) = self.too_slow.pop() {
            self.stats.too_slow += 1;
            if let Some(queue) = self.slots.get(id).and_then(|slot| slot.queue.as_mut()) {
                self.stats.dropped += queue.queue.clear_droppable();
            }
            self.close(id, CloseReason::TooSlow, TOO_SLOW);
        }
    }
}
