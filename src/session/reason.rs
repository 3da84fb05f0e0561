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
    /// The peer broke a rule of the protocol.
    Violation(Violation),
    /// This side sent a close frame, because the peer did what this server does not allow.
    Policy(Policy),
    /// This side sent a close frame with this code, because the server is short of memory and this
    /// connection held the most, with 1009 for what it has sent and 1013 for what it does not read,
    /// or held a part of a message that came too slowly, with 1008.
    Memory(CloseCode),
    /// The peer read too slowly, so this side sent a close frame with 1013.
    TooSlow,
    /// This side sent a close frame with 1001, because no message came for as long as a connection
    /// may be idle.
    Idle,
    /// This side sent a close frame with 1001, because a ping was not answered in time.
    NoPong,
    /// The opening handshake was refused.
    Refused(Rejection),
    /// The request was answered as plain HTTP.
    Answered,
    /// The peer closed TCP without a close frame.
    Eof,
    /// TCP broke, or the transport between TCP and this protocol.
    Broken,
    /// The handshake was not there in time, and not a byte of it.
    NoRequest,
    /// The peer did not read what was sent to it.
    Stalled,
}

/// What a peer did that this server does not allow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// A message takes too long to come.
    MessageTime,
    /// It may not publish to the topic of its connection.
    Publish,
    /// It has connected to subscribe only, and sent a message.
    Role,
}

impl Policy {
    /// The close code.
    #[must_use]
    pub const fn code(self) -> CloseCode {
        CloseCode::POLICY_VIOLATION
    }

    /// One line for the close frame and the log.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::MessageTime => "a message takes too long",
            Self::Publish => "not allowed to publish to this topic",
            Self::Role => "this connection only subscribes (role=sub)",
        }
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl CloseReason {
    /// The code of the close frame of the side that closed first, or [`CloseCode::ABNORMAL`] if
    /// there was none (RFC 6455 section 7.1.5).
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::Peer(code) | Self::Local(code) | Self::Memory(code) => code,
            Self::Policy(policy) => policy.code(),
            Self::TooSlow => CloseCode::TRY_AGAIN_LATER,
            Self::Idle | Self::NoPong => CloseCode::GOING_AWAY,
            Self::Violation(violation) => violation.code(),
            Self::Refused(_)
            | Self::Answered
            | Self::Eof
            | Self::Broken
            | Self::NoRequest
            | Self::Stalled => CloseCode::ABNORMAL,
        }
    }

    /// Whether this side ended the connection: by a close frame, because the peer broke a rule, or
    /// because it did not do something in time.
    #[must_use]
    pub const fn is_local(self) -> bool {
        match self {
            Self::Peer(_) | Self::Eof | Self::Broken => false,
            Self::Local(_)
            | Self::Violation(_)
            | Self::Policy(_)
            | Self::Memory(_)
            | Self::TooSlow
            | Self::Idle
            | Self::NoPong
            | Self::Refused(_)
            | Self::Answered
            | Self::NoRequest
            | Self::Stalled => true,
        }
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Peer(code) => write!(f, "closed by the peer with {code}"),
            Self::Local(code) => write!(f, "closed here with {code}"),
            Self::Violation(violation) => violation.fmt(f),
            Self::Policy(policy) => write!(f, "closed here with {}: {policy}", policy.code()),
            Self::Memory(code) => write!(f, "closed here with {code} for want of memory"),
            Self::TooSlow => f.write_str("the peer read too slowly"),
            Self::Idle => f.write_str("closed here with 1001: idle for too long"),
            Self::NoPong => f.write_str("closed here with 1001: no pong in time"),
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
