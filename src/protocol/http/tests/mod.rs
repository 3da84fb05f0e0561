//! Tests of HTTP, and the requests that they share with the tests of the handshake.

mod bodies;
mod cookies;
mod queries;
mod requests;
mod response_heads;
mod responses;
mod scanning;
mod targets;

/// The header lines of a valid opening handshake.
pub(crate) const LINES: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A head of these lines, with the line ends and the empty line added.
pub(crate) fn head(first: &str, lines: &[&str]) -> Vec<u8> {
    let mut text = format!("{first}\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The valid request for `/` with more lines at its end.
pub(crate) fn with(lines: &[&str]) -> Vec<u8> {
    head("GET / HTTP/1.1", &[&LINES[..], lines].concat())
}
