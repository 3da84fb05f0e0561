//! What a handler sends to other connections than the one that spoke.

use std::rc::Rc;

use super::slots::Slots;
use super::{Stats, Turn, Worker};
use crate::base::{BufferPool, ConnectionId};
use crate::config::Config;
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{Frames, Handler, Offer, Output, Phase, Post, Shared, Sink};

/// How many deliveries are made in one turn: enough to be worth a call into the kernel, few enough
/// not to keep those waiting who speak.
const DELIVERIES: usize = 128;
/// What one connection is given in one turn, unless a single delivery is larger; more comes in the
/// next.
const MOST_AT_ONCE: usize = 64 << 10;
/// What the close frame says to a subscriber that reads too slowly.
const TOO_SLOW: &str = "reads too slowly";

impl<D: Driver, H: Handler> Worker<D, H> {
    /// Does what the handler wants done, and delivers a chunk of what it has to deliver.
    pub(super) fn fan_out(&mut self) {
        let mut errands = std::mem::take(&mut self.errands);
        self.shared.handler.turn(self.now, &mut errands);
        for (id, post) in errands.posts.drain(..) {
            self.post(id, post);
        }
        for core in errands.bells.drain(..) {
            if let Some(peer) = self.peers.get(core) {
                self.driver.wake_peer(peer);
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
            driver: &mut self.driver,
            slots: &mut self.slots,
            turn: &mut self.turn,
            too_slow: &mut self.too_slow,
            stats: &mut self.stats,
            buffers,
            config,
        };
        handler.deliver(DELIVERIES, &mut delivering);
        while let Some(id) = self.too_slow.pop() {
            self.stats.too_slow += 1;
            if let Some(queue) = self.slots.get(id).and_then(|slot| slot.queue.as_mut()) {
                self.stats.dropped += queue.clear_frames();
            }
            self.close(id, CloseCode::TRY_AGAIN_LATER, TOO_SLOW);
        }
    }

    fn post(&mut self, id: ConnectionId, post: Post) {
        let Some(slot) = self.slots.get(id) else { return };
        match post {
            Post::Frames(bytes) => {
                if slot.connection.phase() == Phase::Open
                    && let Some(entry) = self.entry(id)
                {
                    entry.output.append(&bytes, Vec::new);
                }
            }
            Post::Hold => slot.queue.get_or_insert_default().hold(true),
            Post::Release => {
                if let Some(queue) = &mut slot.queue {
                    queue.hold(false);
                    self.touch(id);
                }
            }
            Post::Pause => {
                slot.withheld = true;
                if slot.receiving && !slot.cancelling {
                    slot.cancelling = true;
                    self.driver.cancel_receive(id);
                }
            }
            Post::Resume => {
                slot.withheld = false;
                self.arm_receive(id);
            }
            Post::Close(code, reason) => self.close(id, code, reason),
        }
    }

    /// Closes a connection with `code`.
    pub(super) fn close(&mut self, id: ConnectionId, code: CloseCode, reason: &str) {
        let Some(entry) = self.entry(id) else { return };
        let mut output = std::mem::take(&mut entry.output);
        if let Some(slot) = self.slots.get(id) {
            // What is held back might never come; the end must.
            if let Some(queue) = &mut slot.queue {
                queue.hold(false);
            }
            slot.connection.close(self.now, code, reason, &mut self.shared, &mut output);
        }
        if let Some(entry) = self.entry(id) {
            entry.output = output;
        }
        // The peer's answer has to be read, whatever kept it from being read so far.
        self.arm_receive(id);
    }
}

/// The worker without its handler, which does the delivering.
struct Delivering<'w, D> {
    driver: &'w mut D,
    slots: &'w mut Slots,
    turn: &'w mut Turn,
    too_slow: &'w mut Vec<ConnectionId>,
    stats: &'w mut Stats,
    buffers: &'w mut BufferPool,
    config: &'w Config,
}

impl<D: Driver> Sink for Delivering<'_, D> {
    #[inline]
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> bool {
        let Some(slot) = self.slots.get(to) else { return true };
        if slot.connection.phase() != Phase::Open {
            return true;
        }
        if slot.turn != 0 || slot.queue.is_some() {
            return self.add(to, frames);
        }
        self.turn.share(slot, frames.bytes());
        true
    }

    fn is_congested(&mut self, to: ConnectionId) -> bool {
        self.slots.get(to).is_some_and(|slot| slot.is_congested())
    }
}

impl<D: Driver> Delivering<'_, D> {
    /// Delivers to a connection that has something else to be sent in this turn, or has not read
    /// all of what it was sent before.
    #[cold]
    fn add(&mut self, id: ConnectionId, frames: &Rc<Frames>) -> bool {
        let Some(slot) = self.slots.get(id) else { return true };
        let Some(entry) = self.turn.entry(slot) else { return true };
        if entry.delivered > 0 && entry.delivered + frames.len() > MOST_AT_ONCE {
            return false;
        }
        entry.delivered += frames.len();
        if let Some(buffer) = entry.buffer.take() {
            entry.output.spill(self.driver.bytes(&buffer), || self.buffers.take());
            self.driver.release(buffer);
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
            && let Some(copied) = queue.push(std::mem::take(&mut entry.output).into_chunk())
        {
            self.buffers.give(copied);
        }
        let pubsub = &self.config.pubsub;
        match queue.offer(frames, pubsub.slow, pubsub.queue) {
            Offer::Queued(lost) | Offer::Dropped(lost) => self.stats.dropped += lost,
            Offer::TooSlow => {
                self.stats.dropped += u64::from(frames.messages());
                self.too_slow.push(id);
            }
        }
        true
    }
}
