//! The header of the PROXY protocol on listeners that ask for it.
//!
//! [`Proxied`] is a [`Driver`] around another one. On its listeners the first bytes of a connection
//! have to be such a header. It is taken out of what is received before the loop, or TLS around
//! this driver, sees it, and the loop is told the address in it ([`Event::Peer`]). Connections of
//! other listeners pass, and a server without such a listener does not use it at all.
//!
//! The deadline is that of the first request, which the loop keeps from the accept on: until the
//! header is complete, it has received nothing.

mod log;
#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::time::Duration;

use crate::base::blocks::Blocks;
use crate::base::ledger::Charge;
use crate::base::{Chunk, ConnectionId, Ledger, Shared};
use crate::io::{Accepts, Buffer, Driver, DriverStats, Errno, Event, Payload, Received};
use crate::protocol::proxy::{self, Header, MAX_HEADER, ProxyError};
use log::Log;

/// How far a connection is that has to begin with a header.
#[derive(Debug)]
enum Stage {
    /// The header is not complete. What has come of it is kept.
    Begun(Vec<u8>),
    /// There is none. What comes is discarded until the loop closes the connection.
    Refused,
}

/// A connection without its header.
#[derive(Debug)]
struct Waiting {
    stage: Stage,
    /// The address of the peer, for the log.
    peer: Option<SocketAddr>,
}

/// A driver that takes a header of the PROXY protocol on some of its listeners.
#[derive(Debug)]
pub struct Proxied<D> {
    inner: D,
    /// Of each listener, whether its connections begin with a header.
    asks: Vec<bool>,
    /// The connections without their header, by slot.
    waiting: Blocks<Option<Box<Waiting>>>,
    /// How many these are.
    count: usize,
    /// What the loop is told next, before the events of the inner driver.
    next: Option<Event>,
    /// The memory of incomplete headers.
    held: usize,
    charge: Option<Charge>,
    log: Log,
}

impl<D: Driver> Proxied<D> {
    /// Takes headers on those listeners of `inner` for which `asks` says so.
    #[must_use]
    pub fn new(inner: D, asks: Vec<bool>) -> Self {
        Self {
            inner,
            asks,
            waiting: Blocks::default(),
            count: 0,
            next: None,
            held: 0,
            charge: None,
            log: Log::default(),
        }
    }

    /// What an event of the inner driver means for the loop; `None` if it need not be told.
    #[inline(always)]
    fn translate(&mut self, event: Event) -> Option<Event> {
        match event {
            Event::Received { id, outcome, armed } if self.count > 0 => {
                self.receive_event(id, outcome, armed)
            }
            Event::Accepted { listener, result: Ok(slot), peer, .. }
                if self.asks.get(listener) == Some(&true) =>
            {
                self.forget(slot);
                let stage = Stage::Begun(Vec::new());
                *self.waiting.reach(slot, || None) = Some(Box::new(Waiting { stage, peer }));
                self.count += 1;
                Some(event)
            }
            event => Some(event),
        }
    }

    /// A receive has brought something while headers are missing.
    #[inline(never)]
    fn receive_event(&mut self, id: ConnectionId, outcome: Received, armed: bool) -> Option<Event> {
        let waiting = self.waiting.get_mut(id.slot).and_then(Option::as_mut);
        let Some(waiting) = waiting else { return Some(Event::Received { id, outcome, armed }) };
        match (outcome, &mut waiting.stage) {
            (Received::Data { buffer, .. }, Stage::Refused) => {
                self.inner.release(buffer);
                stopped(id, armed)
            }
            (Received::Data { buffer, len }, Stage::Begun(so_far)) => {
                let (before, memory) = (so_far.len(), so_far.capacity());
                let bytes = self.inner.bytes(&buffer).get_mut(..len).unwrap_or_default();
                let parsed = if before == 0 {
                    proxy::parse(bytes)
                } else {
                    so_far.extend_from_slice(bytes.get(..MAX_HEADER - before).unwrap_or(bytes));
                    self.held += so_far.capacity() - memory;
                    proxy::parse(so_far)
                };
                match parsed {
                    Ok(Some((header, end))) => {
                        let rest = end.saturating_sub(before)..len;
                        let len = rest.len();
                        bytes.copy_within(rest, 0);
                        self.forget(id.slot);
                        self.begin(id, header, Received::Data { buffer, len }, armed)
                    }
                    Ok(None) => {
                        if before == 0 {
                            so_far.extend_from_slice(bytes);
                            self.held += so_far.capacity();
                        }
                        self.inner.release(buffer);
                        stopped(id, armed)
                    }
                    Err(error) => {
                        self.inner.release(buffer);
                        self.refuse(id.slot, error);
                        Some(Event::Received { id, outcome: Received::Refused, armed })
                    }
                }
            }
            (outcome, _) => Some(Event::Received { id, outcome, armed }),
        }
    }

