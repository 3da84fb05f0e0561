//! The trait, and the order of what is sent.

use std::rc::Rc;
use std::time::Duration;

use super::Transport;
use super::connection::Connection;
use crate::base::{Chunk, ConnectionId, Ledger, Millis, Shared};
use crate::io::{Accepts, Buffer, Driver, DriverStats, Errno, Event, Payload};

/// The steps of handshakes that a turn does, and the others wait for: about 0.1 ms.
const HANDSHAKES: u32 = 2;
/// In a turn with so many events one more is done. So handshakes get a third of the time of a core
/// at least if there are enough of them.
const EVENTS: u32 = 32;
/// What a connection is charged for TLS, in bytes.
const CONNECTION: usize = size_of::<Option<Connection>>() + 32;

impl<D: Driver> Transport<D> {
    /// What the inner driver's event means for the loop; `None` if it need not be told.
    #[inline(always)]
    fn translate(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Received { id, outcome, armed } => self.receive_event(id, outcome, armed),
            Event::Accepted { listener, result: Ok(slot), .. }
                if self.is_tls.get(listener) == Some(&true) =>
            {
                self.table.insert(slot);
                Some(event)
            }
            Event::Sent { id, chunk, result } => Some(self.sent_event(id, chunk, result)),
            Event::ShortSend { id, ref rest, error: None } => {
                self.short_event(id, rest);
                Some(event)
            }
            event => Some(event),
        }
    }

    /// Whether the loop is still to be told that the receive of `id` has ended.
    fn has_receive_ended(&mut self, id: ConnectionId) -> bool {
        let id = id.masked();
        let is_end = |event: &Event| match event {
            Event::Received { id: of, armed: false, .. } => *of == id,
            _ => false,
        };
        let hides = self.table.get(id).is_some_and(|connection| connection.after.is_some());
        hides || self.events.iter().any(is_end)
    }

    fn forget(&mut self, id: ConnectionId) {
        if let Some(connection) = self.table.get(id) {
            self.held -= connection.held();
            connection.end_stage(&mut self.keys);
        }
        if let Some(connection) = self.table.remove(id) {
            self.spare.give(connection.input);
            self.spare.give(connection.output);
        }
    }
}

impl<D: Driver> Driver for Transport<D> {
    type Waker = D::Waker;

    fn waker(&self) -> D::Waker {
        self.inner.waker()
    }

    fn use_ledger(&mut self, ledger: &Ledger) {
        self.charge = Some(ledger.open());
        self.inner.use_ledger(ledger);
    }

    fn now(&self) -> Duration {
        self.inner.now()
    }

    fn slots(&self) -> u32 {
        self.inner.slots()
    }

    fn accept(&mut self, listener: usize, kind: Accepts) {
        self.inner.accept(listener, kind);
    }

    fn cancel_accept(&mut self, listener: usize) {
        self.inner.cancel_accept(listener);
    }

    fn accept_burst(&self, kind: Accepts) -> u32 {
        self.inner.accept_burst(kind)
    }

    fn stop_accepting(&mut self, kept: &[bool]) {
        self.inner.stop_accepting(kept);
    }

    fn receive(&mut self, id: ConnectionId, poll_first: bool) {
        self.table.name(id);
        self.inner.receive(id, poll_first);
    }

    fn receive_once(&mut self, id: ConnectionId) {
        self.table.name(id);
        self.inner.receive_once(id);
    }

    fn cancel_receive(&mut self, id: ConnectionId) {
        if !self.has_receive_ended(id) {
            self.inner.cancel_receive(id);
        }
    }

