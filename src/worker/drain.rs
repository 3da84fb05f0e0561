//! Stopping: no new connections, close 1001 to all there are, and a limit to the patience.

use std::time::Duration;

use super::core::{BATCH, Core, Drain};
use super::slots::{Blocked, Receive};
use crate::base::Millis;
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Outbound, Phase};

/// How often receives are armed again while connections are waited for.
const REARM_EVERY: Duration = Duration::from_millis(250);

/// Why the connections end that are there when the server stops.
const GOING_AWAY: CloseReason = CloseReason::Local(CloseCode::GOING_AWAY);

/// After the deadline, for what was cut to come back from the kernel.
pub(crate) const AFTER_DRAIN: Duration = Duration::from_millis(500);

impl<D: Driver> Core<D> {
    /// Begins to stop, unless it has begun.
    pub(super) fn begin_drain(&mut self) {
        if self.drain.is_none() {
            self.stop_accepting();
            let deadline = self.now.after(self.pools.config.timeouts.drain);
            let rearm_at = self.now.after(REARM_EVERY);
            let (cursor, rearming, cutting) = (Some(0), None, false);
            self.drain = Some(Drain { deadline, cursor, rearm_at, rearming, cutting });
        }
    }

    pub(super) fn drain_has_more(&self) -> bool {
        let has_more = |drain: &Drain| drain.cursor.is_some() || drain.rearming.is_some();
        self.drain.as_ref().is_some_and(has_more)
    }

    pub(super) fn drain_deadline(&self) -> Millis {
        self.drain.as_ref().map_or(Millis::NEVER, |drain| drain.deadline.min(drain.rearm_at))
    }

    /// Arms the receives of a batch of the connections that are waited for again. Linux was seen to
    /// keep a multishot receive armed without a word on a connection that is reset while data
    /// arrives; one that is armed later finds the end at once.
    fn rearm_some(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.rearm_at <= self.now && drain.rearming.is_none() {
            drain.rearming = Some(0);
            drain.rearm_at = self.now.after(REARM_EVERY);
        }
        let Some(start) = drain.rearming else { return };
        let (batch, next) = self.slots.used_from(start, BATCH);
        drain.rearming = next;
        for index in batch {
            if let Some(slot) = self.slots.at(index)
                && matches!(slot.session.phase(), Phase::Closing | Phase::Lingering)
            {
                let id = slot.id();
                // It is armed again when the cancel has come back.
                slot.blocked.set(Blocked::REARMING, slot.receive == Receive::Armed);
                self.update_receive(id);
            }
        }
    }

    /// Tells the next batch of connections, or cuts them if the time is over.
    pub(super) fn drain_some(&mut self) {
        self.rearm_some();
        let Some(drain) = &mut self.drain else { return };
        if drain.deadline <= self.now && drain.cursor.is_none() {
            drain.cutting = true;
            drain.cursor = Some(0);
            drain.deadline = self.now.after(AFTER_DRAIN);
        }
        let (Some(start), cutting) = (drain.cursor, drain.cutting) else { return };
        let (batch, next) = self.slots.used_from(start, BATCH);
        drain.cursor = next;
        for index in batch {
            let Some(slot) = self.slots.at(index) else { continue };
            let id = slot.id();
            if cutting {
                self.abort(id, GOING_AWAY);
            } else {
                self.close(id, GOING_AWAY, "server is stopping");
            }
        }
    }
}
