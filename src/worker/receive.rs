//! Events of the driver, above all received data.

use super::Worker;
use super::core::Core;
use super::input::Input;
use super::outbox::{Entry, queue_output};
use super::slots::{Flags, Receive};
use crate::base::{Chunk, ConnectionId};
use crate::io::{Buffer, Data, Driver, Event, Received};
use crate::session::{CloseReason, Handled, Lease, Phase, Pools, Service};

/// Replies of one turn that are sent at once. More is queued.
const MAX_AT_ONCE: usize = 256 << 10;

impl<D: Driver, S: Service> Worker<D, S> {
    /// Handles every event that the last call into the kernel brought.
    #[inline(always)]
    pub(super) fn handle_each<const METERED: bool>(&mut self) {
        loop {
            while let Some(Data { id, buffer, len }) = self.core.driver.next_data() {
                self.core.charge_driver();
                self.on_data::<true, METERED>(id, buffer, len, true);
            }
            let Some(event) = self.core.driver.next_event() else { return };
            self.core.charge_driver();
            self.on_event::<METERED>(event);
        }
    }

    /// Handles an event. Inlined into the loop over events; from elsewhere it is called by
    /// [`on_rare_event`](Self::on_rare_event), because out of line an echo costs ten instructions
    /// more.
    #[inline(always)]
    pub(super) fn on_event<const METERED: bool>(&mut self, event: Event) {
        match event {
            Event::Received { id, outcome: Received::Data { buffer, len }, armed } => {
                self.on_data::<true, METERED>(id, buffer, len, armed);
            }
            Event::Received { id, outcome, armed } => self.on_receive_end(id, outcome, armed),
            Event::Accepted { listener, result, armed, peer } => {
                if let Some(id) = self.core.on_accept(listener, result, armed)
                    && self.core.accepting.kind.tells_peers()
                {
                    self.on_connected(id, listener, peer);
                }
            }
            Event::Peer { id, peer } => self.on_peer(id, peer),
            Event::NotCancelled { id } => self.core.on_not_cancelled(id),
            Event::ShortSend { id, rest, error } => self.core.on_short_send(id, rest, error),
            Event::Sent { id, chunk, result } => self.core.on_sent(id, chunk, result),
            Event::Progress { id, progress } => {
                if let Some(inspecting) = &mut self.core.inspecting {
                    inspecting.note(id, progress.as_ref());
                }
                let may_publish = self.service.may_publish(id);
                self.core.on_progress(id, progress, may_publish);
            }
            Event::HalfClosed { id } => self.core.on_half_closed(id),
            // What a wake announces is looked at in every turn.
            Event::Woken => {}
        }
    }

    /// Handles an event outside of the loop over events.
    #[cold]
    #[inline(never)]
    pub(super) fn on_rare_event(&mut self, event: Event) {
        self.on_event::<false>(event);
    }

    /// Passes received data to its session. `NEW` data comes from an event, with which the receive
    /// has ended unless it stays `armed`; other data was deferred. `METERED` data is counted, as
    /// far as that has to be done here.
    #[inline(always)]
    pub(super) fn on_data<const NEW: bool, const METERED: bool>(
        &mut self,
        id: ConnectionId,
        buffer: Buffer,
        len: usize,
        armed: bool,
    ) {
        let Self { core, service, .. } = self;
        let Some(slot) = core.slots.get(id) else {
            core.stats.stale += 1;
            return core.driver.release(buffer);
        };
        if NEW && slot.may_defer() && slot.defers(service) {
            return self.defer(id, Received::Data { buffer, len }, armed);
        }
        // Looked up once, and kept until it is known what was handled.
        let mut lease = if METERED { core.meters.lease(id.slot) } else { None };
        if METERED && !lease.as_ref().is_some_and(|lease| Lease(**lease).allows(len)) {
            return self.on_metered(id, buffer, len, armed);
        }
        let Some(entry) = core.outbox.entry(slot) else { return core.driver.release(buffer) };
        // The replies to many receives of one turn must not become one vector that grows and grows.
        if entry.output.owned_len() > MAX_AT_ONCE {
            queue_output(entry, slot, &mut core.pools);
        }
        let backlog = slot.backlog();
        // A second receive in one turn: the replies become one run of bytes, for one send.
        if entry.buffer.is_some() {
            copy_output(entry, &mut core.driver, &mut core.pools);
        }
        let bytes = core.driver.bytes(&buffer).get_mut(..len).unwrap_or_default();
        let output = &mut entry.output;
        let pools = &mut core.pools;
        if METERED && let Some(lease) = &mut lease {
            **lease = Lease(**lease).begin(len, pools.counts.messages).0;
        }
        let handled = slot.session.receive(core.now, bytes, backlog, pools, service, output);
        if METERED && let Some(lease) = &mut lease {
            **lease = Lease(**lease).end(core.pools.counts.messages).0;
        }
        if handled != Handled::All {
            if METERED
                && let Some(lease) = lease
                && let Handled::Until(at) | Handled::Paused(at) = handled
            {
                *lease = Lease(*lease).give_back(len - at).0;
            }
            return self.keep_rest(id, buffer, len, handled, armed);
        }
        if output.in_place().is_some() {
            entry.buffer = Some(buffer);
        } else {
            core.driver.release(buffer);
        }
        if NEW && !armed {
            self.core.on_receive_stopped(id);
        }
    }

