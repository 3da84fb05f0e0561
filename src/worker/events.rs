//! What each event means for its connection.

use std::time::Duration;

use super::Worker;
use super::put_off::is_put_off;
use crate::base::{Chunk, ConnectionId, Millis};
use crate::io::{Buffer, Driver, Errno, Event, Payload, Received};
use crate::session::{CloseReason, Handler, Output, Phase};

/// Replies of one turn that are sent at once; what goes beyond is queued.
const MOST_AT_ONCE: usize = 256 << 10;
/// How long until a cancel that brought nothing is repeated.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

impl<D: Driver, H: Handler> Worker<D, H> {
    #[inline]
    pub(super) fn handle(&mut self, event: Event) {
        match event {
            Event::Received { id, outcome: Received::Data { buffer, len }, armed } => {
                self.received(id, buffer, len, armed);
            }
            Event::Received { id, outcome, armed } => {
                if let Some(slot) = self.slots.get(id) {
                    if slot.put_off > 0 {
                        return self.put_off(id, outcome, armed);
                    }
                    slot.receiving = armed;
                }
                self.receive_ended(id, &outcome, !armed);
            }
            Event::Accepted { listener, result, armed } => self.accepted(listener, result, armed),
            Event::FellShort { id, rest, error } => self.fell_short(id, rest, error),
            Event::Sent { id, payload, result } => self.sent(id, payload, result),
            Event::HalfClosed { id } => {
                if let Some(slot) = self.slots.get(id) {
                    slot.half_closing = false;
                    slot.half_closed = true;
                    self.touch(id);
                } else {
                    self.stats.stale += 1;
                }
            }
            // What there is to do is looked at in every turn.
            Event::Woken => {}
        }
    }

    #[inline]
    fn received(&mut self, id: ConnectionId, buffer: Buffer, len: usize, armed: bool) {
        self.take::<true>(id, buffer, len, !armed);
    }

    /// Hands what was received to its connection; with it the receive may have `stopped`. Unless it
    /// is `NEW`, it was put off and counts no more for what the kernel holds.
    #[inline(always)]
    pub(super) fn take<const NEW: bool>(
        &mut self,
        id: ConnectionId,
        buffer: Buffer,
        len: usize,
        stopped: bool,
    ) {
        let Some(slot) = self.slots.get(id) else {
            self.stats.stale += 1;
            return self.driver.release(buffer);
        };
        if NEW {
            if is_put_off(slot, &self.shared.handler) {
                return self.put_off(id, Received::Data { buffer, len }, !stopped);
            }
            slot.receiving = !stopped;
        }
        let Some(entry) = self.turn.entry(slot) else { return };
        // What many receives of one turn bring must not become one vector that grows and grows.
        if entry.output.owned_len() > MOST_AT_ONCE {
            let (bytes, from) = std::mem::take(&mut entry.output).into_owned();
            let piece = Chunk::Owned { bytes, from };
            if let Some(copied) = slot.queue.get_or_insert_default().push(piece) {
                self.shared.buffers.give(copied);
            }
        }
        let congested = slot.queue.is_some();
        // A second receive in one turn: the replies become one run of bytes, for one send.
        if let Some(earlier) = entry.buffer.take() {
            let buffers = &mut self.shared.buffers;
            entry.output.spill(self.driver.bytes(&earlier), || buffers.take());
            self.driver.release(earlier);
        }
        let bytes = self.driver.bytes(&buffer).get_mut(..len).unwrap_or_default();
        let output = &mut entry.output;
        slot.connection.receive(self.now, bytes, congested, &mut self.shared, output);
        if output.in_place().is_some() {
            entry.buffer = Some(buffer);
        } else {
            self.driver.release(buffer);
        }
        if stopped {
            self.receive_stopped(id);
        }
    }

