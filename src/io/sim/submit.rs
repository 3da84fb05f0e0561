//! What the simulated kernel does at submission: everything that completes or fails at once.

use std::time::Duration;

use super::kernel::Kernel;
use super::network::{Happening, Network};
use super::operation::{Stage, Submission};
use super::pool::Pool;
use crate::base::{Chunk, ConnectionId};
use crate::io::{Errno, Event, Payload};

impl Kernel {
    /// Submits everything queued, in order. The sends that fall short are the first events.
    pub(super) fn submit(&mut self, network: &mut Network, pool: &mut Pool) {
        self.handed_out = false;
        self.enters += 1;
        let mut submissions = std::mem::take(&mut self.submissions);
        if network.strikes(network.faults.refused.min(500)) {
            // As when memory is short: some are taken, the others stay where they are.
            self.refused += 1;
            self.submissions = submissions.split_off(network.rng.usize(0..=submissions.len()));
        }
        for submission in submissions {
            match submission {
                Submission::Accept { listener, kind } => {
                    let listener = &mut self.listeners[listener];
                    (listener.stage, listener.kind) = (Stage::Held, Some(kind));
                    listener.cancel_at = None;
                }
                Submission::CancelAccept(listener) => self.cancel_accept(network, listener),
                Submission::StopAccepting(kept) => self.stop_accepting(network, &kept),
                Submission::Receive { id, poll_first, once } => {
                    let receive = &mut self.slots[id.slot as usize].receive;
                    receive.stage = Stage::Held;
                    (receive.waits, receive.once) = (poll_first, once);
                    receive.cancel_at = None;
                    (receive.has_brought, receive.is_deaf) = (false, false);
                }
                Submission::CancelReceive(id) => self.cancel_receive(network, id),
                Submission::SendNow { id, payload } => {
                    self.send_now(network, pool, id, payload);
                }
                Submission::SendQueued { id, chunk, max } => {
                    let send = &mut self.slots[id.slot as usize].send;
                    send.goal = max.min(chunk.rest().len());
                    (send.stage, send.sent, send.cancel_at) = (Stage::Held, 0, None);
                    send.waits = false;
                    send.chunk = Some(chunk);
                }
                Submission::CancelSend(id) => self.cancel_send(network, id),
                Submission::QueryProgress(id) => {
                    let client = self.slots[id.slot as usize].client;
                    let progress = client.and_then(|client| network.progress(client));
                    self.events.push_back(Event::Progress { id: masked(id), progress });
                }
                Submission::HalfClose(id) => self.half_close(network, id),
                Submission::Close(id) => self.close(network, id, false),
                Submission::Retire(id) => self.close(network, id, true),
            }
        }
    }

    /// Whether everything queued was taken.
    pub(super) fn is_submitted(&self) -> bool {
        self.submissions.is_empty()
    }

    /// Whether no send waits to be taken.
    pub(super) fn is_settled(&self) -> bool {
        !self.submissions.iter().any(|queued| matches!(queued, Submission::SendNow { .. }))
    }

    fn cancel_accept(&mut self, network: &mut Network, listener: usize) {
        let at = late_or_now(network, network.faults.late_cancel);
        let listener = &mut self.listeners[listener];
        if listener.stage == Stage::Held && listener.cancel_at.is_none() {
            listener.cancel_at = Some(at);
        }
    }

    fn stop_accepting(&mut self, network: &mut Network, kept: &[bool]) {
        for (index, listener) in self.listeners.iter_mut().enumerate() {
            if listener.stop_at.is_none() && kept.get(index) != Some(&true) {
                listener.stop_at = Some(late_or_now(network, network.faults.late_cancel));
            }
        }
    }

    fn cancel_receive(&mut self, network: &mut Network, id: ConnectionId) {
        if network.strikes(network.faults.missed_cancel) {
            return self.events.push_back(Event::NotCancelled { id: masked(id) });
        }
        let at = late_or_now(network, network.faults.late_cancel);
        let receive = &mut self.slots[id.slot as usize].receive;
        if receive.stage == Stage::Held && receive.cancel_at.is_none() {
            receive.cancel_at = Some(at);
        }
    }

