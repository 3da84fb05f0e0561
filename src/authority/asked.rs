//! Questions about clients that somebody else answers, such as a backend.

use super::access::Authority;
use crate::protocol::websocket::handshake::Refusal;

/// A question about the client of an opening handshake.
pub trait Question: Send {
    /// The memory that it takes until it is answered, in bytes.
    fn memory(&self) -> usize;

    /// Asks. It must not block: the answer comes from another thread.
    fn ask(self: Box<Self>, reply: Box<dyn Reply>);
}

/// Takes the answer to a [`Question`], from any thread. Dropped, it refuses the handshake with 503.
pub trait Reply: Send {
    /// Whether the client still waits.
    fn is_open(&self) -> bool;

    /// What the client may do, or why it is refused.
    fn answer(self: Box<Self>, answer: Result<Authority, Refusal>);
}

/// How questions were answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AskCounts {
    /// The client may connect.
    pub allowed: u64,
    /// It is refused: 401 or 403.
    pub refused: u64,
    /// There was no valid answer in time: 503.
    pub failed: u64,
    /// Too many questions waited: 503.
    pub overloaded: u64,
    /// Those that were not asked, because the answer was known from before.
    pub cached: u64,
}
