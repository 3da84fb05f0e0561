//! Deferred input: input of a connection that the service wants to wait, for which the service has
//! no room, or which is left to a later turn because this one has done enough work. It stays in its
//! receive buffers, still compressed, in order, and followed by the end of the connection. It is
//! copied if it would take too many of the buffers, which other connections need.

use super::Worker;
use super::deferring::{Deferring, Expected, Part, SMALL_MESSAGE};
use super::input::{Deferred, Input, SHORT};
use super::slots::{Blocked, Flags, Slot};
use crate::base::ConnectionId;
use crate::io::{Driver, Event, Received};
use crate::session::{EndpointId, Handled, Phase, Service};

/// Input of a client of topics that is no longer causes about 20,000 units of work at most, and so
/// does a request head that is no longer, unless tokens are verified.
const BOUNDED: usize = 160;
const BOUNDED_HEAD: usize = 512;
/// If so much of a message is there and the peer has reset the connection, the rest is not handled:
/// a few kilobytes of it may be megabytes, for nobody.
const GIVEN_UP: usize = 64 << 10;
/// In a turn that has done enough already, the driver is not asked for more once it has brought so
/// many bytes: of those who flood there is always more.
const COLLECTED: usize = 256 << 10;
/// An event counts for so many bytes.
const EVENT: usize = 64;

impl<D: Driver, S: Service> Worker<D, S> {
    /// Defers an event of a receive; what follows on this connection waits behind it.
    #[cold]
    pub(super) fn defer(&mut self, id: ConnectionId, outcome: Received, armed: bool) {
        let core = &mut self.core;
        let Some(slot) = core.slots.get(id) else { return };
        if !armed {
            slot.receive_stopped();
        }
        let deferred = slot.deferred.get_or_insert_with(|| Deferred::new(&core.pools.ledger));
        match outcome {
            Received::Data { buffer, len }
                if len <= SHORT
                    || core.driver.is_short_of_buffers()
                    || slot.blocked.contains(Blocked::OVER_RATE) =>
            {
                let bytes = core.driver.bytes(&buffer).get(..len).unwrap_or_default().to_vec();
                core.driver.release(buffer);
                deferred.push_copied(bytes);
            }
            outcome => deferred.push_back(outcome),
        }
        if core.give_up_reset(id) {
            return;
        }
        // Not more than is on its way: receive buffers are for all connections.
        self.core.update_receive(id);
        self.core.list_for_retry(id);
    }

    /// This turn has done enough: defers all that was received and is not handled yet, also what
    /// the driver has not collected. So the next turn knows of all whose input causes little work,
    /// and they do not wait in the order of arrival behind those whose input causes much. Of those
    /// who flood there is always more, so it is not collected.
    #[cold]
    pub(super) fn end_turn_early(&mut self) {
        let mut bytes = 0;
        while let Some(more) = self.defer_events() {
            bytes += more;
            if bytes > COLLECTED {
                return;
            }
            self.core.driver.collect();
        }
    }

    /// Defers all events that the driver has. Returns how many bytes they have brought, `None` if
    /// there was no event.
    pub(super) fn defer_events(&mut self) -> Option<usize> {
        let mut bytes = None;
        while let Some(event) = self.core.driver.next_event() {
            self.core.charge_driver();
            *bytes.get_or_insert(0) += received(&event);
            match event {
                Event::Received { id, outcome: outcome @ Received::Data { .. }, armed } => {
                    self.defer_late(id, outcome, armed);
                }
                other => self.on_rare_event(other),
            }
        }
        bytes
    }

