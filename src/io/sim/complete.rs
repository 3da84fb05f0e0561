//! What the simulated kernel brings: the events of what became ready.

use std::collections::VecDeque;

use super::client::ClientId;
use super::kernel::Kernel;
use super::network::Network;
use super::operation::{Slot, Stage};
use super::pool::Pool;
use super::submit::{masked, send_fault};
use crate::base::{Chunk, ConnectionId};
use crate::io::{Accepts, Errno, Event, Received};

/// How many buffers one receive may fill at a time, as in Linux.
const RECEIVE_RETRIES: usize = 33;

impl Kernel {
    /// Looks at everything under way and queues the events.
    pub(super) fn complete(&mut self, network: &mut Network, pool: &mut Pool, woken: bool) {
        let mut ready: Vec<VecDeque<Event>> = Vec::new();
        if woken || network.strikes(network.faults.spurious_wake) {
            ready.push(VecDeque::from([Event::Woken]));
        }
        let partial = network.strikes(network.faults.partial_batch);
        self.look(network, pool, partial, &mut ready);
        if partial && ready.is_empty() {
            self.look(network, pool, false, &mut ready);
        }
        self.interleave(network, ready);
    }

    /// Looks at each connection and listener; with `partial` only at some.
    fn look(
        &mut self,
        network: &mut Network,
        pool: &mut Pool,
        partial: bool,
        ready: &mut Vec<VecDeque<Event>>,
    ) {
        for slot in 0..self.slots.len() {
            if let Some(client) = self.slots[slot].client
                && !(partial && network.rng.bool())
            {
                self.look_at_half_close(network, slot, client, ready);
                self.look_at_send(network, slot, client, ready);
                self.look_at_receive(network, pool, slot, client, ready);
            }
        }
        for listener in 0..self.listeners.len() {
            if !(partial && network.rng.bool()) {
                self.look_at_listener(network, listener, ready);
            }
        }
    }

    /// Queues the events of all operations, shuffled if the fault strikes, those of one operation
    /// in their order.
    fn interleave(&mut self, network: &mut Network, mut ready: Vec<VecDeque<Event>>) {
        let shuffle = network.strikes(network.faults.reorder);
        while !ready.is_empty() {
            let at = if shuffle { network.rng.usize(0..ready.len()) } else { 0 };
            match ready[at].pop_front() {
                Some(event) => self.events.push_back(event),
                None if shuffle => drop(ready.swap_remove(at)),
                None => drop(ready.remove(at)),
            }
        }
    }

