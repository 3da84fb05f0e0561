//! What an application decides about an opening handshake.

use super::accept::Accept;
use super::decision::{self, Decision, Undecided};
use crate::protocol::websocket::handshake::Refusal;

/// What an application decides about an opening handshake.
#[derive(Debug)]
pub enum Upgrade<C> {
    /// The connection becomes a WebSocket with this state.
    Accept(C),
    /// The request is answered with this refusal: that of a
    /// [`Rejection`](crate::protocol::websocket::handshake::Rejection), or any
    /// [`Response`](crate::protocol::http::Response) with its status, headers and body. The
    /// connection is closed after it.
    Refuse(Refusal),
    /// A [`Decision`] follows, perhaps from another thread. Made by [`Accept::decide_later`].
    Later(Undecided<C>),
}

impl<C> Upgrade<C> {
    /// Refuses with any response, such as a redirect or a 401 that asks for credentials.
    #[must_use]
    pub fn refuse(refusal: impl Into<Refusal>) -> Self {
        Self::Refuse(refusal.into())
    }
}

impl Accept {
    /// Puts off the decision about this handshake: the first value is for
    /// [`Handler::upgrade`](super::Handler::upgrade) to return, the second decides, from any
    /// thread. Each call makes a new pair; all but the one that is returned find their client gone.
    pub fn decide_later<C>(&self) -> (Upgrade<C>, Decision<C>) {
        let (undecided, decision) = decision::pair(self);
        (Upgrade::Later(undecided), decision)
    }
}
