//! The end of a turn: one send for each connection that has something to say.

use std::ops::Range;

use super::Worker;
use crate::base::{Chunk, ConnectionId, Millis};
use crate::io::{Buffer, Driver, Payload};
use crate::session::{Handler, Output, Phase, Shared};

/// The most that one queued send takes.
const PIECE: usize = 256 << 10;

impl<D: Driver, H: Handler> Worker<D, H> {
    /// Sends what the turn has brought forth.
    #[inline]
    pub(super) fn flush(&mut self) {
        self.send_shared();
        let mut entries = std::mem::take(&mut self.turn.entries);
        for entry in &mut entries {
            let id = entry.id;
            let Some(slot) = self.slots.get(id) else {
                if let Some(buffer) = entry.buffer.take() {
                    self.driver.release(buffer);
                }
                continue;
            };
            slot.turn = 0;
            let timely =
                slot.connection.phase() == Phase::Open && slot.connection.deadline() >= slot.timer;
            let free = slot.queue.is_none();
            if slot.connection.phase() != Phase::Open
                && let Some(queue) = &mut slot.queue
            {
                // No message may follow a close frame (RFC 6455 section 5.5.1).
                queue.seal(self.shared.config.pubsub.slow);
            }
            if let Some(buffer) = entry.buffer.take() {
                let range = entry.output.in_place().unwrap_or_default();
                if free {
                    #[allow(clippy::cast_possible_truncation, reason = "buffers are <= 1 MiB")]
                    let (start, len) = (range.start as u32, range.len() as u32);
                    self.driver.send_now(id, Payload::Received { buffer, start, len });
                    if timely {
                        continue;
                    }
                } else {
                    self.queue_copy(id, &buffer, range);
                    self.driver.release(buffer);
                }
            } else if !entry.output.is_empty() {
                let piece = entry.output.take_chunk();
                if free {
                    self.driver.send_now(id, payload_of(piece));
                    if timely {
                        continue;
                    }
                } else {
                    self.queue_piece(id, piece);
                }
            }
            self.settle(id);
        }
        entries.clear();
        self.turn.entries = entries;
    }

    /// Sends to those who get what others get and nothing else. Their timers are as they were.
    #[inline]
    fn send_shared(&mut self) {
        let Self { turn, slots, driver, .. } = self;
        turn.send(|tokens, bytes| {
            for id in tokens {
                if let Some(slot) = slots.at(id.slot) {
                    slot.turn = 0;
                }
            }
            driver.send_shared(tokens, bytes);
        });
    }

    /// Behind what waits already.
    fn queue_copy(&mut self, id: ConnectionId, buffer: &Buffer, range: Range<usize>) {
        if let Some(queue) = self.slots.get(id).and_then(|slot| slot.queue.as_mut()) {
            queue.append(self.driver.bytes(buffer).get(range).unwrap_or_default());
        }
    }

    fn queue_piece(&mut self, id: ConnectionId, piece: Chunk) {
        if let Some(queue) = self.slots.get(id).and_then(|slot| slot.queue.as_mut())
            && let Some(copied) = queue.push(piece)
        {
            self.shared.buffers.give(copied);
        }
    }

    /// Everything about a connection that is not the plain case: its queue, its pauses, its end,
    /// its timer.
    fn settle(&mut self, id: ConnectionId) {
        self.send_queue(id);
        let limit = self.shared.config.limits.send_queue;
        let Some(slot) = self.slots.get(id) else { return };
        let owed = slot.owed();
        if owed > limit && !slot.paused {
            slot.paused = true;
            self.stats.paused += 1;
            if slot.receiving && !slot.cancelling {
                slot.cancelling = true;
                self.driver.cancel_receive(id);
            }
        } else if owed <= limit / 2 && slot.paused {
            slot.paused = false;
            self.arm_receive(id);
        }
        let Some(slot) = self.slots.get(id) else { return };
        if matches!(slot.connection.phase(), Phase::Lingering | Phase::Finished) && !slot.leaving {
            slot.leaving = true;
            self.leaving.push(id);
        }
        let due = slot.connection.deadline().min(slot.stall());
        if due < slot.timer || slot.timer <= self.now {
            slot.timer = due;
            self.wheel.set(id.slot, due.0);
        }
    }

    /// Hands the next piece of the queue to the kernel, or ends the queue if it is empty.
    fn send_queue(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        let Some(queue) = &mut slot.queue else { return };
        if !queue.is_sending() {
            // Between two pieces is as soon as a pong can go.
            let mut output = Output::default();
            slot.connection.release_pong(&mut self.shared, &mut output);
            if let Some(pong) = output.into_chunk().into_vec().filter(|pong| !pong.is_empty()) {
                queue.urge(&pong);
                self.shared.buffers.give(pong);
            }
        }
        let Shared { config, handler, buffers, .. } = &mut self.shared;
        let tag = slot.connection.tag();
        let gap = |subject: &str, lost, out: &mut Vec<u8>| handler.gap(tag, subject, lost, out);
        if let Some(piece) = queue.begin(config.pubsub.slow, gap, || buffers.take()) {
            if queue.stall == Millis::NEVER {
                queue.stall = self.now.after(config.timeouts.stall);
            }
            return self.driver.send_queued(id, payload_of(piece), PIECE);
        }
        if !queue.is_empty() {
            return;
        }
        slot.queue = None;
        self.shared.handler.drained(slot.connection.id());
    }
}

fn payload_of(piece: Chunk) -> Payload {
    match piece {
        Chunk::Owned { bytes, from } => Payload::Owned { bytes, from },
        Chunk::Shared { bytes, from } => Payload::Shared { bytes, from },
    }
}
