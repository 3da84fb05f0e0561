//! What an application decides about an opening handshake.

use std::fmt;

use crate::protocol::websocket::handshake::{Refusal, Request};

/// The most bytes of all header lines that an application adds to one answer.
const MAX_HEADERS: usize = 8 << 10;

/// Headers of the handshake itself, which an application cannot set. Those that begin with
/// `Sec-WebSocket-` are reserved as well.
const RESERVED: [&str; 5] =
    ["connection", "upgrade", "content-length", "transfer-encoding", "trailer"];

/// How an accepted handshake is answered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Accept {
    /// The subprotocol to answer with. Left out if the client did not offer it (RFC 6455 section
    /// 4.2.2).
    pub protocol: Option<Box<str>>,
    headers: String,
}

/// A header that cannot be part of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InvalidHeader {
    /// The name is not a token (RFC 9110 section 5.1).
    Name,
    /// The value holds a byte other than visible ASCII, space and tab, or begins or ends with a
    /// space or tab (RFC 9110 section 5.5).
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
            Self::Value => "the header value holds a forbidden byte",
            Self::Reserved => "the server sets this header itself",
            Self::TooLong => "the added headers exceed 8 KiB",
        })
    }
}

impl std::error::Error for InvalidHeader {}

impl Accept {
    /// Answers with the first subprotocol that the client offered, if it offered any: what clients
    /// that offer some expect of a server that knows none.
    pub fn first_protocol(&mut self, request: &Request<'_>) {
        self.protocol = request.subprotocols().next().map(Into::into);
    }

    /// Adds a header to the answer, such as `Set-Cookie`. The same name may be added more than
    /// once.
    ///
    /// # Errors
    /// If the header is not valid or not the application's to set. The answer is unchanged then.
    pub fn header(&mut self, name: &str, value: &str) -> Result<(), InvalidHeader> {
        let is_token =
            |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(InvalidHeader::Name);
        }
        let is_allowed = |byte: u8| byte.is_ascii_graphic() || byte == b' ' || byte == b'\t';
        if !value.bytes().all(is_allowed) || value.trim_matches([' ', '\t']) != value {
            return Err(InvalidHeader::Value);
        }
        let lower = name.to_ascii_lowercase();
        if RESERVED.contains(&&*lower) || lower.starts_with("sec-websocket-") {
            return Err(InvalidHeader::Reserved);
        }
        // With the colon, the space and the end of the line.
        if self.headers.len() + name.len() + value.len() + 4 > MAX_HEADERS {
            return Err(InvalidHeader::TooLong);
        }
        for part in [name, ": ", value, "\r\n"] {
            self.headers.push_str(part);
        }
        Ok(())
    }

    pub(crate) fn into_parts(self) -> (Option<Box<str>>, String) {
        (self.protocol, self.headers)
    }
}

/// What an application decides about an opening handshake.
#[derive(Debug)]
pub enum Upgrade<C> {
    /// The connection becomes a WebSocket with this state.
    Accept(C),
    /// The request is answered with the status of the refusal.
    Refuse(Refusal),
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
            ("a", " x", InvalidHeader::Value),
            ("a", "\u{e9}", InvalidHeader::Value),
            ("Upgrade", "h2c", InvalidHeader::Reserved),
            ("SEC-WebSocket-Accept", "x", InvalidHeader::Reserved),
            ("content-length", "0", InvalidHeader::Reserved),
        ];
        for (name, value, error) in cases {
            assert_eq!(accept.header(name, value), Err(error), "{name:?}: {value:?}");
        }
        assert_eq!(accept.header("a", &"x".repeat(MAX_HEADERS - 4)), Err(InvalidHeader::TooLong));
        assert_eq!(accept, Accept::default());
        assert_eq!(accept.header("Set-Cookie", "a=1; Path=/"), Ok(()));
        assert_eq!(accept.header("Set-Cookie", ""), Ok(()));
        let lines = "Set-Cookie: a=1; Path=/\r\nSet-Cookie: \r\n";
        assert_eq!(accept.into_parts(), (None, lines.to_owned()));
    }
}
