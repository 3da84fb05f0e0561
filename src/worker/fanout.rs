//! What a handler sends to other connections than the one that spoke.

use std::rc::Rc;

use super::slots::Slots;
use super::{Stats, Turn, Worker};
use crate::config::Config;
use crate::connection::{
    BufferPool, ConnectionId, Frames, Handler, Offer, Output, Phase, Post, Shared, Sink,
};
use crate::protocol::CloseCode;
use crate::ring::{Ring, Token};

/// How many deliveries are made in one turn: enough to be worth a call into the kernel, few enough
/// not to keep those waiting who speak.
const DELIVERIES: usize = 128;
/// What one connection is given in one turn, unless a single delivery is larger; more comes in the
/// next.
const MOST_AT_ONCE: usize = 64 << 10;
/// What the close frame says to a subscriber that reads too slowly.
const TOO_SLOW: &str = "reads too slowly";

impl<R: Ring, H: Handler> Worker<R, H> {
    /// Does what the handler wants done, and delivers a chunk of what it has to deliver.
    pub(super) fn fan_out(&mut self) {
        let mut errands = std::mem::take(&mut self.errands);
        self.shared.handler.turn(self.now, &mut errands);
        for (id, post) in errands.posts.drain(..) {
            self.post(token(id), post);
        }
        for core in errands.bells.drain(..) {
            if let Some(peer) = self.peers.get(core) {
                self.ring.ring_bell(peer);
            }
        }
        self.errands = errands;
        if self.shared.handler.is_busy() {
            self.deliver();
        }
    }

    fn deliver(&mut self) {
        let Shared { handler, buffers, config, .. } = &mut self.shared;
        let mut delivering = Delivering {
            ring: &mut self.ring,
            slots: &mut self.slots,
            turn: &mut self.turn,
            too_slow: &mut self.too_slow,
            stats: &mut self.stats,
            buffers,
            config,
        };
        handler.deliver(DELIVERIES, &mut delivering);
        while let Some(token) = self.too_slow.pop() {
            self.stats.too_slow += 1;
            if let Some(queue) = self.slots.get(token).and_then(|slot| slot.queue.as_mut()) {
                self.stats.dropped += queue.clear_frames();
            }
            self.close(token, CloseCode::TRY_AGAIN_LATER, TOO_SLOW);
        }
    }

    fn post(&mut self, token: Token, post: Post) {
        let Some(slot) = self.slots.get(token) else { return };
        match post {
            Post::Frames(bytes) => {
                if slot.connection.phase() == Phase::Open
                    && let Some(entry) = self.entry(token)
                {
                    entry.output.append(&bytes, Vec::new);
                }
            }
            Post::Hold => slot.queue.get_or_insert_default().hold(true),
            Post::Release => {
                if let Some(queue) = &mut slot.queue {
                    queue.hold(false);
                    self.touch(token);
                }
            }
            Post::Pause => {
                slot.withheld = true;
                if slot.receiving && !slot.cancelling {
                    slot.cancelling = true;
                    self.ring.cancel_receive(token);
                }
            }
            Post::Resume => {
                slot.withheld = false;
                self.arm_receive(token);
            }
            Post::Close(code, reason) => self.close(token, code, reason),
        }
    }

    /// Closes a connection with `code`.
    pub(super) fn close(&mut self, token: Token, code: CloseCode, reason: &str) {
        let Some(entry) = self.entry(token) else { return };
        let mut output = std::mem::take(&mut entry.output);
        if let Some(slot) = self.slots.get(token) {
            // What is held back might never come; the end must.
            if let Some(queue) = &mut slot.queue {
                queue.hold(false);
            }
            slot.connection.close(self.now, code, reason, &mut self.shared, &mut output);
        }
        if let Some(entry) = self.entry(token) {
            entry.output = output;
        }
        // The peer's answer has to be read, whatever kept it from being read so far.
        self.arm_receive(token);
    }
}

const fn token(id: ConnectionId) -> Token {
    Token { slot: id.slot, generation: id.generation }
}

/// The worker without its handler, which does the delivering.
struct Delivering<'w, R> {
    ring: &'w mut R,
    slots: &'w mut Slots,
    turn: &'w mut Turn,
    too_slow: &'w mut Vec<Token>,
    stats: &'w mut Stats,
    buffers: &'w mut BufferPool,
    config: &'w Config,
}

impl<R: Ring> Sink for Delivering<'_, R> {
    #[inline]
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> bool {
        let Some(slot) = self.slots.get(token(to)) else { return true };
        if slot.connection.phase() != Phase::Open {
            return true;
        }
        if slot.turn != 0 || slot.queue.is_some() {
            return self.add(token(to), frames);
        }
        self.turn.share(slot, frames.bytes());
        true
    }

    fn is_congested(&mut self, to: ConnectionId) -> bool {
        self.slots.get(token(to)).is_some_and(|slot| slot.is_congested())
    }
}

impl<R: Ring> Delivering<'_, R> {
    /// Delivers to a connection that has something else to be sent in this turn, or has not read
    /// all of what it was sent before.
    #[cold]
    fn add(&mut self, token: Token, frames: &Rc<Frames>) -> bool {
        let Some(slot) = self.slots.get(token) else { return true };
        let Some(entry) = self.turn.entry(slot) else { return true };
        if entry.delivered > 0 && entry.delivered + frames.len() > MOST_AT_ONCE {
            return false;
        }
        entry.delivered += frames.len();
        if let Some(buffer) = entry.buffer.take() {
            entry.output.spill(self.ring.bytes(&buffer), || self.buffers.take());
            self.ring.release(buffer);
        }
        // One that has just been emptied ends with the turn: its reader is not a slow one.
        let waiting = slot.queue.as_mut().filter(|queue| !queue.is_empty());
        let Some(queue) = waiting else {
            if entry.output.is_empty() {
                entry.output = Output::of_shared(frames.bytes());
            } else {
                entry.output.append(frames.bytes(), || self.buffers.take());
            }
            return true;
        };
        // What it was answered in this turn comes first.
        if !entry.output.is_empty()
            && let Some(copied) = queue.push(std::mem::take(&mut entry.output).into_piece())
        {
            self.buffers.give(copied);
        }
        let pubsub = &self.config.pubsub;
        match queue.offer(frames, pubsub.slow, pubsub.queue) {
            Offer::Queued(lost) | Offer::Dropped(lost) => self.stats.dropped += lost,
            Offer::TooSlow => {
                self.stats.dropped += u64::from(frames.messages());
                self.too_slow.push(token);
            }
        }
        true
    }
}
