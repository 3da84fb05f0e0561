//! How much a turn decrypts, in units of [`Work`](crate::base::Work).
//!
//! The loop counts what is decrypted and encrypted with its own work, and it can stop after any
//! frame. But it is shown frames only once they are decrypted, so the transport has limits too: one
//! for each connection, and one for all. What is beyond them stays encrypted, and is decrypted in
//! the next turns: first that of connections that have sent little, then that of the others.

use std::collections::VecDeque;

use crate::base::ConnectionId;

/// For all connections: a quarter of what the loop does in a turn.
const TURN: u64 = 500_000;
/// The share of one connection. It may be exceeded by one record.
pub(super) const SHARE: u64 = 30_000;
/// An input that causes more than this causes much.
const MUCH: u64 = 8_000;
/// A connection that has sent such an input is expected to do it again, until it has sent so many
/// in a row that caused less.
const REMEMBERED: u8 = 16;

/// The part of a turn that is left.
#[derive(Debug)]
pub(super) struct Allowance {
    turn: u32,
    left: u64,
    /// What was done and the loop was not told of yet.
    done: u64,
}

/// Connections with input that waits, in their order.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    short: List,
    long: List,
    /// One of the long ones was served in this turn.
    pub(super) has_resumed: bool,
}

#[derive(Debug, Default)]
pub(super) struct List {
    pub(super) list: VecDeque<ConnectionId>,
    /// So many of them may be served in this turn: those that came in earlier ones.
    due: usize,
}

impl Waiting {
    pub(super) const fn of(&mut self, is_short: bool) -> &mut List {
        if is_short { &mut self.short } else { &mut self.long }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.short.list.is_empty() && self.long.list.is_empty()
    }

    /// Whether some may be served in this turn.
    #[inline]
    pub(super) const fn is_due(&self) -> bool {
        self.short.due + self.long.due > 0
    }

    pub(super) fn begin_turn(&mut self) {
        self.has_resumed = false;
        for list in [&mut self.short, &mut self.long] {
            list.due = list.list.len();
        }
    }
}

impl List {
    /// The next one that may be served in this turn.
    pub(super) fn next(&mut self) -> Option<ConnectionId> {
        self.due = self.due.checked_sub(1)?;
        self.list.pop_front()
    }

    /// No more of them is served in this turn, and `first` is the first one of the next.
    pub(super) fn stop(&mut self, first: ConnectionId) {
        self.due = 0;
        self.list.push_front(first);
    }
}

/// The part of a turn that is left for a connection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Share {
    turn: u32,
    used: u32,
}

impl Allowance {
    pub(super) const fn new() -> Self {
        Self { turn: 1, left: TURN, done: 0 }
    }

    pub(super) const fn begin_turn(&mut self) {
        self.turn = self.turn.wrapping_add(1);
        self.left = TURN;
    }

    /// What may be done for new input of a connection.
    #[inline]
    pub(super) fn of(&self, share: Share, costly: u8) -> u64 {
        // What others need is kept from those who cause much work.
        self.part(share, if costly == 0 { 0 } else { TURN / 2 })
    }

    /// What may be done for input that has waited.
    pub(super) fn of_late(&self, share: Share, is_short: bool) -> u64 {
        self.part(share, if is_short { TURN / 4 } else { TURN / 2 })
    }

    #[inline]
    fn part(&self, share: Share, kept: u64) -> u64 {
        let used = if share.turn == self.turn { u64::from(share.used) } else { 0 };
        SHARE.saturating_sub(used).min(self.left.saturating_sub(kept))
    }

    /// Counts work for input of a connection.
    #[inline]
    pub(super) fn charge(&mut self, work: u64, share: &mut Share, costly: &mut u8) {
        self.left = self.left.saturating_sub(work);
        self.done += work;
        let used = if share.turn == self.turn { share.used } else { 0 };
        let used = used.saturating_add(u32::try_from(work).unwrap_or(u32::MAX));
        *share = Share { turn: self.turn, used };
        *costly = if work > MUCH { REMEMBERED } else { costly.saturating_sub(1) };
    }

    /// Counts work that could not be put off.
    #[inline]
    pub(super) const fn count(&mut self, work: u64) {
        self.done += work;
    }

    /// What was done since the last call.
    #[inline]
    pub(super) const fn take(&mut self) -> u64 {
        std::mem::replace(&mut self.done, 0)
    }
}
