//! Timers that are due.

use super::Worker;
use super::progress::CHECKS;
use super::slots::Flags;
use crate::base::{ConnectionId, Millis};
use crate::io::Driver;
use crate::session::{CloseReason, Phase, Service};

/// The most timers that are handled in one turn. Each may take some microseconds, to answer a
/// client and to end its connection.
const EXPIRED: usize = 256;

impl<D: Driver, S: Service> Worker<D, S> {
    /// Handles timers that are due, at most [`EXPIRED`] in one turn.
    pub(super) fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.core.due);
        if due.is_empty() {
            self.core.wheel.expire(self.core.now.0, &mut due);
        }
        for _ in 0..EXPIRED {
            let Some(index) = due.pop() else { break };
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
        let mut query = slot.queue_deadline() <= core.now;
        if query && (slot.flags.contains(Flags::ABORTED) || slot.is_cut(core.now)) {
            return core.abort(id, CloseReason::Stalled);
        }
        // The connection is not given up before the kernel was asked whether the peer reads.
        if query {
            let timeouts = &core.pools.config.timeouts;
            let most = if slot.is_held_up() { timeouts.close } else { timeouts.stall };
            if let Some(queue) = &mut slot.queue {
                queue.check = core.now.after(most.min(timeouts.stall / CHECKS));
            }
        }
        if slot.session.deadline() > core.now {
            core.mark_dirty(id);
        } else if slot.session.phase() == Phase::Finished && slot.queue.is_some() {
            // Its time to leave is over, and its replies still are not sent.
            return core.abort(id, CloseReason::Stalled);
        } else {
            query |= self.on_session_timeout(id);
        }
        if query {
            self.core.driver.query_progress(id);
        }
    }

    /// The deadline of a session has come. Returns whether the peer's progress is to be queried.
    fn on_session_timeout(&mut self, id: ConnectionId) -> bool {
        let core = &mut self.core;
        let Some(slot) = core.slots.get(id) else { return false };
        let was_deciding = slot.session.phase() == Phase::Deciding;
        let mut query = false;
        core.with_output(id, |slot, now, pools, output| {
            if slot.may_have_unread() {
                slot.session.reset_idle(now, &pools.config);
            }
            if slot.has_sent_within(pools.config.timeouts.close, now, &pools.config) {
                slot.session.reads_on();
            }
            query = slot.session.handle_timeout(now, slot.backlog(), pools, output);
        });
        // A connection that was held and is closing now has to be read from.
        core.update_receive(id);
        if was_deciding {
            self.service.undecided(id);
        }
        query
    }
}