    /// The name of the connection in `slot`, as events carry it.
    fn id(&self, slot: usize) -> ConnectionId {
        let Some(generation) = self.slots[slot].generation else {
            self.breach("an event of a connection that was never named");
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most ConnectionId::MAX_SLOTS slots")]
        masked(ConnectionId { slot: slot as u32, generation })
    }

    fn look_at_half_close(
        &mut self,
        network: &mut Network,
        slot: usize,
        client: ClientId,
        ready: &mut Vec<VecDeque<Event>>,
    ) {
        let half_close = &mut self.slots[slot].half_close;
        if half_close.stage == Stage::Held && half_close.at <= network.now {
            half_close.stage = Stage::Ended;
            network.half_close_by_server(client);
            ready.push(VecDeque::from([Event::HalfClosed { id: self.id(slot) }]));
        }
    }

    fn look_at_send(
        &mut self,
        network: &mut Network,
        slot: usize,
        client: ClientId,
        ready: &mut Vec<VecDeque<Event>>,
    ) {
        let send = &mut self.slots[slot].send;
        if send.stage != Stage::Held {
            return;
        }
        let bytes = send.chunk.as_ref().map_or(&[][..], Chunk::rest);
        let must_notify = std::mem::replace(&mut send.waits, true);
        let result = if !network.is_writable(client, must_notify) {
            Ok(0)
        } else if let Some(error) = send_fault(network, client) {
            Err(error)
        } else {
            network.sockets[client.0].send(&bytes[send.sent..send.goal])
        };
        network.start_moving_out(client);
        let progress = result.unwrap_or(0);
        send.sent += progress;
        let cancelled = send.cancel_at.is_some_and(|at| at <= network.now);
        let short = progress > 0 && network.strikes(network.faults.short_queued);
        let result = match result {
            Err(error) if send.sent == 0 => Err(error),
            Ok(_) if cancelled && send.sent == 0 && send.goal > 0 => Err(Errno::CANCELED),
            Ok(_) if !cancelled && !short && send.sent < send.goal => return,
            // After an error the bytes before it count; the next send meets EPIPE.
            _ => Ok(send.sent),
        };
        send.stage = Stage::Ended;
        let Some(chunk) = send.chunk.take() else { return };
        let id = self.id(slot);
        ready.push(VecDeque::from([Event::Sent { id, chunk, result }]));
    }

    fn look_at_receive(
        &mut self,
        network: &mut Network,
        pool: &mut Pool,
        slot: usize,
        client: ClientId,
        ready: &mut Vec<VecDeque<Event>>,
    ) {
        let mut events = VecDeque::new();
        let id = self.token_if_receiving(slot);
        while let Some(id) = id
            && self.slots[slot].receive.stage == Stage::Held
            && events.len() < RECEIVE_RETRIES
        {
            let Some((outcome, armed)) = self.receive_once(network, pool, slot, client) else {
                break;
            };
            let full = self.events.len() + ready.len() + events.len() >= self.completions;
            if full && armed {
                self.overflows += 1;
            }
            let armed = armed && !full;
            if !armed {
                self.slots[slot].receive.stage = Stage::Ended;
            }
            events.push_back(Event::Received { id, outcome, armed });
        }
        if !events.is_empty() {
            network.start_moving_in(client);
            ready.push(events);
        }
    }

    fn token_if_receiving(&self, slot: usize) -> Option<ConnectionId> {
        (self.slots[slot].receive.stage == Stage::Held).then(|| self.id(slot))
    }

    /// One step of a held receive: what it brings, and whether it stays armed.
    fn receive_once(
        &mut self,
        network: &mut Network,
        pool: &mut Pool,
        slot: usize,
        client: ClientId,
    ) -> Option<(Received, bool)> {
        let receive = &mut self.slots[slot].receive;
        let waited = std::mem::replace(&mut receive.waits, true);
        if !waited && pool.is_empty() {
            return Some((Received::NoBuffers, false));
        }
        let socket = &network.sockets[client.0];
        let misses = receive.has_brought && socket.is_readable() && socket.inbound.is_empty();
        receive.is_deaf |= misses && network.strikes(network.faults.missed_end);
        let readable = network.sockets[client.0].is_readable() && !receive.is_deaf;
        // What is ready when the cancel takes effect may come before it.
        let cancelled = receive.cancel_at.is_some_and(|at| at <= network.now);
        if cancelled && (!readable || network.rng.bool()) {
            return Some((Received::Cancelled, false));
        }
        if !readable {
            return None;
        }
        if network.strikes(network.faults.receive_error) {
            network.break_by_fault(client);
            let error = if network.rng.bool() { Errno::CONNRESET } else { Errno::TIMEDOUT };
            return Some((Received::Failed(error), false));
        }
        let socket = &mut network.sockets[client.0];
        if socket.inbound.is_empty() {
            let outcome = socket.error.take().map_or(Received::Eof, Received::Failed);
            return Some((outcome, false));
        }
        if network.strikes(network.faults.no_buffers) {
            return Some((Received::NoBuffers, false));
        }
        let Some(buffer) = pool.lend() else { return Some((Received::NoBuffers, false)) };
        let inbound = &mut network.sockets[client.0].inbound;
        let len = inbound.len().min(pool.buffer_size());
        let (front, back) = inbound.as_slices();
        let (to_front, to_back) = pool.bytes(&buffer)[..len].split_at_mut(len.min(front.len()));
        to_front.copy_from_slice(&front[..to_front.len()]);
        to_back.copy_from_slice(&back[..to_back.len()]);
        inbound.drain(..len);
        let receive = &mut self.slots[slot].receive;
        receive.has_brought = true;
        let armed = !receive.once && !network.strikes(network.faults.receive_ends);
        Some((Received::Data { buffer, len }, armed))
    }

    fn look_at_listener(
        &mut self,
        network: &mut Network,
        listener: usize,
        ready: &mut Vec<VecDeque<Event>>,
    ) {
        let mut events = VecDeque::new();
        while self.listeners[listener].stage == Stage::Held {
            let Some((result, armed)) = self.accept_once(network, listener) else { break };
            if !armed {
                self.listeners[listener].stage = Stage::Ended;
            }
            let is_asked = self.listeners[listener].kind.is_some_and(Accepts::tells_peers);
            let slot = result.ok().and_then(|slot| self.slots.get(slot as usize));
            let peer = slot.and_then(|slot| slot.client).filter(|_| is_asked);
            let peer = peer.map(ClientId::address);
            events.push_back(Event::Accepted { listener, result, armed, peer });
        }
        if self.listeners[listener].stop_at.is_some_and(|at| at <= network.now) {
            network.stop_listening(listener);
        }
        if !events.is_empty() {
            ready.push(events);
        }
    }

    /// One step of an armed accept: what it brings, and whether it stays armed.
    fn accept_once(
        &mut self,
        network: &mut Network,
        listener: usize,
    ) -> Option<(Result<u32, Errno>, bool)> {
        let waiting = !network.backlogs[listener].is_empty();
        let stopped = self.listeners[listener].stop_at.is_some_and(|at| at <= network.now);
        // What waits when the stop takes effect may be accepted before it.
        if stopped && (!waiting || network.rng.bool()) {
            let error = if network.rng.bool() { Errno::CANCELED } else { Errno::INVAL };
            return Some((Err(error), false));
        }
        if self.listeners[listener].cancel_at.is_some_and(|at| at <= network.now) {
            return Some((Err(Errno::CANCELED), false));
        }
        if waiting && network.strikes(network.faults.accept_error) {
            let errors =
                [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM, Errno::CONNABORTED];
            let error = errors[network.rng.usize(0..errors.len())];
            if error == Errno::CONNABORTED {
                network.drop_from_backlog(listener);
            }
            return Some((Err(error), false));
        }
        let client = *network.backlogs[listener].front()?;
        let Some(slot) = self.slots.iter().position(Slot::is_free) else {
            // Linux takes the connection off the backlog before it looks for a place.
            network.drop_from_backlog(listener);
            return Some((Err(Errno::NFILE), false));
        };
        network.backlogs[listener].pop_front();
        network.sockets[client.0].accepted = true;
        self.slots[slot].client = Some(client);
        let once = self.listeners[listener].kind.is_none_or(Accepts::is_once);
        let armed = !network.strikes(network.faults.accept_ends) && !once;
        #[allow(clippy::cast_possible_truncation, reason = "at most ConnectionId::MAX_SLOTS slots")]
        Some((Ok(slot as u32), armed))
    }
}
