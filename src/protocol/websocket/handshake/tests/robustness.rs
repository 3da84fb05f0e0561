//! Goal: damaged and random heads cause no panic, and get the same response however the bytes are
//! split.

use super::{LINES, fault, head, serve, with};
use crate::protocol::http::HeadLimits;
use crate::protocol::websocket::handshake::{Parsed, parse};

const BROWSER: [&str; 5] = [
    "Origin: https://server.example.com",
    "Cookie: a=b; c=\"d\"",
    "Sec-WebSocket-Protocol: chat, superchat",
    "Sec-WebSocket-Protocol: third",
    "Sec-WebSocket-Extensions: foo; x=\"y\", permessage-deflate; client_max_window_bits",
];

/// Fragments with a meaning in one of the parsers.
const FRAGMENTS: [&[u8]; 16] = [
    b"\r\n",
    b"\n",
    b"\r",
    b":",
    b" ",
    b"\t",
    b",",
    b";",
    b"=",
    b"\"",
    b"\\",
    b"\0",
    b"\xff",
    b"\r\nUpgrade: h2c",
    b"\r\nHost: b",
    b"13",
];

fn damaged(rng: &mut fastrand::Rng) -> Vec<u8> {
    let mut bytes = with(&BROWSER);
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..bytes.len());
        let fragment = FRAGMENTS[rng.usize(..FRAGMENTS.len())].iter().copied();
        match rng.u8(..4) {
            0 => bytes[at] = rng.u8(..),
            1 => drop(bytes.remove(at)),
            2 => drop(bytes.splice(at..at, fragment)),
            _ => {
                let end = (at + rng.usize(..12)).min(bytes.len());
                drop(bytes.splice(at..end, fragment));
            }
        }
    }
    bytes
}

#[test]
fn damaged_heads_get_one_response_however_they_are_split() {
    let mut rng = fastrand::Rng::with_seed(7692);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..5_000 {
        let bytes = damaged(&mut rng);
        let whole = serve(std::iter::once(&bytes[..]));
        let cut = rng.usize(..=bytes.len());
        let pieces = [&bytes[..cut], &bytes[cut..]];
        assert_eq!(serve(pieces.into_iter()), whole, "{}", bytes.escape_ascii());
        assert_eq!(serve(bytes.chunks(1)), whole, "{}", bytes.escape_ascii());
        match whole {
            Some(answer) if answer.starts_with(b"HTTP/1.1 101 ") => accepted += 1,
            Some(_) => refused += 1,
            None => {}
        }
    }
    assert!(accepted > 300 && refused > 300, "{accepted} accepted, {refused} refused");
}

#[test]
fn the_header_iterator_reads_lines_as_httparse_does() {
    let limits = HeadLimits::default();
    let mut rng = fastrand::Rng::with_seed(9110);
    let mut compared = 0;
    for _ in 0..5_000 {
        let bytes = damaged(&mut rng);
        let Ok(Parsed::Upgrade(request)) = parse(&bytes, &limits) else { continue };
        let mut slots = [httparse::EMPTY_HEADER; 64];
        let mut other = httparse::Request::new(&mut slots);
        assert!(other.parse(&bytes).is_ok_and(|status| status.is_complete()));
        let theirs = other.headers.iter().map(|header| (header.name, header.value));
        assert!(request.headers().eq(theirs), "{}", bytes.escape_ascii());
        compared += 1;
    }
    assert!(compared > 300, "{compared} heads were compared");
}

#[test]
fn random_bytes_do_no_harm() {
    let mut rng = fastrand::Rng::with_seed(1);
    for _ in 0..20_000 {
        let mut bytes: Vec<u8> = (0..rng.usize(1..200)).map(|_| rng.u8(..)).collect();
        assert!(fault(&bytes).is_some());
        bytes.splice(..0, *b"GET / HTTP/1.1\r\nHost: a\r\n");
        let _ = serve(bytes.chunks(7));
        assert!(fault(&bytes).is_some());
    }
}

#[test]
fn every_prefix_of_a_valid_head_is_merely_incomplete() {
    let bytes = with(&BROWSER);
    for len in 0..bytes.len() {
        assert_eq!(serve(std::iter::once(&bytes[..len])), None);
        assert!(fault(&bytes[..len]).is_some());
    }
    assert_eq!(fault(&bytes), None);
}

#[test]
fn every_byte_in_a_value_is_judged_by_its_header() {
    // Free text takes HTAB, printable ASCII and everything from 0x80; Host and key do not.
    for byte in 0..=u8::MAX {
        let place = |line: &[u8]| {
            let mut bytes = head("GET / HTTP/1.1", &LINES[1..]);
            bytes.truncate(bytes.len() - 2);
            bytes.extend_from_slice(line);
            let at = bytes.len() - 3;
            bytes[at] = byte;
            bytes.extend_from_slice(b"\r\n");
            bytes
        };
        let free = place(b"Host: a\r\nX: a_b?\r\n");
        let text = byte == b'\t' || byte >= 0x80 || (0x20..0x7f).contains(&byte);
        assert_eq!(fault(&free).is_none(), text, "{byte} in free text");
        let host = fault(&place(b"Host: ab?\r\n")).is_none();
        // White space at the end is not part of the value; a colon there leaves the port empty.
        let allowed = byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=: \t".contains(&byte);
        assert_eq!(host, allowed, "{byte} in Host");
    }
}
