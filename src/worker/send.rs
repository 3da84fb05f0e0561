//! The end of a turn: one send for each connection that has output, and the one place that decides
//! whether it is sent now or queued.

use std::rc::Rc;

use super::Worker;
use super::core::Core;
use super::outbox::queue_output;
use super::slots::{Blocked, Flags, Slot};
use crate::base::{Chunk, ConnectionId, Millis, Shared};
use crate::io::{Driver, Errno, Payload};
use crate::session::{CloseReason, Output, Phase, Service};

/// The most bytes that one queued send takes.
const MAX_QUEUED_SEND: usize = 256 << 10;
/// Longer outputs count as large.
const LARGE: usize = 64 << 10;
/// Longer outputs are queued, and sent in pieces.
const MAX_SENT_AT_ONCE: usize = 1 << 20;
/// The most bytes of large and queued sends in one turn. The last send may exceed it. The kernel
/// copies these bytes during the call; 2 MiB take one to two milliseconds.
const MAX_SENT_LARGE: usize = 2 << 20;
/// What a gap notice counts for of these, besides its bytes: to write it takes longer than to copy
/// these.
const NOTICE: usize = 512;

impl<D: Driver, S: Service> Worker<D, S> {
    /// Sends the output of this turn.
    #[inline]
    pub(super) fn flush(&mut self) {
        self.begin_flush();
        let mut entries = std::mem::take(&mut self.core.outbox.entries);
        for entry in &mut entries {
            let (id, core) = (entry.id, &mut self.core);
            let Some(slot) = core.slots.get(id) else {
                if let Some(buffer) = entry.buffer.take() {
                    core.driver.release(buffer);
                }
                continue;
            };
            slot.outbox.clear();
            let is_open = slot.session.phase() == Phase::Open;
            // Nothing but the send is to be done for an open connection whose timer is early
            // enough.
            let is_plain = is_open && slot.session.deadline() >= slot.timer;
            let Some(queue) = &mut slot.queue else {
                if let Some(buffer) = entry.buffer.take() {
                    let range = entry.output.in_place().unwrap_or_default();
                    #[allow(clippy::cast_possible_truncation, reason = "buffers are <= 1 MiB")]
                    let (start, len) = (range.start as u32, range.len() as u32);
                    core.stats.sent_bytes += u64::from(len);
                    core.driver.send_now(id, Payload::Received { buffer, start, len });
                    if is_plain {
                        continue;
                    }
                } else if entry.output.is_split() {
                    queue_output(entry, slot, &mut core.pools);
                } else if !entry.output.is_empty() {
                    let chunk = entry.output.take_chunk();
                    if chunk.rest().len() > LARGE {
                        self.send_large(id, chunk);
                        continue;
                    }
                    core.stats.sent_bytes += chunk.rest().len() as u64;
                    core.driver.send_now(id, Payload::Chunk(chunk));
                    if is_plain {
                        continue;
                    }
                }
                self.update_state(id);
                continue;
            };
            if !is_open {
                // No message may follow a close frame (RFC 6455 section 5.5.1).
                queue.queue.before_close();
            }
            if let Some(buffer) = entry.buffer.take() {
                let range = entry.output.in_place().unwrap_or_default();
                queue.queue.append(core.driver.bytes(&buffer).get(range).unwrap_or_default());
                core.driver.release(buffer);
            } else {
                let buffers = &mut core.pools.buffers;
                queue.queue.push_output(&mut entry.output, |copied| buffers.give(copied));
            }
            self.update_state(id);
        }
        entries.clear();
        self.core.outbox.entries = entries;
    }

    /// What is not in the entries of this turn: broadcasts, and sends that waited.
    #[inline]
    fn begin_flush(&mut self) {
        let large = self.core.send_broadcasts();
        if self.core.sent_large > 0 {
            self.begin_sends();
        }
        if !large.is_empty() {
            self.send_large_broadcasts(large);
        }
    }

    /// The large sends of a new turn begin. Those that waited go first, so that those of this turn
    /// do not take their place again and again.
    #[cold]
    fn begin_sends(&mut self) {
        self.core.sent_large = 0;
        for _ in 0..self.core.awaiting_send.len().min(MAX_SENT_LARGE / MAX_QUEUED_SEND) {
            let Some(id) = self.core.awaiting_send.pop_front() else { return };
            if let Some(slot) = self.core.slots.get(id) {
                slot.flags.remove(Flags::AWAITING_SEND);
                self.update_state(id);
            }
        }
    }

