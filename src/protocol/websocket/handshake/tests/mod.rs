//! Tests of the server's handshake, and the helpers that they share.

mod negotiation;
mod origins;
mod rejections;
mod requests;
mod responses;
mod robustness;

use super::{
    DeflatePolicy, ExtraHeaders, Parsed, Rejection, negotiate_deflate, parse, write_accepted,
};
pub(super) use crate::protocol::http::tests::{LINES, head, with};
use crate::protocol::http::{HeadLimits, HeadScanner, Response, Status};

/// The key of the example in RFC 6455 section 1.2.
pub(super) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

/// The valid request with the line of one header replaced by others.
pub(super) fn instead(name: &str, lines: &[&str]) -> Vec<u8> {
    let kept = LINES.iter().filter(|line| !line.starts_with(&format!("{name}: ")));
    let all: Vec<&str> = kept.chain(lines).copied().collect();
    assert!(all.len() == LINES.len() - 1 + lines.len(), "{name} is one of the lines");
    head("GET / HTTP/1.1", &all)
}

/// The response of a server to bytes that arrive in these pieces, or `None` if it waits for more.
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
            Err(error) => Rejection::from(error).write_response(&mut out),
        }
        return Some(out);
    }
    None
}

fn finish(head: &[u8], limits: &HeadLimits, out: &mut Vec<u8>) -> Result<(), Rejection> {
    let request = match parse(head, limits)? {
        Parsed::Plain(request) if request.method == "GET" && request.path == "/" => {
            Response::text(Status::OK, "a page").write(out);
            return Ok(());
        }
        Parsed::Plain(request) if request.method != "GET" => return Err(Rejection::Method),
        Parsed::Plain(_) => return Err(Rejection::UpgradeRequired),
        Parsed::Upgrade(request) => request,
    };
    let policy = DeflatePolicy { enabled: true, ..DeflatePolicy::default() };
    let agreement = negotiate_deflate(request.extensions(), &policy);
    let subprotocol = request.subprotocols().next();
    write_accepted(out, request.key, subprotocol, agreement.as_ref(), &ExtraHeaders::new());
    Ok(())
}

/// The status of the response to a whole head, 0 if the server waits for more.
pub(super) fn status(head: &[u8]) -> u16 {
    let answer = serve(std::iter::once(head)).unwrap_or_default();
    let text = String::from_utf8_lossy(&answer);
    text.strip_prefix("HTTP/1.1 ").map_or(0, |rest| rest[..3].parse().expect("a status"))
}

/// The result of [`parse`] alone, without the scanner.
pub(super) fn fault(head: &[u8]) -> Option<Rejection> {
    parse(head, &HeadLimits::default()).err()
}