    /// The header is complete. Returns the first event: the address of the client, unless that of
    /// the socket counts, or what was received behind the header.
    fn begin(
        &mut self,
        id: ConnectionId,
        header: Header,
        rest: Received,
        armed: bool,
    ) -> Option<Event> {
        let rest = match rest {
            Received::Data { buffer, len: 0 } => {
                self.inner.release(buffer);
                stopped(id, armed)
            }
            outcome => Some(Event::Received { id, outcome, armed }),
        };
        let peer = match header {
            Header::Tcp { source, .. } => Some(plain(source)),
            Header::Unix => None,
            Header::Local | Header::Unknown => return rest,
        };
        self.next = rest;
        Some(Event::Peer { id, peer })
    }

    /// A connection does not begin with a header.
    #[cold]
    fn refuse(&mut self, slot: u32, error: ProxyError) {
        let now = self.inner.now();
        let Some(Some(waiting)) = self.waiting.get_mut(slot) else { return };
        if let Stage::Begun(so_far) = std::mem::replace(&mut waiting.stage, Stage::Refused) {
            self.held -= so_far.capacity();
        }
        self.log.refused(error.reason(), waiting.peer, now);
    }

    /// The connection of a slot has its header, or has ended without.
    fn forget(&mut self, slot: u32) {
        let Some(waiting) = self.waiting.get_mut(slot).and_then(Option::take) else { return };
        self.count -= 1;
        if let Stage::Begun(so_far) = waiting.stage {
            self.held -= so_far.capacity();
        }
    }

    /// The loop closes a connection. Of one that has sent a part of a header only, that is logged.
    fn end(&mut self, slot: u32) {
        if self.count == 0 {
            return;
        }
        let now = self.inner.now();
        if let Some(Some(waiting)) = self.waiting.get(slot)
            && let Stage::Begun(so_far) = &waiting.stage
            && !so_far.is_empty()
        {
            self.log.refused("the PROXY header is incomplete", waiting.peer, now);
        }
        self.forget(slot);
    }
}

/// What the loop is told of a receive whose bytes it does not see.
fn stopped(id: ConnectionId, armed: bool) -> Option<Event> {
    let outcome = Received::Cancelled;
    (!armed).then_some(Event::Received { id, outcome, armed })
}

/// An address in the form in which the others are told: IPv4 is never in IPv6 form.
fn plain(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

impl<D: Driver> Driver for Proxied<D> {
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
        self.inner.receive(id, poll_first);
    }

    fn receive_once(&mut self, id: ConnectionId) {
        self.inner.receive_once(id);
    }

    fn cancel_receive(&mut self, id: ConnectionId) {
        self.inner.cancel_receive(id);
    }

    #[inline]
    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.inner.bytes(buffer)
    }

    #[inline]
    fn release(&mut self, buffer: Buffer) {
        self.inner.release(buffer);
    }

    fn is_short_of_buffers(&self) -> bool {
        self.inner.is_short_of_buffers()
    }

    fn free_buffers(&self) -> usize {
        self.inner.free_buffers()
    }

    #[inline]
    fn send_now(&mut self, id: ConnectionId, payload: Payload) {
        self.inner.send_now(id, payload);
    }

    #[inline]
    fn send_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        self.inner.send_shared(ids, bytes);
    }

    fn send_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        self.inner.send_queued(id, chunk, max);
    }

    fn cancel_send(&mut self, id: ConnectionId) {
        self.inner.cancel_send(id);
    }

    fn query_progress(&mut self, id: ConnectionId) {
        self.inner.query_progress(id);
    }

    fn half_close(&mut self, id: ConnectionId) {
        self.inner.half_close(id);
    }

    fn has_end(&mut self, id: ConnectionId) -> bool {
        self.inner.has_end(id)
    }

    fn give_up(&mut self, id: ConnectionId) {
        self.inner.give_up(id);
    }

    fn memory(&self, id: ConnectionId) -> usize {
        let header = match self.waiting.get(id.slot).and_then(Option::as_deref) {
            Some(Waiting { stage: Stage::Begun(so_far), .. }) => so_far.capacity(),
            _ => 0,
        };
        header + self.inner.memory(id)
    }

    fn close(&mut self, id: ConnectionId) {
        self.end(id.slot);
        self.inner.close(id);
    }

    fn retire(&mut self, id: ConnectionId) -> bool {
        let is_retired = self.inner.retire(id);
        if is_retired {
            self.end(id.slot);
        }
        is_retired
    }

    fn wake_peer(&mut self, peer: &D::Waker) {
        self.inner.wake_peer(peer);
    }

    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        if let Some(charge) = &mut self.charge {
            charge.set(self.count * size_of::<Waiting>() + self.held);
        }
        let mut wait = if self.next.is_some() { None } else { wait };
        if self.log.has_more() {
            let due_in = self.log.due_in(self.inner.now());
            wait = wait.map(|wait| wait.min(due_in));
        }
        self.inner.enter(wait)?;
        if self.log.has_more() {
            self.log.write(self.inner.now());
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
        if self.next.is_some() {
            return self.next.take();
        }
        loop {
            let event = self.inner.next_event()?;
            if let Some(event) = self.translate(event) {
                return Some(event);
            }
        }
    }

    #[inline]
    fn take_work(&mut self) -> u64 {
        self.inner.take_work()
    }

    fn take_recycled(&mut self) -> Option<Vec<u8>> {
        self.inner.take_recycled()
    }

    fn stats(&self) -> DriverStats {
        DriverStats { without_header: self.log.count(), ..self.inner.stats() }
    }
}
