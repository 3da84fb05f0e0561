//! Plain requests that an application answers later, from any thread.

use super::accept::Accept;
use super::core::CoreState;
use super::decision::{self, Decision, Undecided};
use super::error::SendError;
use crate::base::ConnectionId;
use crate::protocol::http::Response;

/// Answers a plain request, from any thread and any runtime. Made by
/// [`RequestContext::answer_later`](super::RequestContext::answer_later).
///
/// The client waits meanwhile, and so do the requests that it has sent behind this one. It is
/// answered with 503 if nothing is answered within
/// [`Timeouts::handshake`](crate::config::Timeouts::handshake) after the request, and also if this
/// value is dropped without an answer.
///
/// [`is_open`](Self::is_open) says whether the client still waits. One that closes its side of the
/// connection is taken to have left, unless it has sent more behind its request.
#[must_use = "dropped, it answers with 503"]
#[derive(Debug)]
pub struct Responder(Decision<()>);

/// A request that a [`Responder`] will answer.
#[derive(Debug)]
pub(crate) struct Unanswered(Undecided<()>);

/// The two ends of a request that is answered later.
pub(super) fn pair(id: ConnectionId, core: &CoreState) -> (Unanswered, Responder) {
    let (undecided, decision) = decision::pair(&Accept::of(id, core.inbox.decided()));
    (Unanswered(undecided), Responder(decision))
}

impl Responder {
    /// Whether the client was known to wait for the answer a moment ago.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.0.is_open()
    }

    /// Answers with this response, which is given the CORS headers as one that
    /// [`Handler::request`](super::Handler::request) returns. `Ok` says that the core is told.
    ///
    /// # Errors
    /// [`SendError::Gone`] if the client does not wait any more, or the server has stopped.
    pub fn respond(self, response: Response) -> Result<(), SendError> {
        self.0.refuse(response)
    }
}

impl Unanswered {
    /// The response, once it is there.
    pub(crate) fn take(&self) -> Option<Response> {
        match self.0.take()? {
            decision::Outcome::Refuse(refusal) => Some(refusal.into_response()),
            // A responder accepts nothing.
            decision::Outcome::Accept(..) => None,
        }
    }

    /// No answer is waited for any more.
    pub(crate) fn withdraw(&self) {
        self.0.withdraw();
    }
}
