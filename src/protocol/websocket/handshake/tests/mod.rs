//! Tests of the opening handshake, and what they share.

mod negotiation;
mod origins;
mod rejections;
mod requests;
mod responses;
mod robustness;
mod scanning;
mod targets;

use super::negotiate::{DeflatePolicy, deflate};
use super::{HeadLimits, HeadScanner, Parsed, Rejection, parse, response};

/// The key of the example in RFC 6455 section 1.2.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The header lines of a request that nothing is wrong with.
pub(super) const LINES: [&str; 5] = [
    "Host: server.example.com",
    "Upgrade: websocket",
    "Connection: Upgrade",
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
    "Sec-WebSocket-Version: 13",
];

/// A head of these lines, with the ends of line and the empty line added.
pub(super) fn head(first: &str, lines: &[&str]) -> Vec<u8> {
    let mut text = format!("{first}\r\n");
    for line in lines {
        text.push_str(line);
        text.push_str("\r\n");
    }
    text.push_str("\r\n");
    text.into_bytes()
}

/// The valid request for `/`, with more lines behind it.
pub(super) fn with(lines: &[&str]) -> Vec<u8> {
    head("GET / HTTP/1.1", &[&LINES[..], lines].concat())
}

/// The valid request with the line of one header replaced by others.
pub(super) fn instead(name: &str, lines: &[&str]) -> Vec<u8> {
    let kept = LINES.iter().filter(|line| !line.starts_with(&format!("{name}: ")));
    let all: Vec<&str> = kept.chain(lines).copied().collect();
    assert!(all.len() == LINES.len() - 1 + lines.len(), "{name} is one of the lines");
    head("GET / HTTP/1.1", &all)
}

/// What a server does with bytes that arrive in these pieces: the bytes it answers, or `None`
/// if it waits for more.
pub(super) fn serve<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Option<Vec<u8>> {
    let (limits, mut scanner) = (HeadLimits::default(), HeadScanner::default());
    let (mut received, mut out) = (Vec::new(), Vec::new());
    for piece in pieces {
        received.extend_from_slice(piece);
        match scanner.scan(&received, &limits) {
            Ok(None) => continue,
            Ok(Some(len)) => {
                if let Err(rejection) = finish(&received[..len], &limits, &mut out) {
                    rejection.write_response(&mut out);
                }
            }
            Err(rejection) => rejection.write_response(&mut out),
        }
        return Some(out);
    }
    None
}

fn finish(head: &[u8], limits: &HeadLimits, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let request = match parse(head, limits)? {
        Parsed::Plain { path: "/" } => {
            response::write_page(out);
            return Ok(());
        }
        Parsed::Plain { .. } => return Err(Rejection::UpgradeRequired),
        Parsed::Upgrade(request) => request,
    };
    let policy = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    let agreement = deflate(request.extensions(), &policy);
    response::write_accepted(out, request.key, request.protocols().next(), agreement.as_ref());
    Ok(())
}

/// The status of the answer to a whole head, 0 if more is awaited.
pub(super) fn status(head: &[u8]) -> u16 {
    let answer = serve(std::iter::once(head)).unwrap_or_default();
    let text = String::from_utf8_lossy(&answer);
    text.strip_prefix("HTTP/1.1 ").map_or(0, |rest| rest[..3].parse().expect("a status"))
}

/// The verdict of [`parse`] alone, without the scanner.
pub(super) fn fault(head: &[u8]) -> Option<Rejection> {
    parse(head, &HeadLimits::default()).err()
}