    /// Defers what was received to the next turn. The receive goes on, because the wait is short.
    fn defer_late(&mut self, id: ConnectionId, outcome: Received, armed: bool) {
        let (core, service) = (&mut self.core, &self.service);
        let is_long = matches!(outcome, Received::Data { len, .. } if len > SHORT);
        let Some(slot) = core.slots.get(id) else {
            // It has ended; that is noticed as for any other.
            return self.on_rare_event(Event::Received { id, outcome, armed });
        };
        // Long ones would keep those of others from the next turns, and from receive buffers.
        if is_long || slot.defers(service) {
            return self.defer(id, outcome, armed);
        }
        if !armed {
            slot.receive_stopped();
        }
        let ledger = &core.pools.ledger;
        let deferred = slot.deferred.get_or_insert_with(|| Deferred::new(ledger));
        let mut start = None;
        if let Received::Data { buffer, len } = outcome {
            // Thousands of these must not take the receive buffers.
            let bytes = core.driver.bytes(&buffer).get(..len).unwrap_or_default().to_vec();
            core.driver.release(buffer);
            start = bytes.first().map(|first| (*first, bytes.len()));
            deferred.push_copied(bytes);
        } else {
            deferred.push_back(outcome);
        }
        slot.flags.insert(Flags::PAUSED);
        core.deferring.late.push(id, slot.expected(start, service));
        core.stats.late += 1;
    }

    /// Handles the first deferred input of a connection.
    pub(super) fn take_next(&mut self, id: ConnectionId) {
        let slot = self.core.slots.get(id);
        match slot.and_then(|slot| slot.deferred.as_mut()?.pop_front()) {
            Some(Input::Received(Received::Data { buffer, len })) => {
                self.on_data::<false, false>(id, buffer, len, true);
            }
            Some(Input::Received(outcome)) => self.core.receive_ended(id, &outcome),
            Some(Input::Rest(rest)) => self.take_rest(id, rest),
            None => {}
        }
    }

    /// Passes the rest of a receive to its session. The replies are copied, since the rest is in no
    /// receive buffer.
    fn take_rest(&mut self, id: ConnectionId, mut rest: Vec<u8>) {
        let mut handled = Handled::All;
        let service = &mut self.service;
        self.core.with_output(id, |slot, now, pools, output| {
            let backlog = slot.backlog();
            handled = slot.session.receive(now, &mut rest, backlog, pools, service, output);
            output.copy_out(&rest, || pools.buffers.take());
        });
        if let Handled::Until(at) | Handled::Paused(at) = handled {
            rest.drain(..at.min(rest.len()));
            self.core.defer_rest(id, rest, handled);
        }
    }
}

/// How much of this an event counts for: the bytes that it has brought, and the event itself.
const fn received(event: &Event) -> usize {
    match event {
        Event::Received { outcome: Received::Data { len, .. }, .. } => EVENT + *len,
        _ => EVENT,
    }
}

impl Slot {
    /// Whether [`defers`](Self::defers) can be true: a first look that costs little.
    #[inline(always)]
    pub(super) fn may_defer(&self) -> bool {
        self.deferred.is_some()
            || self.blocked.bits() | self.session.endpoint().0 != EndpointId::APPLICATION.0
    }

    /// Whether input has to wait: behind input that waits already, because the service holds it,
    /// because too many replies wait, or because there is no room for what it may publish.
    #[cold]
    pub(super) fn defers<S: Service>(&self, service: &S) -> bool {
        self.deferred.is_some() || self.input_waits() || self.lacks_room(service)
    }

    /// The work that short input of it is expected to cause; `start` is its first byte and its
    /// length. A newcomer has no past to judge by, and whoever is refused comes again as one.
    fn expected<S: Service>(&self, start: Option<(u8, usize)>, service: &S) -> Expected {
        let is_newcomer = self.session.phase() == Phase::Request;
        // A request head has work for each of its bytes; a message may have a filter in each four.
        let bounded = if self.session.phase() < Phase::Open { BOUNDED_HEAD } else { BOUNDED };
        // The length of a compressed message says nothing about the work that it causes.
        // The last byte of a head has the work of the whole head.
        let partial = self.session.partial_request();
        let is_bounded =
            |(first, len)| partial + len <= bounded && !self.session.may_inflate(first);
        match self.costly {
            _ if is_newcomer && service.newcomers_cost_much() => Expected::Much,
            0 if self.session.takes_little() => Expected::Little,
            0 if self.session.assembled() > 0 || self.session.lacks_compressor() => Expected::Much,
            0 if partial > bounded => Expected::Much,
            0 if start.is_some_and(is_bounded) => Expected::Bounded,
            0 => Expected::Unknown,
            _ => Expected::Much,
        }
    }

