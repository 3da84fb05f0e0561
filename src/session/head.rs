//! What is kept of a request that is not answered yet.

use super::service::Accept;
use crate::base::ledger::Charge;
use crate::protocol::http::HeadScanner;
use crate::protocol::websocket::handshake::Agreement;

/// The received part of a request head that did not come in one piece.
#[derive(Debug)]
pub(super) struct PartialHead {
    pub(super) scanner: HeadScanner,
    pub(super) bytes: Vec<u8>,
    pub(super) charge: Charge,
}

impl PartialHead {
    /// Charges what it holds now.
    pub(super) fn recharge(&mut self) {
        self.charge.set(size_of::<Self>() + self.bytes.capacity());
    }

    pub(super) fn into_buffer(self) -> Vec<u8> {
        self.bytes
    }
}

/// What the answer to a deferred handshake is made of.
#[derive(Debug)]
pub(super) struct Deciding {
    pub(super) key: Box<str>,
    /// The subprotocols that the client offers, with commas between them.
    pub(super) offered: Box<str>,
    /// How the handshake is answered unless the decision says otherwise.
    pub(super) accept: Accept,
    pub(super) agreement: Option<Agreement>,
    pub(super) charge: Charge,
}
