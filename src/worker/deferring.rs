//! The lists of connections with deferred input.

use std::collections::VecDeque;

use crate::base::ConnectionId;

/// Connections with deferred input, by what it waits for. Each may be in two lists at most: once it
/// is closing it needs no room any more.
#[derive(Debug, Default)]
pub(super) struct Deferring {
    /// The turn in which the input came had done enough.
    pub(super) late: VecDeque<ConnectionId>,
    /// The connection has used up its share of a turn, and its input needs no room.
    pub(super) paused: VecDeque<ConnectionId>,
    /// The service had no room, or the connection has used up its share, and its input needs room.
    pub(super) awaiting_room: VecDeque<ConnectionId>,
}

impl Deferring {
    /// Whether there is none.
    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.late.len() + self.paused.len() + self.awaiting_room.len() == 0
    }

    /// Whether the next turn has deferred input to handle.
    #[inline]
    pub(super) fn has_work(&self, has_room: impl FnOnce() -> bool) -> bool {
        let is_paused = !self.late.is_empty() || !self.paused.is_empty();
        is_paused || (!self.awaiting_room.is_empty() && has_room())
    }
}
