//! How far a worker is with stopping.

use super::spread::Spread;
use crate::base::Millis;

/// How a drain ends, and what becomes of requests that come during it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Manner {
    /// The worker does not end before this is unset.
    pub(super) stays: bool,
    /// A successor has the listening sockets. What was accepted before it began is served:
    /// handshakes are answered, and closed as all other connections.
    pub(super) hands_over: bool,
}

/// How far a worker is with stopping.
#[derive(Debug)]
pub(super) struct Drain {
    pub(super) manner: Manner,
    pub(super) began: Millis,
    pub(super) deadline: Millis,
    /// When new connections are refused, and those that there are begin to be told; never once that
    /// has happened.
    pub(super) tells_at: Millis,
    /// Whom to tell when.
    pub(super) spread: Spread,
    /// The next slot to be looked at besides, while there are some.
    pub(super) cursor: Option<u32>,
    /// When the receives of those that are waited for are armed again.
    pub(super) rearm_at: Millis,
    /// The next slot whose receive is armed again, while there are some.
    pub(super) rearming: Option<u32>,
    /// All that are left are cut.
    pub(super) cutting: bool,
    /// The listeners for administration are closed, and told to end are their connections.
    pub(super) ends_admin: bool,
}

impl Drain {
    /// When there is something to do.
    pub(super) fn next(&self) -> Millis {
        let tells = if self.cutting { Millis::NEVER } else { self.spread.due() };
        self.deadline.min(self.rearm_at).min(self.tells_at).min(tells)
    }

    /// The worker is to end now, for which it has this time at most: whoever waits for that knows
    /// the settings that hold now, and not those of the beginning.
    pub(super) fn end_by(&mut self, time: Millis) {
        self.deadline = self.deadline.min(time);
        if self.tells_at != Millis::NEVER {
            self.tells_at = self.tells_at.min(time);
        }
    }

    /// Whether the worker may end once it has no connections.
    pub(super) fn may_end(&self) -> bool {
        !self.manner.stays && self.tells_at == Millis::NEVER
    }
}
