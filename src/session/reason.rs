//! Why a connection ended.

use std::fmt;

use crate::protocol::websocket::handshake::Rejection;
use crate::protocol::websocket::{CloseCode, Violation};

/// Why a connection ended, and so who ended it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CloseReason {
    /// The peer sent a close frame with this code ([`CloseCode::NO_STATUS`] if it had none).
    Peer(CloseCode),
    /// This side sent a close frame with this code, without the peer's fault.
    Local(CloseCode),
    /// The peer broke a rule.
    Violation(Violation),
    /// The opening handshake was refused.
    Refused(Rejection),
    /// The request was answered as plain HTTP.
    Answered,
    /// The peer closed TCP without a close frame.
    Eof,
    /// TCP broke.
    Broken,
    /// The handshake was not there in time, and not a byte of it.
    NoRequest,
    /// The peer did not read what was sent to it.
    Stalled,
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(code) => write!(f, "closed by the peer with {code}"),
            Self::Local(code) => write!(f, "closed here with {code}"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Refused(rejection) => {
                write!(f, "refused with {}: {}", rejection.status(), rejection.reason())
            }
            Self::Answered => f.write_str("answered as plain HTTP"),
            Self::Eof => f.write_str("ended by the peer without a close frame"),
            Self::Broken => f.write_str("connection reset"),
            Self::NoRequest => f.write_str("no request within the handshake deadline"),
            Self::Stalled => f.write_str("the peer did not read what was sent to it"),
        }
    }
}
