//! What is kept of a request that is not answered yet.

use super::request_line::RequestLine;
use super::service::Accept;
use crate::base::Pace;
use crate::base::ledger::Charge;
use crate::protocol::http::{Answer, BodyReader, HeadScanner};
use crate::protocol::websocket::handshake::Agreement;

/// The received part of a request head that did not come in one piece.
#[derive(Debug)]
pub(super) struct PartialHead {
    pub(super) scanner: HeadScanner,
    pub(super) bytes: Vec<u8>,
    pub(super) charge: Charge,
    pub(super) pace: Pace,
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

/// Whether a request, of which this is the beginning, has the method HEAD, so that no response to
/// it may have a body.
pub(super) fn asks_head(head: &[u8]) -> bool {
    head.strip_prefix(b"\r\n").unwrap_or(head).starts_with(b"HEAD ")
}

/// A request whose body has not come in full.
#[derive(Debug)]
pub(super) struct PartialBody {
    /// The whole head.
    pub(super) head: Box<[u8]>,
    pub(super) reader: BodyReader,
    /// What has come of the content, if the service wants it.
    pub(super) content: Vec<u8>,
    pub(super) is_wanted: bool,
    pub(super) charge: Charge,
    /// The bytes that have come of it, as they came.
    pub(super) received: u64,
    pub(super) pace: Pace,
}

impl PartialBody {
    /// Charges what it holds now.
    pub(super) fn recharge(&mut self) {
        self.charge.set(size_of::<Self>() + self.head.len() + self.content.capacity());
    }
}

/// A plain request that the service answers later.
#[derive(Debug)]
pub(super) struct Unanswered {
    /// What the response is an answer to.
    pub(super) answer: Answer,
    /// The request, if it is to be logged.
    pub(super) line: Option<RequestLine>,
    /// For this value itself.
    pub(super) charge: Charge,
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
    /// The request, if it is to be logged.
    pub(super) line: Option<RequestLine>,
    pub(super) charge: Charge,
}
