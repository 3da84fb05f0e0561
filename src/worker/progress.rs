//! What the kernel tells of a peer before its connection is given up: whether a peer that says
//! nothing, or takes nothing, still reads.

use std::time::Duration;

use super::core::Core;
use super::slots::{Flags, Queue};
use crate::base::{ConnectionId, Millis, SendProgress};
use crate::io::Driver;
use crate::session::{CloseReason, Phase, WindowEdge};

/// How often the progress of a peer is queried while its queue does not move, until it is given up.
pub(super) const CHECKS: u32 = 4;
/// The first check is after this fraction of the stall timeout: it tells nothing by itself, since
/// the second has to be compared with something.
const FIRST_CHECK: u32 = 60;

impl Queue {
    /// Something of it was sent, so it has all of `stall` again.
    pub(super) fn moved(&mut self, now: Millis, stall: Duration) {
        self.stall = now.after(stall);
        self.check = now.after(stall / FIRST_CHECK);
        self.edge = WindowEdge::default();
    }

    /// The next check is no later than the first one would be.
    pub(super) fn check_soon(&mut self, now: Millis, stall: Duration) {
        self.check = self.check.min(now.after(stall / FIRST_CHECK));
    }
}

impl<D: Driver> Core<D> {
    /// The kernel tells how far a peer is, or that it cannot tell. `may_publish` is what the
    /// service says of the connection.
    #[cold]
    pub(super) fn on_progress(
        &mut self,
        id: ConnectionId,
        progress: Option<SendProgress>,
        may_publish: bool,
    ) {
        let now = self.now;
        let timeouts = &self.pools.config.timeouts;
        let stall = timeouts.stall;
        let Some(slot) = self.slots.get(id) else { return };
        if let Some(queue) = slot.queue.as_mut().filter(|queue| queue.stall != Millis::NEVER)
            && !slot.flags.contains(Flags::ABORTED)
        {
            if progress.is_some_and(|progress| queue.edge.advances(progress.window_edge)) {
                queue.stall = now.after(stall);
            }
            let is_sending = progress.is_some_and(|progress| progress.unread > 0);
            if queue.stall <= now
                || is_sending
                    && may_publish
                    && slot.is_held_up()
                    && !slot.has_sent_within(timeouts.close, now, &self.pools.config)
            {
                return self.give_up(id);
            }
            let Some(queue) = &slot.queue else { return };
            // A send that waits is notified of room when a third of the socket's buffer is free.
            // One that is tried takes what room there is: some, if the peer has read anything.
            if progress.is_none() && queue.queue.is_sending() {
                self.driver.cancel_send(id);
            }
        }
        self.check_pong(id, progress.as_ref());
    }

    fn check_pong(&mut self, id: ConnectionId, progress: Option<&SendProgress>) {
        if self.slots.get(id).is_none_or(|slot| slot.may_have_unread()) {
            return;
        }
        let mut tracker = self.trackers.remove(&id).unwrap_or_default();
        let mut is_needed = false;
        self.with_output(id, |slot, now, pools, output| {
            slot.session.handle_progress(now, progress, &mut tracker, pools, output);
            is_needed = slot.session.needs(&tracker, now, &pools.config);
        });
        if is_needed {
            self.trackers.insert(id, tracker);
        }
    }

    /// The peer reads nothing. It gets a close frame if that can still be sent: if it begins to
    /// read, or if the socket has some room after all. What may be dropped is dropped, to be done
    /// sooner.
    fn give_up(&mut self, id: ConnectionId) {
        let (now, timeouts) = (self.now, &self.pools.config.timeouts);
        let stall = now.after(timeouts.close.min(timeouts.stall / CHECKS));
        let Some(slot) = self.slots.get(id) else { return };
        let is_open = slot.session.phase() == Phase::Open;
        let Some(queue) = slot.queue.as_mut().filter(|_| is_open) else {
            return self.abort(id, CloseReason::Stalled);
        };
        self.stats.dropped += queue.queue.clear_droppable();
        (queue.stall, queue.check) = (stall, Millis::NEVER);
        if queue.queue.is_sending() {
            self.driver.cancel_send(id);
        }
        self.with_output(id, |slot, now, pools, output| {
            slot.session.close_stalled(now, pools, output);
        });
        // The peer's answer has to be read, whatever the service had wait.
        self.list_for_retry(id);
        self.update_receive(id);
    }
}