    #[cold]
    fn send_large_broadcasts(&mut self, broadcasts: Vec<(ConnectionId, Rc<Shared>)>) {
        for (id, bytes) in broadcasts {
            self.send_large(id, Chunk::Shared { bytes, from: 0 });
        }
    }

    /// Sends a large output at once, or queues it if large sends have filled the turn or it is too
    /// long for that.
    #[cold]
    fn send_large(&mut self, id: ConnectionId, chunk: Chunk) {
        let core = &mut self.core;
        if core.sent_large < MAX_SENT_LARGE && chunk.rest().len() <= MAX_SENT_AT_ONCE {
            core.sent_large += chunk.rest().len();
            core.stats.sent_bytes += chunk.rest().len() as u64;
            core.driver.send_now(id, Payload::Chunk(chunk));
        } else if let Some(copied) = core.queue(id).and_then(|queue| queue.queue.push(chunk)) {
            core.pools.buffers.give(copied);
        }
        self.update_state(id);
    }

    /// Updates everything about a connection that is not the plain case: its queue, whether it is
    /// read from, its end, its timer.
    #[inline(never)]
    fn update_state(&mut self, id: ConnectionId) {
        self.send_queued(id);
        let core = &mut self.core;
        core.update_backlog(id);
        core.charge_queue(id);
        core.list_for_retry(id);
        let Some(slot) = core.slots.get(id) else { return };
        if matches!(slot.session.phase(), Phase::Lingering | Phase::Finished)
            && !slot.flags.contains(Flags::CLOSING)
        {
            slot.flags.insert(Flags::CLOSING);
            core.closing.push(id);
        }
        let due = slot.session.deadline().min(slot.queue_deadline());
        if due < slot.timer || slot.timer <= core.now {
            slot.timer = due;
            core.wheel.set(id.slot, due.0);
        }
    }

    /// Sends the next chunk of the queue, or ends the queue if it is empty.
    fn send_queued(&mut self, id: ConnectionId) {
        let core = &mut self.core;
        let Some(slot) = core.slots.get(id) else { return };
        let Some(queue) = &mut slot.queue else { return };
        if !queue.queue.is_sending() {
            // A pong can be sent between two chunks at the earliest.
            let mut output = Output::default();
            slot.session.release_pong(&mut core.pools, &mut output);
            if let Some(pong) = output.take_chunk().into_vec().filter(|pong| !pong.is_empty()) {
                queue.queue.push_control(&pong);
                core.pools.buffers.give(pong);
            }
        }
        let (service, mut notices) = (&mut self.service, 0);
        let gap = |subject: &str, lost, out: &mut Vec<u8>| {
            notices += 1;
            service.write_gap(id, subject, lost, out);
        };
        let buffers = &mut core.pools.buffers;
        if core.sent_large >= MAX_SENT_LARGE && !queue.queue.is_empty() {
            if !queue.queue.is_sending() && !slot.flags.contains(Flags::AWAITING_SEND) {
                slot.flags.insert(Flags::AWAITING_SEND);
                core.awaiting_send.push_back(id);
            }
            return;
        }
        if let Some(chunk) = queue.queue.next_chunk(gap, || buffers.take()) {
            let len = chunk.rest().len();
            core.sent_large += if notices > 0 { len } else { len.min(MAX_QUEUED_SEND) };
            core.sent_large += notices * NOTICE;
            if queue.stall == Millis::NEVER {
                queue.moved(core.now, core.pools.config.timeouts.stall);
            }
            return core.driver.send_queued(id, chunk, MAX_QUEUED_SEND);
        }
        if queue.queue.is_empty() {
            slot.queue = None;
            self.service.drained(id);
        }
    }
}

impl<D: Driver> Core<D> {
    /// Sends to the connections that are sent a broadcast and nothing else. Their timers stay as
    /// they are. Returns the large ones, which are not sent.
    #[inline]
    fn send_broadcasts(&mut self) -> Vec<(ConnectionId, Rc<Shared>)> {
        let mut large = Vec::new();
        let Self { outbox, slots, driver, stats, .. } = self;
        outbox.take_broadcasts(|ids, bytes| {
            for id in ids {
                if let Some(slot) = slots.at(id.slot) {
                    slot.outbox.clear();
                }
            }
            if bytes.len() > LARGE {
                large.extend(ids.iter().map(|id| (*id, Rc::clone(bytes))));
            } else {
                stats.sent_bytes += (ids.len() * bytes.len()) as u64;
                driver.send_shared(ids, bytes);
            }
        });
        large
    }