    /// The session has handled a part of the `len` bytes in `buffer`. The rest waits.
    #[cold]
    fn keep_rest(
        &mut self,
        id: ConnectionId,
        buffer: Buffer,
        len: usize,
        handled: Handled,
        armed: bool,
    ) {
        let core = &mut self.core;
        let (Handled::Until(at) | Handled::Paused(at)) = handled else { return };
        let rest = core.driver.bytes(&buffer).get(at..len).unwrap_or_default().to_vec();
        match core.slots.get(id).and_then(|slot| core.outbox.entry(slot)) {
            Some(entry) if entry.output.in_place().is_some() => entry.buffer = Some(buffer),
            _ => core.driver.release(buffer),
        }
        core.defer_rest(id, rest, handled);
        if !armed {
            self.core.on_receive_stopped(id);
        }
        if self.core.pools.work.used() > self.core.budget.turn {
            self.end_turn_early();
        }
    }

    /// A receive brought no data, but an end or an error. It has ended unless it stays `armed`.
    fn on_receive_end(&mut self, id: ConnectionId, outcome: Received, armed: bool) {
        let Some(slot) = self.core.slots.get(id) else {
            self.core.stats.stale += 1;
            return;
        };
        // Without further input there is nothing that a reset could wait for.
        let is_held = slot.is_held() && !matches!(outcome, Received::Failed(_));
        let is_waiting = slot.deferred.is_some() || is_held;
        let is_end = matches!(
            outcome,
            Received::Eof | Received::Failed(_) | Received::Truncated | Received::Refused
        );
        if is_waiting && is_end && !slot.leaves_undecided(&outcome) {
            return self.defer(id, outcome, armed);
        }
        self.core.receive_ended(id, &outcome);
        if armed {
            self.core.mark_dirty(id);
        } else if !matches!(outcome, Received::Failed(_)) {
            self.core.on_receive_stopped(id);
        } else if let Some(slot) = self.core.slots.get(id) {
            slot.receive_stopped();
        }
    }
}

/// Copies output that stands in a receive buffer, and releases the buffer.
#[cold]
fn copy_output<D: Driver>(entry: &mut Entry, driver: &mut D, pools: &mut Pools) {
    if let Some(buffer) = entry.buffer.take() {
        entry.output.copy_out(driver.bytes(&buffer), || pools.buffers.take());
        driver.release(buffer);
    }
}

impl<D: Driver> Core<D> {
    /// The kernel holds the receive of this connection no longer.
    pub(super) fn on_receive_stopped(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id) {
            slot.receive_stopped();
            self.update_receive(id);
            self.mark_dirty(id);
        }
    }

    /// A receive that was to be cancelled may go on: it is cancelled again, unless it has ended or
    /// is wanted by now.
    #[cold]
    pub(super) fn on_not_cancelled(&mut self, id: ConnectionId) {
        if let Some(slot) = self.slots.get(id)
            && slot.receive == Receive::Cancelling
        {
            slot.receive = Receive::Armed;
            self.update_receive(id);
            // The end of the turn goes on with a connection that has ended.
            self.mark_dirty(id);
        }
    }

    /// What the end of a receive means for its connection.
    pub(super) fn receive_ended(&mut self, id: ConnectionId, outcome: &Received) {
        let Some(slot) = self.slots.get(id) else { return };
        match outcome {
            Received::Eof => {
                slot.flags.insert(Flags::INPUT_ENDED);
                slot.session.receive_eof();
            }
            Received::NoBuffers => {
                self.stats.no_buffers += 1;
                self.awaiting_buffer.miss(self.now);
                if !slot.flags.contains(Flags::INPUT_ENDED) {
                    self.awaiting_buffer.push(slot);
                }
            }
            // After a closing handshake nothing can be missing.
            Received::Truncated if slot.session.phase() >= Phase::Closing => {
                slot.flags.insert(Flags::INPUT_ENDED);
                slot.session.receive_eof();
            }
            Received::Failed(_) | Received::Truncated => {
                slot.flags.insert(Flags::INPUT_ENDED);
                self.abort(id, CloseReason::Broken);
            }
            Received::Refused => slot.session.break_off(self.now, &mut self.pools),
            Received::Cancelled | Received::Data { .. } => {}
        }
    }

    /// Returns the memory of a chunk that is not sent.
    pub(super) fn give(&mut self, chunk: Chunk) {
        self.pools.give_chunk(chunk);
    }

    /// Releases what a connection has deferred.
    pub(super) fn drop_deferred(&mut self, id: ConnectionId) {
        let mut deferred = self.slots.get(id).and_then(|slot| slot.deferred.take());
        while let Some(input) = deferred.as_mut().and_then(|deferred| deferred.pop_front()) {
            if let Input::Received(Received::Data { buffer, .. }) = input {
                self.driver.release(buffer);
            }
        }
    }
}
