//! What a worker tells of its connections, to those who administrate it.

use std::collections::HashMap;

use super::Worker;
use super::inspected::{Inspected, Inspecting, Totals};
use crate::base::ConnectionId;
use crate::io::Driver;
use crate::session::{CloseReason, Outbound, Service};

impl<D: Driver, S: Service> Worker<D, S> {
    /// The connections from slot `from` on: at most `most`, and at most `looks` slots are looked
    /// at. Also returns where to go on, if there are more.
    pub fn inspect(&mut self, from: u32, most: usize, looks: u32) -> (Vec<Inspected>, Option<u32>) {
        let core = &mut self.core;
        let mut found = Vec::new();
        let end = core.slots.end();
        for index in from..end {
            if found.len() >= most || index - from >= looks {
                return (found, Some(index));
            }
            let opened = core.opened.get(index).copied().unwrap_or(core.now);
            let Some(slot) = core.slots.at(index) else { continue };
            found.push(Inspected {
                id: slot.id(),
                phase: slot.session.phase(),
                endpoint: slot.session.endpoint(),
                route: slot.session.route(),
                is_websocket: slot.session.is_websocket(),
                is_admin: slot.session.is_admin(),
                is_tls: slot.session.is_tls(),
                age: opened.until(core.now),
                queued: slot.queue.as_ref().map_or(0, |queue| queue.queue.len()),
            });
        }
        (found, None)
    }

    /// Asks the kernel for the totals of these connections, of which there are few. Returns false,
    /// and does nothing, until the totals that were asked for before are taken.
    pub fn query_totals(&mut self, ids: &[ConnectionId]) -> bool {
        if self.core.inspecting.is_some() {
            return false;
        }
        let inspecting = Inspecting::of(ids);
        inspecting.ids().for_each(|id| self.core.driver.query_progress(id));
        self.core.inspecting = Some(Box::new(inspecting));
        true
    }

    /// The totals that were asked for last, once all are known. Of a connection that has ended, or
    /// of which the kernel does not tell, there are none.
    pub fn take_totals(&mut self) -> Option<HashMap<ConnectionId, Totals>> {
        let inspecting = self.core.inspecting.take_if(|inspecting| inspecting.is_complete())?;
        Some(inspecting.into_totals())
    }

    /// Closes a connection as the service does, but without what it has not read and may lose, and
    /// in no more than the time for its answer. Returns whether there is one of this id that is not
    /// for administration.
    pub fn close(&mut self, id: ConnectionId, reason: CloseReason, text: &str) -> bool {
        let is_there = self.core.slots.get(id).is_some_and(|slot| !slot.session.is_admin());
        if is_there {
            self.core.cut_queue(id);
            Outbound::close(&mut self.core, id, reason, text);
        }
        is_there
    }
}