    /// Charges what the queue of a connection holds now, besides what it shares with others.
    fn charge_queue(&mut self, id: ConnectionId) {
        if let Some(queue) = self.slots.get(id).and_then(|slot| slot.queue.as_mut()) {
            queue.charge.set(queue.queue.memory());
            queue.queued.set(queue.queue.len());
        }
    }

    /// Stops reading from a peer that does not read its replies, and reads again once half of the
    /// limit is free.
    fn update_backlog(&mut self, id: ConnectionId) {
        let limit = self.pools.config.limits.send_queue;
        let Some(slot) = self.slots.get(id) else { return };
        let committed = slot.committed();
        let is_blocked = slot.blocked.contains(Blocked::SEND_BACKLOG);
        if committed > limit && !is_blocked {
            slot.blocked.insert(Blocked::SEND_BACKLOG);
            if slot.is_held_up()
                && let Some(queue) = &mut slot.queue
            {
                // What it publishes waits from now on, so whether it reads is of interest soon.
                queue.check_soon(self.now, self.pools.config.timeouts.stall);
            }
            self.stats.paused += 1;
            self.update_receive(id);
        } else if committed <= limit / 2 && is_blocked {
            slot.blocked.remove(Blocked::SEND_BACKLOG);
            self.update_receive(id);
        }
    }

    /// A send did not take everything: the rest is queued.
    pub(super) fn on_short_send(&mut self, id: ConnectionId, rest: Payload, error: Option<Errno>) {
        self.stats.short_sends += 1;
        let rest = self.chunk(rest);
        self.count_unsent(id, rest.rest().len());
        let Some(slot) = self.slots.get(id) else {
            self.stats.stale += 1;
            return self.give(rest);
        };
        if error.is_some() || slot.flags.contains(Flags::ABORTED) {
            self.give(rest);
            return self.abort(id, CloseReason::Broken);
        }
        if let Some(copied) = self.queue(id).and_then(|queue| queue.queue.put_back(rest)) {
            self.pools.buffers.give(copied);
        }
        self.mark_dirty(id);
    }

    /// What was counted as sent was not. A transport gives back also what it has kept of a queued
    /// send, which was not counted, and bytes of TLS itself, as of a handshake.
    fn count_unsent(&mut self, id: ConnectionId, bytes: usize) {
        let is_of_queue = |slot: &mut Slot| slot.session.is_tls() && slot.queue.is_some();
        if !self.slots.get(id).is_some_and(is_of_queue) {
            self.stats.sent_bytes = self.stats.sent_bytes.saturating_sub(bytes as u64);
        }
    }

    /// What a driver returns, out of the receive buffers.
    fn chunk(&mut self, payload: Payload) -> Chunk {
        match payload {
            Payload::Chunk(chunk) => chunk,
            Payload::Received { buffer, start, len } => {
                let mut bytes = self.pools.buffers.take();
                let range = start as usize..start as usize + len as usize;
                bytes.extend_from_slice(self.driver.bytes(&buffer).get(range).unwrap_or_default());
                self.driver.release(buffer);
                Chunk::Owned { bytes, from: 0 }
            }
        }
    }

    /// A queued send has ended.
    pub(super) fn on_sent(&mut self, id: ConnectionId, chunk: Chunk, result: Result<usize, Errno>) {
        let Some(slot) = self.slots.get(id) else {
            self.stats.stale += 1;
            return self.give(chunk);
        };
        let is_aborted = slot.flags.contains(Flags::ABORTED);
        let Some(queue) = &mut slot.queue else { return self.give(chunk) };
        match result {
            Ok(sent) if sent > 0 && !is_aborted => {
                // One byte of progress is enough. But when a send was tried again to close a
                // connection that is given up, only what the peer reads is progress.
                if slot.session.reason() != Some(CloseReason::Stalled) {
                    queue.moved(self.now, self.pools.config.timeouts.stall);
                }
                self.stats.sent_bytes += sent as u64;
                queue.taken += sent as u64;
                if let Some(memory) = queue.queue.sent(chunk, sent) {
                    self.pools.give(memory);
                }
                self.mark_dirty(id);
            }
            // It was cancelled to be tried again.
            Err(Errno::CANCELED) if !is_aborted => {
                if let Some(memory) = queue.queue.sent(chunk, 0) {
                    self.pools.give(memory);
                }
                self.mark_dirty(id);
            }
            _ => {
                if let Some(memory) = queue.queue.sent(chunk, usize::MAX) {
                    self.pools.give(memory);
                }
                self.abort(id, CloseReason::Broken);
            }
        }
    }
}