    fn cancel_send(&mut self, network: &mut Network, id: ConnectionId) {
        let at = late_or_now(network, network.faults.late_cancel);
        let send = &mut self.slots[id.slot as usize].send;
        if send.stage == Stage::Held && send.cancel_at.is_none() {
            send.cancel_at = Some(at);
        }
    }

    fn half_close(&mut self, network: &mut Network, id: ConnectionId) {
        let at = late_or_now(network, network.faults.late_half_close);
        let half_close = &mut self.slots[id.slot as usize].half_close;
        (half_close.stage, half_close.at) = (Stage::Held, at);
    }

    fn close(&mut self, network: &mut Network, id: ConnectionId, retires: bool) {
        let slot = &mut self.slots[id.slot as usize];
        slot.retired = retires;
        if let Some(client) = slot.client.take() {
            network.close_by_server(client);
        }
        slot.generation_before = slot.generation.take().or(slot.generation_before);
        slot.closing = false;
    }

    fn send_now(
        &mut self,
        network: &mut Network,
        pool: &mut Pool,
        id: ConnectionId,
        mut load: Payload,
    ) {
        let bytes: &[u8] = match &load {
            Payload::Received { buffer, start, len } => {
                &pool.bytes(buffer)[*start as usize..(*start + *len) as usize]
            }
            Payload::Chunk(chunk) => chunk.rest(),
        };
        let (result, whole) = (self.send_at_once(network, id, bytes), bytes.len());
        let slot = &mut self.slots[id.slot as usize];
        slot.send_now = Stage::Idle;
        let (sent, error) = match result {
            Ok(sent) if sent == whole => return self.finish_payload(pool, load),
            Ok(sent) => (sent, None),
            Err(error) => (0, Some(error)),
        };
        slot.send_now = Stage::Ended;
        load.skip(sent);
        let id = masked(id);
        self.events.push_back(Event::ShortSend { id, rest: load, error });
    }

    /// Sends without waiting: what a `send_now` can do, faults included.
    fn send_at_once(
        &self,
        network: &mut Network,
        id: ConnectionId,
        bytes: &[u8],
    ) -> Result<usize, Errno> {
        let Some(client) = self.slots[id.slot as usize].client else {
            self.breach(&format!("a send survived its connection ({id:?})"));
        };
        if let Some(error) = send_fault(network, client) {
            return Err(error);
        }
        let most = if network.strikes(network.faults.again) {
            0
        } else if network.strikes(network.faults.short_send) {
            network.rng.usize(0..=bytes.len())
        } else {
            bytes.len()
        };
        let result = network.sockets[client.0].send(&bytes[..most]);
        network.start_moving_out(client);
        result
    }

    fn finish_payload(&mut self, pool: &mut Pool, payload: Payload) {
        match payload {
            Payload::Received { buffer, .. } => pool.release(buffer),
            Payload::Chunk(Chunk::Owned { bytes, .. }) => self.recycled.push(bytes),
            Payload::Chunk(Chunk::Shared { .. }) => {}
        }
    }
}

/// The error of a send that a fault strikes, and the connection with it.
pub(super) fn send_fault(network: &mut Network, client: super::ClientId) -> Option<Errno> {
    if !network.strikes(network.faults.send_error) {
        return None;
    }
    network.break_by_fault(client);
    Some(if network.rng.bool() { Errno::CONNRESET } else { Errno::PIPE })
}

/// A id as the kernel hands it back.
pub(super) const fn masked(id: ConnectionId) -> ConnectionId {
    ConnectionId { slot: id.slot, generation: id.generation & ConnectionId::GENERATION_MASK }
}

/// Now, or some time later if the fault strikes; the simulation will look again then.
fn late_or_now(network: &mut Network, per_mille: u16) -> Duration {
    if !network.strikes(per_mille) {
        return network.now;
    }
    let at = network.now + network.delay();
    network.schedule(at, Happening::Look);
    at
}
