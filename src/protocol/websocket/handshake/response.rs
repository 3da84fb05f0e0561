//! The answers that are not refusals: the 101 and the page for plain visitors.

use super::{Agreement, accept_key, syntax};

/// Appends the 101 answer to an accepted handshake (RFC 6455 section 4.2.2, item 5).
///
/// `key` is the client's `Sec-WebSocket-Key` as sent. `protocol` has to be one of the names the
/// client offered; anything that is not a token is left out, so that no text of an application
/// can add header lines. `extensions` is what [`negotiate::deflate`](super::negotiate::deflate)
/// returned. Nothing but the head is written: frames must not ride behind it in the same write
/// for the sake of clients that read the head alone.
pub fn write_accepted(
    out: &mut Vec<u8>,
    key: &str,
    protocol: Option<&str>,
    extensions: Option<&Agreement>,
) {
    out.reserve(320);
    out.extend_from_slice(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: ",
    );
    out.extend_from_slice(&accept_key(key));
    if let Some(name) = protocol.filter(|name| syntax::is_token(name.as_bytes())) {
        out.extend_from_slice(b"\r\nSec-WebSocket-Protocol: ");
        out.extend_from_slice(name.as_bytes());
    }
    if let Some(agreement) = extensions {
        out.extend_from_slice(b"\r\nSec-WebSocket-Extensions: ");
        agreement.write(out);
    }
    out.extend_from_slice(b"\r\n\r\n");
}

/// Appends the page for a plain `GET /`: status 200, a few lines of text.
///
/// It announces `Connection: close`, so the caller closes after sending it.
pub fn write_page(out: &mut Vec<u8>) {
    const PAGE: &str = "corecast: a WebSocket echo and publish/subscribe server (RFC 6455).\n\
        Connect with a WebSocket client, for example: websocat ws://<this host>:<port>/\n";
    write(out, "200 OK\r\n", "close", &[PAGE]);
}

/// Appends a whole response: `opening` is the status and the special header lines, `connection`
/// the value of Connection, `body` the pieces of the text.
pub(crate) fn write(out: &mut Vec<u8>, opening: &str, connection: &str, body: &[&str]) {
    let length: usize = body.iter().map(|piece| piece.len()).sum();
    let length = length.to_string();
    let head = [
        "HTTP/1.1 ",
        opening,
        "Connection: ",
        connection,
        "\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: ",
        &length,
        "\r\n\r\n",
    ];
    for piece in head.iter().chain(body) {
        out.extend_from_slice(piece.as_bytes());
    }
}
