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
    ///
    /// ```
    /// use corecast::app::{Accept, Upgrade};
    /// use corecast::protocol::websocket::handshake::{Rejection, Request};
    ///
    /// /// The body of `Handler::upgrade`, where the state of a connection is a name.
    /// fn upgrade(request: &Request<'_>, accept: &mut Accept) -> Upgrade<String> {
    ///     let token = request.cookie("token").unwrap_or_default().to_owned();
    ///     let (later, decision) = accept.decide_later();
    ///     std::thread::spawn(move || {
    ///         // An error says that the client has left.
    ///         let _ = match look_up(&token) {
    ///             Some(name) => decision.accept(|| name),
    ///             None => decision.refuse(Rejection::Forbidden),
    ///         };
    ///     });
    ///     later
    /// }
    /// # fn look_up(_: &str) -> Option<String> { None }
    /// ```
    #[must_use = "dropped, the handshake is refused"]
    pub fn decide_later<C>(&self) -> (Upgrade<C>, Decision<C>) {
        let (undecided, decision) = decision::pair(self);
        (Upgrade::Later(undecided), decision)
    }
}
