//! Deferred input: what was received from a connection while the service wants it to wait, or has
//! no room for what it may publish. It stays in its receive buffers, compressed as it came, in
//! order and with the end of the connection behind it.

use super::Worker;
use super::slots::{Blocked, Flags, Input, Receive, Slot};
use crate::base::ConnectionId;
use crate::io::{Driver, Received};
use crate::session::{EndpointId, Handled, Phase, Service};

impl<D: Driver, S: Service> Worker<D, S> {
    /// Defers an event of a receive; what follows on this connection waits behind it.
    #[cold]
    pub(super) fn defer(&mut self, id: ConnectionId, outcome: Received, armed: bool) {
        let Some(slot) = self.core.slots.get(id) else { return };
        if !armed {
            slot.receive = Receive::Idle;
        }
        slot.deferred.get_or_insert_default().push_back(Input::Received(outcome));
        // Not more than is on its way: receive buffers are for all connections.
        self.core.cancel_receive(id);
        self.core.list_for_retry(id);
    }

    /// The service wants `rest`, and all that follows, to wait.
    #[cold]
    pub(super) fn hold(&mut self, id: ConnectionId, rest: Vec<u8>) {
        let Some(slot) = self.core.slots.get(id) else { return };
        slot.blocked.insert(Blocked::BY_SERVICE);
        if !rest.is_empty() {
            slot.deferred.get_or_insert_default().push_front(Input::Rest(rest));
        }
        // The receive goes on. Most waits are short, and if more arrives, `defer` cancels it.
    }

    /// Handles the deferred input that needs no room, and that for which there is room now.
    pub(super) fn retry_deferred(&mut self) {
        for _ in 0..self.core.resuming.len() {
            let Some(id) = self.core.resuming.pop_front() else { break };
            self.retry(id, Flags::RESUMING);
        }
        for _ in 0..self.core.retrying.len() {
            if !self.service.has_room() {
                return;
            }
            let Some(id) = self.core.retrying.pop_front() else { return };
            self.retry(id, Flags::RETRYING);
        }
    }

    /// A connection was taken from the list that `flag` stands for.
    fn retry(&mut self, id: ConnectionId, flag: Flags) {
        if let Some(slot) = self.core.slots.get(id) {
            slot.flags.remove(flag);
            // It may have been in both lists.
            if slot.deferred.is_some() {
                self.take_deferred(id);
            }
        }
    }

    /// Handles the deferred input of a connection, until the service wants the rest to wait.
    fn take_deferred(&mut self, id: ConnectionId) {
        loop {
            let Some(slot) = self.core.slots.get(id) else { return };
            if slot.is_held() {
                return;
            }
            if slot.deferred.as_ref().is_some_and(|deferred| deferred.is_empty()) {
                slot.deferred = None;
            }
            if slot.deferred.is_none() {
                break;
            }
            if slot.lacks_room(&self.service) {
                return self.core.list_for_retry(id);
            }
            let Some(deferred) = &mut slot.deferred else { break };
            match deferred.pop_front() {
                Some(Input::Received(Received::Data { buffer, len })) => {
                    self.on_data::<false>(id, buffer, len, true);
                }
                Some(Input::Received(outcome)) => self.core.receive_ended(id, &outcome),
                Some(Input::Rest(rest)) => self.take_rest(id, rest),
                None => {}
            }
        }
        self.core.update_receive(id);
        self.core.mark_dirty(id);
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
        if let Handled::Until(at) = handled {
            rest.drain(..at.min(rest.len()));
            self.hold(id, rest);
        }
    }
}

impl Slot {
    /// Whether [`defers`](Self::defers) can be true: a first look that costs little.
    #[inline(always)]
    pub(super) fn may_defer(&self) -> bool {
        self.deferred.is_some()
            || self.blocked.bits() | self.session.endpoint().0 != EndpointId::APPLICATION.0
    }

    /// Whether input has to wait: behind input that waits already, because the service holds it, or
    /// because there is no room for what it may publish.
    #[cold]
    pub(super) fn defers<S: Service>(&self, service: &S) -> bool {
        self.deferred.is_some() || self.is_held() || self.lacks_room(service)
    }

    /// Whether the end of a connection ends the wait for a decision about its handshake: the
    /// application waits for something else, perhaps for long, and no client is there for its
    /// answer. What the client has sent behind its request keeps its place before a FIN.
    pub(super) fn leaves_undecided(&self, end: &Received) -> bool {
        self.session.phase() == Phase::Deciding
            && !self.session.endpoint().is_built_in()
            && (self.deferred.is_none() || matches!(end, Received::Failed(_)))
    }

    /// Whether there is no room for what the connection may publish. That is of no concern once it
    /// is closing, since what it sends then has no meaning any more.
    fn lacks_room<S: Service>(&self, service: &S) -> bool {
        self.needs_room() && !service.has_room()
    }

    fn needs_room(&self) -> bool {
        self.session.endpoint().is_built_in() && self.session.phase() == Phase::Open
    }
}

impl<D: Driver> super::core::Core<D> {
    /// Puts a connection in a list of those whose deferred input is tried again. One that begins to
    /// close while it waits for room is put in the other list as well, so that it does not wait
    /// behind those that go on.
    pub(super) fn list_for_retry(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        if slot.deferred.is_none() || slot.is_held() {
            return;
        }
        let (flag, list) = match slot.needs_room() {
            true => (Flags::RETRYING, &mut self.retrying),
            false => (Flags::RESUMING, &mut self.resuming),
        };
        if !slot.flags.contains(flag) {
            slot.flags.insert(flag);
            list.push_back(id);
        }
    }
}
