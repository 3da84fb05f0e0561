//! Timers that are due.

use super::Worker;
use super::slots::Blocked;
use crate::base::{ConnectionId, Millis};
use crate::io::Driver;
use crate::session::{CloseReason, Phase, Service};

impl<D: Driver, S: Service> Worker<D, S> {
    /// Handles every timer that is due.
    pub(super) fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.core.due);
        self.core.wheel.expire(self.core.now.0, &mut due);
        for index in due.drain(..) {
            let Some(slot) = self.core.slots.at(index) else { continue };
            slot.timer = Millis::NEVER;
            let id = slot.id();
            self.on_timeout(id);
        }
        self.core.due = due;
    }

    fn on_timeout(&mut self, id: ConnectionId) {
        let core = &mut self.core;
        let Some(slot) = core.slots.get(id) else { return };
        if slot.stall() <= core.now {
            return core.abort(id, CloseReason::Stalled);
        }
        if slot.session.deadline() > core.now {
            return core.mark_dirty(id);
        }
        // Its time to leave is over, and its replies still are not sent.
        if slot.session.phase() == Phase::Finished && slot.queue.is_some() {
            return core.abort(id, CloseReason::Stalled);
        }
        let was_deciding = slot.session.phase() == Phase::Deciding;
        core.with_output(id, |slot, now, pools, output| {
            let unread = Blocked::SEND_BACKLOG | Blocked::BY_SERVICE;
            if slot.blocked.intersects(unread) || slot.deferred.is_some() {
                // There may be unread input.
                slot.session.reset_idle(now, &pools.config);
            }
            if slot.has_sent_since(now, &pools.config) {
                slot.session.reads_on();
            }
            slot.session.handle_timeout(now, slot.backlog(), pools, output);
        });
        // A connection that was held and is closing now has to be read from.
        core.update_receive(id);
        if was_deciding {
            self.service.undecided(id);
        }
    }
}