    /// Whether its deferred input may hold much more memory than it has, once it is handled: the
    /// rest of a message, or what is decompressed.
    pub(super) fn may_grow(&self) -> bool {
        self.session.assembled() > SMALL_MESSAGE || self.session.compresses()
    }

    /// Whether the end of a connection ends the wait for a decision about its handshake or request:
    /// that may take long, and no client is there for the answer. One that has sent FIN before its
    /// handshake is answered cannot be served. What the client has sent behind its request keeps
    /// its place before a FIN.
    pub(super) fn leaves_undecided(&self, end: &Received) -> bool {
        self.session.phase() == Phase::Deciding
            && (self.deferred.is_none() || matches!(end, Received::Failed(_)))
    }

    /// Whether there is no room for what the connection may ask for. That is of no concern once it
    /// is closing, since what it sends then has no meaning any more.
    pub(super) fn lacks_room<S: Service>(&self, service: &S) -> bool {
        self.may_need_room()
            && !(service.has_room() && service.has_room_for(self.session.assembled()))
    }

    /// Whether its input may need room: that of every open connection to an endpoint of the server.
    pub(super) fn may_need_room(&self) -> bool {
        self.session.endpoint().is_built_in() && self.session.phase() == Phase::Open
    }
}

impl<D: Driver> super::core::Core<D> {
    /// Lets the rest of a receive, of which the session has handled the beginning, wait for the
    /// service or for a later turn.
    #[cold]
    pub(super) fn defer_rest(&mut self, id: ConnectionId, rest: Vec<u8>, handled: Handled) {
        // It is counted when it is handled.
        self.pools.counts.received_bytes -= rest.len() as u64;
        let Some(slot) = self.slots.get(id) else { return };
        if matches!(handled, Handled::Until(_)) {
            slot.blocked.insert(Blocked::BY_SERVICE);
        }
        if !rest.is_empty() {
            let ledger = &self.pools.ledger;
            slot.deferred.get_or_insert_with(|| Deferred::new(ledger)).push_front(rest);
        }
        // The receive goes on. Most waits are short, and if more arrives, `defer` cancels it.
        self.list_for_retry(id);
    }

    /// Ends a connection that the peer has reset in the midst of a large message, or while it has
    /// to wait because it has sent too much, with all that waits. What is smaller is handled first:
    /// the peer may have sent it before it left. Returns whether the connection was ended.
    pub(super) fn give_up_reset(&mut self, id: ConnectionId) -> bool {
        let Some(slot) = self.slots.get(id) else { return false };
        let waits = slot.blocked.contains(Blocked::OVER_RATE);
        if slot.session.assembled() < GIVEN_UP && !waits {
            return false;
        }
        let reset = slot.deferred.as_mut().and_then(|deferred| deferred.take_reset());
        let Some(reset) = reset else { return false };
        self.drop_deferred(id);
        self.receive_ended(id, &reset);
        true
    }

    /// Puts a connection in the list of those whose deferred input is tried again.
    pub(super) fn list_for_retry(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        if slot.deferred.is_none() || slot.input_waits() {
            return;
        }
        let is_new = slot.deferred.as_ref().is_some_and(|deferred| deferred.is_new());
        let new = is_new && slot.costly == 0;
        let assembled = slot.session.assembled();
        let part = Part::of(assembled, new);
        if slot.may_need_room() && !slot.flags.contains(Flags::AWAITING_ROOM) {
            slot.flags.insert(Flags::AWAITING_ROOM);
            match Deferring::part_in_message(assembled) {
                Some(part) => self.deferring.in_message.push(id, part),
                None => self.deferring.awaiting_room.push(id),
            }
        } else if !slot.may_need_room() && !slot.flags.contains(Flags::PAUSED) {
            slot.flags.insert(Flags::PAUSED);
            let may_grow = part == Part::Other && slot.may_grow();
            if may_grow && self.large_messages_wait() {
                self.deferring.paused.hold_back(id);
            } else {
                self.deferring.paused.push(id, part);
            }
        }
    }
}
