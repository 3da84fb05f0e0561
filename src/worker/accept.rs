//! New connections.

use std::net::SocketAddr;
use std::time::Duration;

use super::Worker;
use super::core::Core;
use super::listeners::{Armed, PATIENCE};
use super::slots::Slot;
use crate::base::{ConnectionId, Millis};
use crate::io::{Driver, Errno, is_passing};
use crate::protocol::websocket::handshake::Rejection;
use crate::session::{Admitted, CloseReason, Phase, Service, Session};

/// After the system ran out of descriptors or memory, how long until accepting is tried again if
/// no connection closes before. Trying at once would only spin.
const RETRY: Duration = Duration::from_millis(100);

/// So many connections to listeners for administration are answered at a time. They have some slots
/// of their own, and may have no token.
const MOST_ADMIN: u64 = 32;

/// The least time between two warnings that accepting fails.
const WARN_EVERY: Duration = Duration::from_secs(10);

/// The most connections above the limit that are ended in one turn.
const MAX_EVICTED: usize = 16;

/// The most connections above the limit that are remembered.
const MAX_REJECTED: usize = 1024;

impl<D: Driver, S: Service> Worker<D, S> {
    /// A connection was accepted, and its peer is known.
    #[cold]
    pub(super) fn on_connected(
        &mut self,
        id: ConnectionId,
        listener: usize,
        peer: Option<SocketAddr>,
    ) {
        self.service.connected(id, peer);
        if self.core.accepting.tells_client(listener) {
            self.admit(id);
        }
    }

    /// A proxy has told for which client it connects.
    #[cold]
    pub(super) fn on_peer(&mut self, id: ConnectionId, peer: Option<SocketAddr>) {
        self.service.connected(id, peer);
        self.admit(id);
    }

    /// Asks the service whether a connection may begin.
    fn admit(&mut self, id: ConnectionId) {
        let Self { core, service, .. } = self;
        let is_settled = |slot: &mut Slot| slot.session.is_rejected() || slot.session.is_admin();
        if core.slots.get(id).is_none_or(is_settled) {
            return;
        }
        match service.admit(id, core.now) {
            Admitted::Yes => {}
            Admitted::Refused(rejection) => {
                if let Some(slot) = core.slots.get(id) {
                    slot.session.reject(core.now, rejection, &mut core.pools.counts);
                }
                core.remember_rejected(id);
                core.mark_dirty(id);
            }
            Admitted::Dropped => {
                core.abort(id, CloseReason::Refused(Rejection::AddressConnections));
                core.mark_dirty(id);
            }
        }
    }
}

impl<D: Driver> Core<D> {
    /// Arms the listeners that do not accept, if it is time and there is room.
    pub(super) fn arm_accepts(&mut self) {
        let used = self.slots.len() + self.slots.retired.len();
        let free = (self.driver.slots() as usize).saturating_sub(used);
        let is_scarce = free <= self.accepting.few;
        let is_settled = self.accepting.is_settled && is_scarce == self.accepting.is_scarce;
        if is_settled || self.accepting.stopped && self.accepting.admin.is_empty() {
            return;
        }
        self.accepting.is_scarce = is_scarce;
        self.arm_each(free, is_scarce);
    }

    /// An accept that finds no slot loses its connection. So where slots are scarce, each accept
    /// is for one connection and has a slot reserved.
    #[cold]
    fn arm_each(&mut self, mut free: usize, is_scarce: bool) {
        if free <= self.accepting.reserved() && self.return_retired() {
            free += 1;
        }
        let accepting = &mut self.accepting;
        for (listener, armed) in accepting.armed.iter_mut().enumerate() {
            if is_scarce && *armed == Armed::Many {
                *armed = Armed::Ending;
                self.driver.cancel_accept(listener);
            }
        }
        if self.now < accepting.retry_at {
            return;
        }
        let mut room = free.saturating_sub(accepting.reserved());
        // Another listener comes first each time, so that the last slots are not all given to one.
        let (count, first) = (accepting.armed.len(), accepting.first);
        accepting.first = (first + 1) % count.max(1);
        for listener in (0..count).map(|listener| (listener + first) % count) {
            if accepting.armed[listener] != Armed::No || room == 0 || !accepting.is_wanted(listener)
            {
                continue;
            }
            let armed = &mut accepting.armed[listener];
            // io_uring wakes one of the loops that wait for a shared socket, the first one: a
            // multishot accept would stay the first and take every connection. One that is armed
            // again is the last.
            let is_single = is_scarce || accepting.shared.get(listener) == Some(&true);
            let (kind, state) = match is_single {
                true => (accepting.kind.once(), Armed::Once),
                false => (accepting.kind, Armed::Many),
            };
            *armed = state;
            room -= usize::from(state == Armed::Once);
            self.driver.accept(listener, kind);
        }
        accepting.no_room = accepting.lacks_any();
        accepting.is_settled = !accepting.no_room;
        if accepting.no_room {
            self.make_room();
        }
    }

