//! At the end of a turn: which of the connections that wait for a receive buffer are armed again.

use super::core::{BATCH, Core};
use super::slots::{Blocked, Receive};
use crate::base::ConnectionId;
use crate::io::Driver;

/// How many connections in the middle of a message are armed in a turn: their megabyte takes about
/// a millisecond.
const UNDER_WAY: usize = 64;
/// As many of them are armed even if others take all buffers, or are late.
const LEAST_UNDER_WAY: usize = 8;

impl<D: Driver> Core<D> {
    /// Arms connections that wait for a buffer again: as many as there are buffers, but a batch at
    /// least, and not too many that are in the middle of a message.
    pub(super) fn rearm_waiting(&mut self) {
        if self.awaiting_buffer.is_empty() {
            return;
        }
        let free = self.driver.free_buffers();
        let (between, under_way) = self.awaiting_buffer.lens();
        let between = between.min(free.max(BATCH));
        // While others are late, what the buffers bring would only make them wait longer.
        let most = if self.deferring.late.is_empty() { UNDER_WAY } else { LEAST_UNDER_WAY };
        let rest = free.saturating_sub(between) / 2;
        let under_way = under_way.min(rest.clamp(LEAST_UNDER_WAY, most));
        // Some of them before the others, who may take all buffers each time.
        let first = under_way.min(LEAST_UNDER_WAY);
        self.rearm_under_way(first);
        for _ in 0..between {
            let Some(id) = self.awaiting_buffer.pop_between() else { break };
            self.rearm(id);
        }
        self.rearm_under_way(under_way - first);
    }

    fn rearm_under_way(&mut self, count: usize) {
        for _ in 0..count {
            let Some(id) = self.awaiting_buffer.pop_under_way() else { break };
            self.rearm(id);
        }
    }

    /// The turn of a connection has come.
    fn rearm(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        slot.blocked.remove(Blocked::AWAITING_BUFFER);
        if matches!(slot.receive, Receive::Paced | Receive::Idle) && slot.wants_input() {
            slot.receive = Receive::Armed;
            self.driver.receive_once(id);
        }
    }
}