    /// A multishot receive is no longer armed, whatever else its last event said.
    fn receive_stopped(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id) {
            slot.receiving = false;
            slot.cancelling = false;
            self.arm_receive(id);
            self.touch(id);
        }
    }

    /// Arms the receive of a connection that may be read from and is not.
    pub(super) fn arm_receive(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        let finished = slot.connection.phase() == Phase::Finished;
        let withheld = slot.withheld && slot.connection.phase() == Phase::Open;
        let unwanted = slot.paused || withheld || slot.starved || slot.put_off > 0;
        if !slot.receiving && !slot.ended && !unwanted && !finished {
            slot.receiving = true;
            self.driver.receive(id, true);
        }
    }

    /// A receive brought no bytes, but an end or an error; with it it may have `stopped`.
    pub(super) fn receive_ended(&mut self, id: ConnectionId, outcome: &Received, stopped: bool) {
        let Some(slot) = self.slots.get(id) else {
            self.stats.stale += 1;
            return;
        };
        match outcome {
            Received::Eof => {
                slot.ended = true;
                slot.connection.receive_eof(self.now, &self.shared.config);
            }
            Received::NoBuffers => {
                self.stats.no_buffers += 1;
                if stopped && !slot.starved && !slot.ended {
                    slot.starved = true;
                    self.starved.push_back(id);
                }
            }
            Received::Failed(_) => {
                slot.ended = true;
                return self.abort(id, CloseReason::Broken);
            }
            Received::Cancelled | Received::Data { .. } => {}
        }
        if stopped {
            self.receive_stopped(id);
        } else {
            self.touch(id);
        }
    }

    /// Arms again those that found no buffer, a batch in each turn.
    pub(super) fn feed_starved(&mut self) {
        for _ in 0..self.starved.len().min(super::BATCH) {
            let Some(id) = self.starved.pop_front() else { return };
            if let Some(slot) = self.slots.get(id) {
                slot.starved = false;
                self.arm_receive(id);
            }
        }
    }

    fn fell_short(&mut self, id: ConnectionId, rest: Payload, error: Option<Errno>) {
        self.stats.short_sends += 1;
        let rest = self.piece(rest);
        let Some(slot) = self.slots.get(id) else {
            self.stats.stale += 1;
            return self.give(rest);
        };
        if error.is_some() || slot.aborted {
            self.give(rest);
            return self.abort(id, CloseReason::Broken);
        }
        if let Some(copied) = slot.queue.get_or_insert_default().put_back(rest) {
            self.shared.buffers.give(copied);
        }
        self.touch(id);
    }

    /// What comes back from the ring, out of the receive buffers.
    fn piece(&mut self, payload: Payload) -> Chunk {
        match payload {
            Payload::Owned { bytes, from } => Chunk::Owned { bytes, from },
            Payload::Shared { bytes, from } => Chunk::Shared { bytes, from },
            Payload::Received { buffer, start, len } => {
                let mut bytes = self.shared.buffers.take();
                let range = start as usize..start as usize + len as usize;
                bytes.extend_from_slice(self.driver.bytes(&buffer).get(range).unwrap_or_default());
                self.driver.release(buffer);
                Chunk::Owned { bytes, from: 0 }
            }
        }
    }

    fn give(&mut self, piece: Chunk) {
        if let Some(memory) = piece.into_vec() {
            self.shared.buffers.give(memory);
        }
    }

    fn sent(&mut self, id: ConnectionId, payload: Payload, result: Result<usize, Errno>) {
        let piece = self.piece(payload);
        let Some(slot) = self.slots.get(id) else {
            self.stats.stale += 1;
            return self.give(piece);
        };
        let Some(queue) = &mut slot.queue else {
            return self.give(piece);
        };
        match result {
            Ok(sent) if sent > 0 && !slot.aborted => {
                // A byte of progress is enough.
                queue.stall = self.now.after(self.shared.config.timeouts.stall);
                if let Some(memory) = queue.end(piece, sent) {
                    self.shared.buffers.give(memory);
                }
                self.touch(id);
            }
            _ => {
                queue.end(piece, usize::MAX);
                self.abort(id, CloseReason::Broken);
            }
        }
    }

    /// Gives a connection up: what waits to be sent is dropped.
    pub(super) fn abort(&mut self, id: ConnectionId, reason: CloseReason) {
        if let Some(slot) = self.slots.get(id) {
            slot.connection.abort(reason);
            slot.aborted = true;
            if let Some(queue) = &mut slot.queue {
                queue.stall = Millis::NEVER;
                self.stats.dropped += queue.clear();
                if queue.is_sending() {
                    self.driver.cancel_send(id);
                    // A cancel may miss a send that is just being tried: once more then.
                    queue.stall = self.now.after(CANCEL_AGAIN);
                }
            }
            // Output of this turn would be sent to nobody.
            if let Some(entry) = self.entry(id) {
                entry.output = Output::default();
            }
        }
    }
}