    #[inline]
    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        if self.buffers.owns(buffer) {
            self.buffers.bytes(buffer)
        } else {
            self.inner.bytes(buffer)
        }
    }

    #[inline]
    fn release(&mut self, buffer: Buffer) {
        if self.buffers.owns(&buffer) {
            self.spare.give(self.buffers.release(buffer));
        } else {
            self.inner.release(buffer);
        }
    }

    fn is_short_of_buffers(&self) -> bool {
        self.inner.is_short_of_buffers() || self.buffers.are_few()
    }

    fn free_buffers(&self) -> usize {
        self.inner.free_buffers()
    }

    #[inline]
    fn send_now(&mut self, id: ConnectionId, payload: Payload) {
        if self.table.get(id).is_some() {
            self.seal_now(id, payload);
        } else {
            self.inner.send_now(id, payload);
        }
    }

    #[inline]
    fn send_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        if self.table.len() == 0 {
            self.inner.send_shared(ids, bytes);
        } else {
            self.seal_shared(ids, bytes);
        }
    }

    fn send_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        if self.table.get(id).is_some() {
            self.seal_queued(id, chunk, max);
        } else {
            self.inner.send_queued(id, chunk, max);
        }
    }

    fn cancel_send(&mut self, id: ConnectionId) {
        // Of one that was not sent the event is on its way.
        if self.table.get(id).is_none_or(|connection| connection.is_sending) {
            self.inner.cancel_send(id);
        }
    }

    fn query_progress(&mut self, id: ConnectionId) {
        self.inner.query_progress(id);
    }

    fn half_close(&mut self, id: ConnectionId) {
        if self.table.get(id).is_some() {
            self.end(id);
            self.half_closing.push(id);
        } else {
            self.inner.half_close(id);
        }
    }

    fn has_end(&mut self, id: ConnectionId) -> bool {
        self.table.get(id).is_some_and(|connection| connection.can_send())
    }

    fn give_up(&mut self, id: ConnectionId) {
        if let Some(connection) = self.table.get(id) {
            connection.is_given_up = true;
            connection.raw = 0;
            connection.output.clear();
        }
    }

    fn memory(&self, id: ConnectionId) -> usize {
        let held = self.table.look(id).map_or(0, Connection::held);
        let sealed = self.sealed.get(&id.slot).map_or(0, |sealed| sealed.memory);
        held + sealed + self.inner.memory(id)
    }

    fn input_comes_too_slowly(&mut self, id: ConnectionId, now: Millis, is_read: bool) -> bool {
        match self.table.get(id) {
            Some(connection) => connection.input_comes_too_slowly(now, is_read),
            None => self.inner.input_comes_too_slowly(id, now, is_read),
        }
    }

    fn close(&mut self, id: ConnectionId) {
        self.forget(id);
        self.inner.close(id);
    }

    fn retire(&mut self, id: ConnectionId) -> bool {
        let is_retired = self.inner.retire(id);
        if is_retired {
            self.forget(id);
        }
        is_retired
    }

    fn wake_peer(&mut self, peer: &D::Waker) {
        self.inner.wake_peer(peer);
    }

    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        let may_send = std::mem::take(&mut self.may_send);
        let mut has_more =
            !self.cut.is_empty() || !self.handshakes.is_empty() || !self.waiting.is_empty();
        if may_send {
            has_more |= self.flush();
        } else {
            has_more |= !self.flushing.is_empty() || !self.half_closing.is_empty();
        }
        has_more |= !self.events.is_empty();
        self.inner.enter(if has_more { None } else { wait })?;
        if may_send {
            self.batch = self.batch.wrapping_add(1).max(1);
        }
        self.events.extend(self.cut.drain(..));
        self.allowed = HANDSHAKES;
        self.handled = 0;
        self.work.begin_turn();
        self.waiting.begin_turn();
        if let Some(charge) = &mut self.charge {
            let fixed = self.table.len() as usize * CONNECTION + self.keys.memory();
            charge.set(fixed + self.held + self.buffers.held());
        }
        Ok(())
    }

    fn collect(&mut self) {
        self.inner.collect();
    }

    fn is_settled(&self) -> bool {
        self.inner.is_settled()
    }

    #[inline(always)]
    fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
            if self.waiting.is_due() && self.resume() {
                continue;
            }
            match self.inner.next_event() {
                Some(event) => {
                    if let Some(event) = self.translate(event) {
                        self.handled += 1;
                        if self.handled == EVENTS {
                            (self.handled, self.allowed) = (0, self.allowed.saturating_add(1));
                        }
                        return Some(event);
                    }
                }
                None => {
                    if self.handshakes.is_empty() || !self.advance_handshakes() {
                        // Asked before the loop sends: what it has queued is not settled either.
                        self.may_send = self.inner.is_settled();
                        return None;
                    }
                }
            }
        }
    }

    #[inline]
    fn take_work(&mut self) -> u64 {
        self.work.take() + self.inner.take_work()
    }

    fn take_recycled(&mut self) -> Option<Vec<u8>> {
        if let Some(memory) = self.inner.take_recycled() {
            // What was encrypted is used again for that, until there is enough of it.
            if self.table.len() == 0 || !self.spare.has_room_for(&memory) {
                return Some(memory);
            }
            self.spare.give(memory);
            return self.take_recycled();
        }
        self.recycled.pop()
    }

    fn stats(&self) -> DriverStats {
        let stats = self.inner.stats();
        let lent = u32::try_from(self.buffers.lent()).unwrap_or(u32::MAX);
        DriverStats {
            buffers_lent: stats.buffers_lent.saturating_add(lent),
            tls_handshakes: self.keys.handshakes,
            tls_resumed: self.keys.resumed,
            tls_failed: self.refused,
            ..stats
        }
    }
}
