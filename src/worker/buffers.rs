//! Connections that wait for a receive buffer, and in which order they get one.
//!
//! A client in the middle of a message sends more until the message is complete. Many of them at
//! once would take every buffer again as soon as it is free, and those that send little would wait
//! for all of them. So those come first, and of the others there are only so many at a time.

use std::collections::VecDeque;
use std::time::Duration;

use super::core::{BATCH, Core};
use super::slots::{Blocked, Receive, Slot};
use crate::base::{ConnectionId, Millis};
use crate::io::Driver;

/// For so long after a receive found no buffer, each connection receives once at a time. A receive
/// that stays armed takes 32 buffers if so much is there, and others would find none again.
const FEW: Duration = Duration::from_millis(20);
/// How many connections in the middle of a message are armed in a turn: their megabyte takes about
/// a millisecond.
const UNDER_WAY: usize = 64;
/// As many of them are armed even if others take all buffers, or are late.
const LEAST_UNDER_WAY: usize = 8;

/// The connections that wait for a receive buffer.
#[derive(Debug, Default)]
pub(super) struct AwaitingBuffer {
    /// Those between two messages, which come first.
    between: VecDeque<ConnectionId>,
    /// Those in the middle of a message.
    under_way: VecDeque<ConnectionId>,
    /// Until then buffers count as few.
    few: Millis,
}

impl AwaitingBuffer {
    pub(super) fn is_empty(&self) -> bool {
        self.between.is_empty() && self.under_way.is_empty()
    }

    /// A receive has found no buffer.
    pub(super) fn miss(&mut self, now: Millis) {
        self.few = now.after(FEW);
    }

    /// Whether a receive found no buffer a short time ago.
    #[inline]
    pub(super) fn are_few(&self, now: Millis) -> bool {
        now < self.few
    }

    /// Lets a connection wait, unless it does already.
    #[cold]
    pub(super) fn push(&mut self, slot: &mut Slot) {
        if slot.blocked.contains(Blocked::AWAITING_BUFFER) {
            return;
        }
        slot.blocked.insert(Blocked::AWAITING_BUFFER);
        let list = if slot.is_amid_message() { &mut self.under_way } else { &mut self.between };
        list.push_back(slot.id());
    }
}

impl<D: Driver> Core<D> {
    /// Arms connections that wait for a buffer again: as many as there are buffers, but a batch at
    /// least, and not too many that are in the middle of a message.
    pub(super) fn rearm_waiting(&mut self) {
        if self.awaiting_buffer.is_empty() {
            return;
        }
        let free = self.driver.free_buffers();
        let between = self.awaiting_buffer.between.len().min(free.max(BATCH));
        // While others are late, what the buffers bring would only make them wait longer.
        let most = if self.deferring.late.is_empty() { UNDER_WAY } else { LEAST_UNDER_WAY };
        let rest = free.saturating_sub(between) / 2;
        let under_way = self.awaiting_buffer.under_way.len().min(rest.clamp(LEAST_UNDER_WAY, most));
        for _ in 0..between {
            let Some(id) = self.awaiting_buffer.between.pop_front() else { break };
            self.rearm(id);
        }
        for _ in 0..under_way {
            let Some(id) = self.awaiting_buffer.under_way.pop_front() else { break };
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
