//! Connections that wait for a receive buffer, and in which order they get one.
//!
//! A client in the middle of a message sends more until the message is complete. Many of them at
//! once would take every buffer again as soon as it is free, and those that send little would wait
//! for all of them. So those come first, and of the others there are only so many at a time.

use std::collections::VecDeque;
use std::time::Duration;

use super::slots::{Blocked, Slot};
use crate::base::{ConnectionId, Millis};

/// For so long after a receive found no buffer, each connection receives once at a time. A receive
/// that stays armed takes 32 buffers if so much is there, and others would find none again.
const FEW: Duration = Duration::from_millis(20);
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

    /// How many wait: those between two messages, and those in the middle of one.
    pub(super) fn lens(&self) -> (usize, usize) {
        (self.between.len(), self.under_way.len())
    }

    /// Takes the first of those between two messages.
    pub(super) fn pop_between(&mut self) -> Option<ConnectionId> {
        self.between.pop_front()
    }

    /// Takes the first of those in the middle of a message.
    pub(super) fn pop_under_way(&mut self) -> Option<ConnectionId> {
        self.under_way.pop_front()
    }
}
