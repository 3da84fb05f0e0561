//! How an application answers an opening handshake that it accepts.

use std::fmt;
use std::sync::Arc;

use super::decided::Decided;
use crate::authority::{Authority, is_bearer};
use crate::base::ConnectionId;
use crate::protocol::http::HeaderError;
use crate::protocol::websocket::handshake::{ExtraHeaders, Request};

/// The most bytes of all header lines that an application adds to one answer.
const MAX_HEADERS: usize = 8 << 10;

/// How an accepted handshake is answered.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Accept {
    /// The subprotocol to answer with. Left out if the client did not offer it (RFC 6455 section
    /// 4.2.2).
    pub protocol: Option<Box<str>>,
    headers: ExtraHeaders,
    /// What the client may do, by its token.
    pub(crate) authority: Option<Arc<Authority>>,
    /// The handshake that is decided about, and the list of its core. `None` if the application has
    /// made this value itself.
    pub(super) handshake: Option<(ConnectionId, Arc<Decided>)>,
}

/// A header that cannot be part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110 section 5.1).
    Name,
    /// The value contains CR, LF, NUL or another control byte (RFC 9110 section 5.5).
    Value,
    /// The server sets this header itself (RFC 6455 section 4.2.2).
    Reserved,
    /// The added headers would exceed 8 KiB.
    TooLong,
}

impl fmt::Display for InvalidHeader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the header name is not a token",
            Self::Value => "the header value contains a control character",
            Self::Reserved => "the server sets this header itself",
            Self::TooLong => "the added headers exceed 8 KiB",
        })
    }
}

impl std::error::Error for InvalidHeader {}

impl Accept {
    /// The answer to the handshake of `id`, for a handler to change.
    pub(crate) fn of(id: ConnectionId, decided: &Arc<Decided>) -> Self {
        Self { handshake: Some((id, Arc::clone(decided))), ..Self::default() }
    }

    /// Who the client is and what it may do, if the handler asks for that
    /// ([`Handler::TOKENS`](super::Handler::TOKENS)) and the server verifies tokens.
    #[must_use]
    pub fn authority(&self) -> Option<&Authority> {
        self.authority.as_deref()
    }

    /// Answers with the first subprotocol that the client offered, if it offered any: what clients
    /// that offer some expect of a server that knows none. If its token was verified, one that
    /// carries the token is answered only if there is no other.
    pub fn first_protocol(&mut self, request: &Request<'_>) {
        let carries = |name: &&str| self.authority.is_some() && is_bearer(name);
        let other = request.subprotocols().find(|name| !carries(name));
        self.protocol = other.or_else(|| request.subprotocols().next()).map(Into::into);
    }

    /// Adds a header to the answer, such as `Set-Cookie`. White space around the value is dropped.
    /// The same name may be added more than once.
    ///
    /// # Errors
    /// If the header is not valid or not the application's to set: Connection, Content-Length,
    /// Host, Origin, Transfer-Encoding, Upgrade and all that begin with `Sec-WebSocket-` are not.
    /// The answer is unchanged then.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        // With the colon, the space and the end of the line.
        let len = self.headers.list().as_bytes().len() + name.len() + value.len() + 4;
        if len > MAX_HEADERS {
            return Err(InvalidHeader::TooLong);
        }
        self.headers.push(name, value).map_err(|error| match error {
            HeaderError::Name => InvalidHeader::Name,
            HeaderError::Value => InvalidHeader::Value,
            HeaderError::Reserved => InvalidHeader::Reserved,
        })
    }

    pub(crate) fn into_parts(self) -> (Option<Box<str>>, ExtraHeaders) {
        (self.protocol, self.headers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_that_could_change_the_answer_are_refused() {
        let mut accept = Accept::default();
        let cases = [
            ("", "x", InvalidHeader::Name),
            ("a b", "x", InvalidHeader::Name),
            ("a:", "x", InvalidHeader::Name),
            ("a", "x\r\nb: y", InvalidHeader::Value),
            ("a", "\0", InvalidHeader::Value),
            ("Upgrade", "h2c", InvalidHeader::Reserved),
            ("SEC-WebSocket-Accept", "x", InvalidHeader::Reserved),
            ("content-length", "0", InvalidHeader::Reserved),
        ];
        for (name, value, error) in cases {
            assert_eq!(accept.header(name, value), Err(error), "{name:?}: {value:?}");
        }
        assert_eq!(accept.header("a", &"x".repeat(MAX_HEADERS - 4)), Err(InvalidHeader::TooLong));
        assert!(accept.headers.list().is_empty());
        assert_eq!(accept.header("Set-Cookie", "a=1; Path=/"), Ok(()));
        assert_eq!(accept.header("Set-Cookie", " "), Ok(()));
        let lines = b"Set-Cookie: a=1; Path=/\r\nSet-Cookie: \r\n";
        assert_eq!(accept.into_parts().1.list().as_bytes(), lines);
    }
}
