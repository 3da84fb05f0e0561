//! What one call of a session works with.

use super::outbound::Output;
use super::pools::Pools;
use crate::base::Millis;

/// How much of what was received a session has handled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use = "what was not handled has to be handed in again"]
pub enum Handled {
    /// Everything.
    All,
    /// The bytes before this offset. The service wants all that follows to wait until it calls
    /// [`Outbound::set_reading`](super::Outbound::set_reading) or
    /// [`Outbound::respond`](super::Outbound::respond).
    Until(usize),
    /// The bytes before this offset. The work that was allowed is used up; the rest may be passed
    /// again at once or later.
    Paused(usize),
}

/// The surroundings of one call of [`Session::receive`](super::Session::receive).
pub(super) struct ReceiveContext<'t> {
    pub(super) now: Millis,
    /// Bytes that wait to be sent to the peer from earlier turns.
    pub(super) backlog: usize,
    pub(super) pools: &'t mut Pools,
    pub(super) out: &'t mut Output,
    /// Why no more of the input is to be handled.
    pub(super) stop: Stop,
}

/// Why a session stops before the end of its input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    /// It does not.
    No,
    /// The service wants the rest to wait.
    Held,
    /// The work that was allowed is used up.
    Paused,
}

impl ReceiveContext<'_> {
    /// Copies replies that stand in `buffer`, the bytes being received, into memory of their own.
    pub(super) fn copy_out(&mut self, buffer: &[u8]) {
        self.out.copy_out(buffer, || self.pools.buffers.take());
    }

    /// The memory to append a reply to. No reply may stand in place.
    pub(super) fn appendable(&mut self) -> &mut Vec<u8> {
        self.out.appendable(|| self.pools.buffers.take())
    }
}
