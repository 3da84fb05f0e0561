//! Stopping: no new connections, close 1001 to all there are, and a limit to the patience.

use std::time::Duration;

use super::BATCH;
use super::core::{Core, Drain};
use crate::base::Millis;
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Outbound};

/// After the deadline, for what was cut to come back from the kernel.
pub(crate) const GRACE: Duration = Duration::from_millis(500);

impl<D: Driver> Core<D> {
    /// Begins to stop, unless it has begun.
    pub(super) fn begin_drain(&mut self) {
        if self.drain.is_none() {
            self.stop_accepting();
            let deadline = self.now.after(self.pools.config.timeouts.drain);
            self.drain = Some(Drain { deadline, cursor: Some(0), cutting: false });
        }
    }

    pub(super) fn drain_has_more(&self) -> bool {
        self.drain.as_ref().is_some_and(|drain| drain.cursor.is_some())
    }

    pub(super) fn drain_deadline(&self) -> Millis {
        self.drain.as_ref().map_or(Millis::NEVER, |drain| drain.deadline)
    }

    /// Tells the next batch of connections, or cuts them if the time is over.
    pub(super) fn drain_some(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.deadline <= self.now && drain.cursor.is_none() {
            drain.cutting = true;
            drain.cursor = Some(0);
            drain.deadline = self.now.after(GRACE);
        }
        let (Some(start), cutting) = (drain.cursor, drain.cutting) else { return };
        let (batch, next) = self.slots.used_from(start, BATCH);
        drain.cursor = next;
        for index in batch {
            let Some(slot) = self.slots.at(index) else { continue };
            let id = slot.id();
            if cutting {
                self.abort(id, CloseReason::Local(CloseCode::GOING_AWAY));
            } else {
                self.close(id, CloseCode::GOING_AWAY, "server is stopping");
            }
        }
    }
}
