//! The 101 response.

use super::accept_key::accept_key;
use super::agreement::Agreement;
use super::extra_headers::ExtraHeaders;
use crate::protocol::http::syntax::is_token;

/// Appends the 101 response to an accepted handshake (RFC 6455 section 4.2.2, item 5).
///
/// `key` is the client's `Sec-WebSocket-Key` as sent. `subprotocol` must be one of the names that
/// the client offered; anything that is not a token is left out, so that no text can add header
/// lines. `extensions` is the result of [`negotiate_deflate`](super::negotiate_deflate). `headers`
/// follow the headers of the handshake.
///
/// Only the head is written. The caller must not append frames to it in the same write, because
/// some clients expect to read the head alone.
pub fn write_accepted(
    out: &mut Vec<u8>,
    key: &str,
    subprotocol: Option<&str>,
    extensions: Option<&Agreement>,
    headers: &ExtraHeaders,
) {
    let headers = headers.list().as_bytes();
    out.reserve(320 + headers.len());
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept_key(key));
    if let Some(name) = subprotocol.filter(|name| is_token(name.as_bytes())) {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(name.as_bytes());
    }
    if let Some(agreement) = extensions {
        out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        agreement.write(out);
    }
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(headers);
    out.extend_from_slice(b"\r\n");
}
