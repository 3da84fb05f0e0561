//! Shared parts of the black-box tests: the server as a child process, and a separate WebSocket
//! client, which can send any bytes.

#![allow(dead_code, reason = "each test binary uses only a part of this module")]

pub(crate) mod backend;
pub(crate) mod client;
pub(crate) mod deflate;
pub(crate) mod echo;
pub(crate) mod host;
pub(crate) mod library;
pub(crate) mod server;
pub(crate) mod slow;
pub(crate) mod wire;

/// `bytes` in hexadecimal; the middle of long ones is left out.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let print = |part: &[u8]| part.iter().map(|b| format!("{b:02x}")).collect::<Vec<_>>().join(" ");
    if bytes.len() <= 96 {
        return print(bytes);
    }
    let (head, tail) = (&bytes[..64], &bytes[bytes.len() - 16..]);
    format!("{} .. {} ({} bytes)", print(head), print(tail), bytes.len())
}
