//! The end of a connection: what was sent is known to be sent, every operation has come back, and
//! only then its slot is closed.

use super::Worker;
use crate::base::ConnectionId;
use crate::io::Driver;
use crate::session::{Handler, Phase};

impl<D: Driver, H: Handler> Worker<D, H> {
    /// Looks at every connection on its way out. Runs when all events are taken, so that an empty
    /// queue means: the peer's kernel or ours has every byte.
    pub(super) fn leave(&mut self) {
        let mut leaving = std::mem::take(&mut self.leaving);
        for id in leaving.drain(..) {
            let Some(slot) = self.slots.get(id) else { continue };
            slot.leaving = false;
            // It has something to say in this turn still; the turn's end puts it back here.
            if slot.turn != 0 {
                continue;
            }
            match slot.connection.phase() {
                Phase::Lingering => self.linger(id),
                Phase::Finished => self.part(id),
                Phase::Opening | Phase::Open | Phase::Closing => {}
            }
        }
        if self.leaving.is_empty() {
            self.leaving = leaving;
        }
    }

    /// Sends FIN once all else is sent. The receive goes on, to read and throw away.
    fn linger(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        if slot.queue.is_none() && !slot.half_closing && !slot.half_closed {
            slot.half_closing = true;
            self.driver.half_close(id);
        }
    }

    /// Calls back what the kernel holds; closes once it holds nothing.
    fn part(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        if slot.queue.is_some() {
            return;
        }
        if slot.receiving {
            if !slot.cancelling {
                slot.cancelling = true;
                self.driver.cancel_receive(id);
            }
            return;
        }
        if slot.half_closing {
            return;
        }
        self.driver.close(id);
        self.wheel.clear(id.slot);
        if let Some(mut slot) = self.slots.remove(id.slot) {
            tracing::trace!(slot = id.slot, reason = ?slot.connection.reason(), "closed");
            slot.connection.finish(&mut self.shared);
        }
        self.stats.closed += 1;
        self.retry_accepts_now();
    }
}
