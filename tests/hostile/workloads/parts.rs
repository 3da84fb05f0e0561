//! What several kinds of workloads are made of.

use crate::support::deflate::deflated;
use crate::support::wire::{self, BINARY, FIN, RSV1, TEXT};

/// Bytes of a message that is just within the server's limit of 16 MiB.
pub(super) const LARGE: usize = (16 << 20) - 64;

/// A text message.
pub(super) fn text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(FIN | TEXT, payload.as_ref())
}

/// A binary message.
pub(super) fn binary(payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(FIN | BINARY, payload.as_ref())
}

/// A compressed text message that says `payload`.
pub(super) fn small_text(payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(FIN | RSV1 | TEXT, &deflated(payload.as_ref()))
}

/// A compressed binary message that says `payload`.
pub(super) fn small_binary(payload: impl AsRef<[u8]>) -> Vec<u8> {
    wire::frame(FIN | RSV1 | BINARY, &deflated(payload.as_ref()))
}

/// 16 MiB of zeros in some 16 KB.
pub(super) fn bomb() -> Vec<u8> {
    small_binary(vec![0; LARGE])
}

/// `start`, then `part` until `length` is reached, then `end`.
pub(super) fn filled(start: &str, part: &str, end: &str, length: usize) -> String {
    let room = length - start.len() - end.len();
    [start, &part.repeat(room / part.len()), end].concat()
}

/// A list of filters, as a request writes it.
pub(super) fn list(filters: impl IntoIterator<Item = String>) -> String {
    let quoted: Vec<String> = filters.into_iter().map(|filter| format!("\"{filter}\"")).collect();
    format!("[{}]", quoted.join(","))
}

/// The request to subscribe to these filters.
pub(super) fn subscribe(filters: impl IntoIterator<Item = String>) -> Vec<u8> {
    text(format!("{{\"subscribe\":{}}}", list(filters)))
}

/// The request to unsubscribe from them.
pub(super) fn unsubscribe(filters: impl IntoIterator<Item = String>) -> Vec<u8> {
    text(format!("{{\"unsubscribe\":{}}}", list(filters)))
}

/// The request to publish the number 1 to this topic.
pub(super) fn publish(topic: &str) -> Vec<u8> {
    text(format!("{{\"publish\":\"{topic}\",\"data\":1}}"))
}

/// `level/` so many times.
pub(super) fn levels(level: &str, count: usize) -> String {
    format!("{level}/").repeat(count)
}
