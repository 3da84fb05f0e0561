//! What is kept of handshakes about which somebody else is asked.

use super::client::Client;
use crate::app::Undecided;
use crate::authority::Authority;
use crate::base::ledger::Charge;
use crate::config::RouteId;

/// What is kept of such a handshake.
#[derive(Debug)]
pub(super) struct Asking<U> {
    pub(super) undecided: Undecided<Authority>,
    pub(super) then: Then<U>,
    /// For all of it, and the question.
    pub(super) _charge: Charge,
}

/// What follows if the client is allowed in.
#[derive(Debug)]
pub(super) enum Then<U> {
    /// It is the client of an endpoint.
    Client(Entering<U>),
    /// The application is asked, with the head of the request.
    App { head: Box<[u8]>, route: RouteId },
}

/// A client whose request is in order.
#[derive(Debug)]
pub(super) struct Entering<U> {
    pub(super) client: Client,
    pub(super) user: U,
    /// The window for compressed frames; `None` for no compression.
    pub(super) window_bits: Option<u8>,
}

impl<U> Asking<U> {
    /// No answer is waited for any more.
    pub(super) fn withdraw(&self) {
        self.undecided.withdraw();
    }
}
