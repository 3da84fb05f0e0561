//! The errors of a client's handshake.

use std::fmt;

use crate::protocol::http::HeadError;

/// Why a request cannot be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RequestError {
    /// The target is not a path with an optional query, in visible ASCII without `#`.
    Target,
    /// The host is not `name`, `name:port` or `[IPv6]:port`.
    Host,
    /// The origin is not visible ASCII.
    Origin,
    /// A subprotocol is not a token, or is given twice.
    Subprotocol,
}

impl fmt::Display for RequestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Target => "the target is malformed; use a percent-encoded path from / on",
            Self::Host => "the host is malformed; use a name with an optional port",
            Self::Origin => "the origin is malformed; use scheme://host[:port]",
            Self::Subprotocol => "a subprotocol is not a token, or is given twice",
        })
    }
}

impl std::error::Error for RequestError {}

/// Why a server's response does not open the connection (RFC 6455 section 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ResponseError {
    /// The head is not acceptable as HTTP/1.1.
    Head(HeadError),
    /// The status is not 101: a redirect, a refusal or anything else.
    Status(u16),
    /// There is not exactly one Upgrade, with the value `websocket`.
    Upgrade,
    /// Connection does not name `upgrade`.
    Connection,
    /// There is not exactly one Sec-WebSocket-Accept, with the value that answers the key.
    Accept,
    /// Sec-WebSocket-Protocol is repeated, or names a subprotocol that was not offered.
    Subprotocol,
    /// Sec-WebSocket-Extensions names an extension that was not offered, or parameters that the
    /// offer does not allow.
    Extensions,
}

impl From<HeadError> for ResponseError {
    fn from(error: HeadError) -> Self {
        Self::Head(error)
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Head(error) => write!(f, "the response head is malformed ({error:?})"),
            Self::Status(status) => write!(f, "the server answered with status {status}, not 101"),
            Self::Upgrade => f.write_str("the response does not upgrade to websocket"),
            Self::Connection => f.write_str("the response's Connection does not name Upgrade"),
            Self::Accept => f.write_str("Sec-WebSocket-Accept does not match the key"),
            Self::Subprotocol => f.write_str("the server chose a subprotocol that was not offered"),
            Self::Extensions => f.write_str("the server chose an extension that was not offered"),
        }
    }
}

impl std::error::Error for ResponseError {}
