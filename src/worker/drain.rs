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

/// The time that connections for administration have to end.
const ADMIN_ENDS: Duration = Duration::from_secs(1);

/// After the deadline, for what was cut to come back from the kernel.
pub(crate) const AFTER_DRAIN: Duration = Duration::from_millis(500);

impl<D: Driver> Core<D> {
    /// Begins to stop, unless it has begun. While it `stays`, the worker does not end.
    pub(super) fn begin_drain(&mut self, stays: bool) {
        if let Some(drain) = &mut self.drain {
            drain.stays = stays;
        } else {
            self.stop_accepting();
            let deadline = self.now.after(self.pools.config.timeouts.drain);
            let rearm_at = self.now.after(REARM_EVERY);
            let (cursor, rearming, cutting) = (Some(0), None, false);
            let ends_admin = false;
            self.drain =
                Some(Drain { deadline, cursor, rearm_at, rearming, cutting, stays, ends_admin });
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

    /// Once no other connections are left, nobody is to be told of them any more: closes the
    /// listeners for administration, and their connections as all others.
    fn end_admin(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        let is_last = self.slots.len() as u64 == self.stats.admin;
        if drain.stays || !is_last || self.accepting.admin.is_empty() || drain.ends_admin {
            return;
        }
        (drain.ends_admin, drain.cutting, drain.cursor) = (true, false, Some(0));
        drain.deadline = self.now.after(self.pools.config.timeouts.drain.min(ADMIN_ENDS));
        self.accepting.admin_stopped = true;
        self.driver.stop_accepting(&[]);
    }

    /// Tells the next batch of connections, or cuts them if the time is over.
    pub(super) fn drain_some(&mut self) {
        self.rearm_some();
        self.end_admin();
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
            if slot.session.is_admin() && !self.accepting.admin_stopped {
                continue;
            }
            if cutting {
                self.abort(id, GOING_AWAY);
            } else {
                self.close(id, GOING_AWAY, "server is stopping");
            }
        }
    }
}
