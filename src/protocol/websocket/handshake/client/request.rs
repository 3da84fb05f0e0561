//! The request of a client.

use super::error::RequestError;
use super::key::ClientKey;
use crate::protocol::http::Authority;
use crate::protocol::http::syntax::{is_token, visible};
use crate::protocol::websocket::handshake::extra_headers::ExtraHeaders;
use crate::protocol::websocket::handshake::offer::DeflateOffer;

/// An opening handshake to send, and to check the server's response against.
#[derive(Clone, Debug)]
pub struct ClientRequest<'a> {
    /// The path with an optional query, percent-encoded: begins with `/`.
    pub target: &'a str,
    /// The server's name, with the port if it is not the scheme's default.
    pub host: &'a str,
    /// The nonce of this connection.
    pub key: ClientKey,
    /// The Origin, which only browsers must send.
    pub origin: Option<&'a str>,
    /// The subprotocols to offer, the preferred one first.
    pub subprotocols: &'a [&'a str],
    /// The parameters of `permessage-deflate` to offer, if compression is wanted.
    pub deflate: Option<DeflateOffer>,
    /// Further headers, such as Authorization or Cookie.
    pub headers: &'a ExtraHeaders,
}

impl ClientRequest<'_> {
    /// Appends the request to `out` (RFC 6455 section 4.1).
    ///
    /// # Errors
    /// A field that would make the request malformed; `out` is then unchanged.
    pub fn write(&self, out: &mut Vec<u8>) -> Result<(), RequestError> {
        self.check()?;
        let mut put = |parts: &[&str]| {
            parts.iter().for_each(|part| out.extend_from_slice(part.as_bytes()));
        };
        put(&["GET ", self.target, " HTTP/1.1\r\nHost: ", self.host]);
        put(&["\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: "]);
        put(&[self.key.as_str(), "\r\nSec-WebSocket-Version: 13\r\n"]);
        if let Some(origin) = self.origin {
            put(&["Origin: ", origin, "\r\n"]);
        }
        if let [first, others @ ..] = self.subprotocols {
            put(&["Sec-WebSocket-Protocol: ", first]);
            others.iter().for_each(|name| put(&[", ", name]));
            put(&["\r\n"]);
        }
        if let Some(offer) = &self.deflate {
            out.extend_from_slice(b"Sec-WebSocket-Extensions: ");
            offer.write(out);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(self.headers.list().as_bytes());
        out.extend_from_slice(b"\r\n");
        Ok(())
    }

    fn check(&self) -> Result<(), RequestError> {
        let target = visible(self.target.as_bytes());
        if !target.is_some_and(|target| target.starts_with('/') && !target.contains('#')) {
            return Err(RequestError::Target);
        }
        if Authority::split(self.host).is_none() {
            return Err(RequestError::Host);
        }
        if self.origin.is_some_and(|origin| visible(origin.as_bytes()).is_none()) {
            return Err(RequestError::Origin);
        }
        let repeated = |(at, name)| self.subprotocols.iter().take(at).any(|known| *known == name);
        let names = self.subprotocols.iter().copied();
        if !names.clone().all(|name| is_token(name.as_bytes())) || names.enumerate().any(repeated) {
            return Err(RequestError::Subprotocol);
        }
        Ok(())
    }
}
