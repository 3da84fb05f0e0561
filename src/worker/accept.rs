//! New connections.

use std::time::Duration;

use super::core::Core;
use super::slots::{Receive, Slot};
use crate::base::ConnectionId;
use crate::io::{Accepts, Driver, Errno};
use crate::session::Session;

/// After the system ran out of descriptors or memory, how long until accepting is tried again if
/// no connection closes before. Trying at once would only spin.
const RETRY: Duration = Duration::from_millis(100);

/// From so few free slots on, accepts are for one connection each, and none is armed without a
/// free slot: an accept that finds none loses its connection.
const FEW: usize = 64;

impl<D: Driver> Core<D> {
    /// Arms the listeners that do not accept, if it is time and there is room.
    pub(super) fn arm_accepts(&mut self) {
        if self.accepting.stopped || self.now < self.accepting.retry_at {
            return;
        }
        let free = (self.driver.slots() as usize).saturating_sub(self.slots.len());
        self.accepting.no_room = free == 0;
        if free == 0 {
            return;
        }
        for listener in 0..self.accepting.armed.len() {
            if !std::mem::replace(&mut self.accepting.armed[listener], true) {
                let kind = match (self.accepting.wants_peers, free <= FEW) {
                    (true, _) => Accepts::OnceWithPeer,
                    (false, true) => Accepts::Once,
                    (false, false) => Accepts::Multishot,
                };
                self.driver.accept(listener, kind);
            }
        }
    }

    pub(super) fn stop_accepting(&mut self) {
        if !std::mem::replace(&mut self.accepting.stopped, true) {
            self.driver.stop_accepting();
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
        if let Some(state) = self.accepting.armed.get_mut(listener) {
            *state = armed;
        }
        match result {
            Ok(index) => {
                self.accepting.failing = false;
                Some(self.open(index))
            }
            Err(Errno::CANCELED) => None,
            Err(error) => {
                self.stats.accept_errors += 1;
                let gone = matches!(error, Errno::CONNABORTED | Errno::PROTO | Errno::INTR);
                if !gone {
                    self.accepting.retry_at = self.now.after(RETRY);
                    if !std::mem::replace(&mut self.accepting.failing, true) {
                        tracing::warn!(%error, "accepting fails; tried again as connections end");
                    }
                }
                None
            }
        }
    }

    fn open(&mut self, index: u32) -> ConnectionId {
        self.stats.accepted += 1;
        let full = self.slots.len() >= self.pools.config.limits.max_connections as usize;
        let id = self.slots.next_id(index);
        let reject = full || self.accepting.stopped || self.is_short_of_memory();
        let session = Session::new(id, self.now, &self.pools.config, reject);
        let deadline = session.deadline();
        let mut slot = Slot::new(session);
        slot.receive = Receive::Armed;
        slot.timer = deadline;
        self.slots.insert(index, slot);
        self.wheel.set(index, deadline.0);
        // The request is often there already, so no poll before the first receive.
        self.driver.receive(id, false);
        id
    }
}