    /// Every slot is in use. Ends the oldest connections above the limit, which are to be answered
    /// with 503 only: those that send no request are answered without, and those that were answered
    /// are closed. Otherwise clients that send nothing would keep others from their answer.
    fn make_room(&mut self) {
        for _ in 0..MAX_EVICTED {
            let Some(&(id, since)) = self.accepting.rejected.front() else { return };
            let phase = self.slots.get(id).map(|slot| slot.session.phase());
            if phase.is_some() && since.after(PATIENCE) > self.now {
                return;
            }
            self.accepting.rejected.pop_front();
            match phase {
                Some(Phase::Request) => {
                    self.with_output(id, |slot, now, pools, output| {
                        slot.session.refuse(now, slot.session.rejection(), pools, output);
                    });
                    self.accepting.rejected.push_back((id, self.now));
                }
                Some(Phase::Lingering) => self.abort(id, CloseReason::Broken),
                _ => {}
            }
        }
    }

    /// Remembers a connection above the limit. Once in a turn those that have ended are forgotten.
    fn remember_rejected(&mut self, id: ConnectionId) {
        let is_full = self.accepting.rejected.len() >= MAX_REJECTED;
        if is_full && self.accepting.tidied != self.now {
            self.accepting.tidied = self.now;
            self.accepting.rejected.retain(|(id, _)| self.slots.get(*id).is_some());
        }
        if self.accepting.rejected.len() < MAX_REJECTED {
            self.accepting.rejected.push_back((id, self.now));
        }
    }

    /// Accepts no more. What comes nevertheless is refused, or served.
    pub(super) fn stop_accepting(&mut self, refuses: bool) {
        self.accepting.refuses = refuses;
        if !std::mem::replace(&mut self.accepting.stopped, true) {
            self.driver.stop_accepting(&self.accepting.admin);
        }
    }

    /// A slot has become free, so what accepting lacked may be there now.
    pub(super) fn retry_accepts_now(&mut self) {
        self.accepting.retry_at = self.accepting.retry_at.min(self.now);
    }

    /// An accept has ended or brought a connection, whose id is returned.
    pub(super) fn on_accept(
        &mut self,
        listener: usize,
        result: Result<u32, Errno>,
        armed: bool,
    ) -> Option<ConnectionId> {
        if !armed && let Some(state) = self.accepting.armed.get_mut(listener) {
            *state = Armed::No;
            self.accepting.is_settled = false;
        }
        match result {
            Ok(index) => Some(self.open(index, listener)),
            Err(Errno::CANCELED) => None,
            Err(error) => {
                self.stats.accept_errors += 1;
                if !is_passing(error) {
                    self.accepting.retry_at = self.now.after(RETRY);
                    let is_full = self.slots.len() >= self.driver.slots() as usize;
                    if !is_full && self.now >= self.accepting.warn_again {
                        self.accepting.warn_again = self.now.after(WARN_EVERY);
                        tracing::warn!(%error, "accepting fails; tried again as connections end");
                    }
                }
                None
            }
        }
    }

    /// Whether a new connection is to be answered with 503. Counts why.
    fn has_to_reject(&mut self, is_full: bool) -> bool {
        let in_progress = self.stats.accepted - self.pools.counts.begun;
        let most = self.pools.config.limits.max_handshakes;
        let refused = &mut self.stats.limits;
        if is_full {
            refused.connections += 1;
        } else if most.is_some_and(|most| in_progress >= u64::from(most)) {
            refused.handshakes += 1;
        } else if self.has_scarce_memory() {
            self.stats.limits.memory += 1;
        } else {
            return self.accepting.refuses;
        }
        true
    }

    fn open(&mut self, index: u32, listener: usize) -> ConnectionId {
        // Who administrates the server takes nobody's place.
        let clients = self.slots.len() as u64 - self.stats.admin;
        let full = clients >= u64::from(self.pools.config.limits.max_connections);
        let id = self.slots.next_id(index);
        let is_admin = self.accepting.is_admin(listener);
        let reject = match is_admin {
            true => self.stats.admin >= MOST_ADMIN,
            false => self.has_to_reject(full),
        };
        let mut session = Session::new(id, self.now, &self.pools.config, reject);
        if is_admin {
            session.mark_admin();
            self.stats.admin += 1;
        } else {
            self.stats.accepted += 1;
        }
        if reject {
            session.note_begun(&mut self.pools.counts);
        }
        if self.accepting.tls.get(listener) == Some(&true) {
            session.mark_tls();
        }
        if !self.accepting.admin.is_empty() {
            *self.opened.reach(index, Millis::default) = self.now;
        }
        if !is_admin && self.accepting.refuses {
            session.hasten(self.now);
        }
        let deadline = session.deadline();
        let mut slot = Slot::new(session);
        slot.timer = deadline;
        self.slots.insert(index, slot);
        self.meters.reset(index);
        if reject {
            self.remember_rejected(id);
        }
        self.wheel.set(index, deadline.0);
        self.update_receive(id);
        id
    }
}
