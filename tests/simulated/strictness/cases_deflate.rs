//! permessage-deflate (RFC 7692): the examples of section 7.2.3, frames that must not be
//! compressed, invalid compressed data, and data that inflates to too much.

use super::case::*;
use super::cases_frames::pattern;
use super::request::*;
use crate::support::client::ACCEPT;
use crate::support::deflate::deflated;
use crate::support::wire::*;

const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

pub(crate) fn cases() -> Vec<Case> {
    let mut table = Table::new("RFC 7692 section 7.2.3");
    table.offer(OFFER);
    examples(&mut table);
    messages(&mut table);
    reserved_bits(&mut table);
    corrupt(&mut table);
    windows(&mut table);
    too_large(&mut table);
    text(&mut table);
    table.into_cases()
}

/// Bit fields, each of a value and a number of bits, lowest bits first, as RFC 1951 packs them. The
/// bits of Huffman codes must be given reversed.
fn packed(fields: &[(u64, u32)]) -> Vec<u8> {
    let bits = fields.iter().flat_map(|&(value, count)| (0..count).map(move |i| value >> i & 1));
    let bits: Vec<u64> = bits.collect();
    let byte = |eight: &[u64]| eight.iter().rev().fold(0, |byte, bit| byte << 1 | bit);
    bits.chunks(8).map(|eight| u8::try_from(byte(eight)).unwrap()).collect()
}

/// A text message in one frame with this compressed payload.
fn text_of(payload: &[u8]) -> Vec<u8> {
    frame(0xc1, payload)
}

fn examples(t: &mut Table) {
    let hello = unmasked(0x81, b"Hello");
    let fixed = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for (name, payload) in [
        ("one block with fixed codes (7.2.3.1)", &fixed[..]),
        ("one block without compression (7.2.3.3)", b"\x00\x05\x00\xfa\xffHello\x00"),
        ("one block with BFINAL (7.2.3.4)", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00"),
        ("two blocks (7.2.3.5)", b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"),
    ] {
        t.stays(name, &[&text_of(payload)], &[&hello]);
        let name = format!("{name}, then another message");
        t.stays(&name, &[&text_of(payload), &text_of(fixed)], &[&hello, &hello]);
        let name = format!("{name}, a byte in each fragment");
        let last = payload.len() - 1;
        let frames: Vec<Vec<u8>> = (0..payload.len())
            .map(|i| {
                frame(
                    [0x00, 0x41, 0x80][usize::from(i == 0) + usize::from(i == last) * 2],
                    &payload[i..=i],
                )
            })
            .collect();
        t.stays(&name, &[&frames.concat()], &[&hello]);
    }
    t.stays(
        "two fragments (7.2.3.1)",
        &[&frame(0x41, &fixed[..3]), &frame(0x80, &fixed[3..])],
        &[&hello],
    );
    t.stays("empty message (7.2.3.6)", &[&text_of(b"\x00")], &[&[0x81, 0]]);
    t.stays("empty message in a block with fixed codes", &[&text_of(b"\x02\x00")], &[&[0x81, 0]]);
    t.stays("empty binary message", &[&frame(0xc2, b"\x00")], &[&[0x82, 0]]);
}

fn messages(t: &mut Table) {
    t.section("RFC 7692 section 6");
    let all: Vec<u8> = (0..=255).collect();
    t.stays("compressed binary", &[&frame(0xc2, &deflated(&all))], &[&unmasked(0x82, &all)]);
    let long = "one to \u{e9}\u{20ac}\u{1f600} bytes; ".repeat(60);
    let echo = unmasked(0x81, long.as_bytes());
    let payload = deflated(long.as_bytes());
    t.stays("compressed text", &[&text_of(&payload)], &[&echo]);
    let (head, tail) = payload.split_at(payload.len() / 2);
    t.stays(
        "ping between compressed fragments",
        &[&frame(0x41, head), &frame(0x89, b"now"), &frame(0x80, tail)],
        &[&unmasked(0x8a, b"now"), &echo],
    );
    t.stays(
        "empty fragments in a compressed message",
        &[&frame(0x41, b""), &frame(0, head), &frame(0, b""), &frame(0, tail), &frame(0x80, b"")],
        &[&echo],
    );
    t.stays("not compressed", &[&frame(0x81, b"plain")], &[&unmasked(0x81, b"plain")]);
    t.stays(
        "not compressed, in fragments",
        &[&frame(0x01, b"pla"), &frame(0x80, b"in")],
        &[&unmasked(0x81, b"plain")],
    );
    t.stays(
        "compressed and not, in turn",
        &[&text_of(&payload), &frame(0x82, b"\xff"), &text_of(&payload), &frame(0x81, b"end")],
        &[&echo, &unmasked(0x82, b"\xff"), &echo, &unmasked(0x81, b"end")],
    );
    t.stays("the same message three times", &[&text_of(&payload).repeat(3)], &[&echo.repeat(3)]);
    t.closes(
        "close inside a compressed message",
        &[&frame(0x41, head), &close(1000, "bye"), &frame(0x80, tail)],
        &[&server_close(1000, "bye")],
    );
    let max = vec![b'x'; MAX_MESSAGE];
    t.stays("inflated to the limit", &[&text_of(&deflated(&max))], &[&unmasked(0x81, &max)]);
    let noise = pattern(20_000);
    let stored: Vec<u8> = noise
        .chunks(6_000)
        .flat_map(|chunk| {
            let len = u16::try_from(chunk.len()).unwrap();
            [&[0][..], &len.to_le_bytes(), &(!len).to_le_bytes(), chunk].concat()
        })
        .chain([0])
        .collect();
    t.stays("stored blocks", &[&frame(0xc2, &stored)], &[&unmasked(0x82, &noise)]);
}

fn reserved_bits(t: &mut Table) {
    t.section("RFC 7692 section 6.1");
    let fixed = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for (name, first) in [("plain", 0x02), ("compressed", 0x42)] {
        let name = format!("RSV1 on a continuation of a {name} message");
        let sends = [frame(first, &fixed[..3]), frame(0xc0, &fixed[3..])].concat();
        t.fails(&name, &[&sends], &[], RESERVED_BIT);
    }
    t.fails("RSV1 on a continuation first", &[&frame(0xc0, b"")], &[], RESERVED_BIT);
    for (kind, first) in [("close", 0xc8), ("ping", 0xc9), ("pong", 0xca)] {
        let name = format!("RSV1 on {kind} with compression agreed");
        t.fails(&name, &[&frame(first, b"")], &[], RESERVED_BIT);
    }
    for bits in [0x20, 0x10, 0x60, 0x50, 0x70] {
        let name = format!("RSV bits {bits:02x} with compression agreed");
        t.fails(&name, &[&frame(0x81 | bits, fixed)], &[], RESERVED_BIT);
    }
    t.section("RFC 6455 section 5.4");
    t.fails(
        "compressed message inside another",
        &[&frame(0x41, &fixed[..3]), &frame(0xc1, fixed)],
        &[],
        MESSAGE_INTERRUPTED,
    );
}

/// Compressed payloads that no DEFLATE compressor produces, or with an invalid end.
fn corrupt(t: &mut Table) {
    t.section("RFC 7692 section 7.2.2");
    // The code of length 3 and that of distance 1, with fixed codes; the end of a block.
    let (three, end, stored) = ((0b100_0000, 7), (0, 7), (0, 3));
    let block = |middle: &[(u64, u32)]| packed(&[&[(0b010, 3)], middle, &[end, stored]].concat());
    let literal_a = (0b1000_1001, 8);
    let counts = |literals: u64, distances: u64| [(0b100, 3), (literals, 5), (distances, 5)];
    let cases: [(&str, Vec<u8>); 21] = [
        ("no payload at all", vec![]),
        ("the reserved kind of block", vec![0x06]),
        ("the reserved kind of block, last", vec![0x07]),
        ("noise", vec![0xff; 40]),
        ("a stored length that is not complemented", b"\x00\x05\x00\xfa\xfeHello\x00".to_vec()),
        ("a stored block cut short", b"\x00\x05\x00\xfa\xffHel".to_vec()),
        ("a stored length cut short", b"\x00\x05\x00\xfa".to_vec()),
        ("fixed codes cut short", b"\xf2\x48\xcd".to_vec()),
        ("fixed codes without the flush", b"\xf2\x48\xcd\xc9\xc9\x07".to_vec()),
        ("BFINAL without a block after it", b"\xf3\x48\xcd\xc9\xc9\x07\x00".to_vec()),
        ("the flush not cut off", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff".to_vec()),
        ("half of the flush left", b"\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00".to_vec()),
        ("a distance before the message", block(&[three, (0, 5)])),
        ("a distance of 2 after one byte", block(&[literal_a, three, (0b10000, 5)])),
        ("distance code 30", block(&[literal_a, three, (0b01111, 5)])),
        ("length code 286", block(&[literal_a, (0b0110_0011, 8), (0, 5)])),
        ("too many literal codes", packed(&[&counts(30, 0)[..], &[(0, 40)]].concat())),
        ("too many distance codes", packed(&[&counts(0, 30)[..], &[(0, 40)]].concat())),
        ("all code lengths 1", packed(&[&counts(0, 0)[..], &[(15, 4)], &[(1, 3); 19]].concat())),
        ("no code lengths", packed(&[&counts(0, 0)[..], &[(15, 4)], &[(0, 3); 19]].concat())),
        (
            // Codes 16 and 0 have length 1: the first symbol repeats a length that does not exist.
            "a repeat of no code length",
            packed(
                &[&counts(0, 0)[..], &[(0, 4), (1, 3), (0, 3), (0, 3), (1, 3), (0b1, 1), (0, 20)]]
                    .concat(),
            ),
        ),
    ];
    for (name, payload) in cases {
        t.fails(&format!("does not inflate: {name}"), &[&text_of(&payload)], &[], DEFLATE);
        let sends = [frame(0x42, &payload), frame(0x80, b"")].concat();
        t.fails(&format!("does not inflate, in fragments: {name}"), &[&sends], &[], DEFLATE);
    }
    t.stays(
        "a distance of 1 after one byte",
        &[&text_of(&block(&[literal_a, three, (0, 5)]))],
        &[&unmasked(0x81, b"aaaa")],
    );
    t.fails(
        "does not inflate, after messages that do",
        &[&text_of(&deflated(b"fine")), &frame(0x81, b"fine"), &text_of(b"\x07")],
        &[&unmasked(0x81, b"fine").repeat(2)],
        DEFLATE,
    );
    t.fails(
        "does not inflate, refused inside an unfinished frame",
        &[&cut_short(0xc1, 1_000, b"\x07")],
        &[],
        DEFLATE,
    );
}

/// The distance of references from a client, depending on the negotiated window.
fn windows(t: &mut Table) {
    t.section("RFC 7692 section 7.1.1.2");
    let hello = unmasked(0x81, b"Hello");
    let fixed = text_of(b"\xf2\x48\xcd\xc9\xc9\x07\x00");
    t.fails(
        "a reference to the message before, where that was ruled out (7.2.3.2)",
        &[&fixed, &text_of(b"\xf2\x00\x11\x00\x00")],
        &[&hello],
        DEFLATE,
    );
    t.section("RFC 7692 section 7.1.2.2");
    let half: Vec<u8> = std::iter::repeat_with({
        let mut random = fastrand::Rng::with_seed(7);
        move || random.u8(..)
    })
    .take(1_000)
    .collect();
    let far = [&half[..], &half].concat();
    let echo = unmasked(0x82, &far);
    let payload = frame(0xc2, &deflated(&far));
    t.stays("a reference 1,000 bytes back", &[&payload], &[&echo]);
    for (name, offer, reaches) in [
        ("8", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=8\r\n", false),
        ("9", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=9\r\n", false),
        ("10", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=10\r\n", true),
        ("15", "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits=15\r\n", true),
    ] {
        t.offer(offer);
        t.stays(&format!("a window of {name} bits"), &[&fixed], &[&hello]);
        if reaches {
            let name = format!("a reference 1,000 bytes back with a window of {name} bits");
            t.stays(&name, &[&payload], &[&echo]);
        }
    }
    t.offer(OFFER);
}

fn too_large(t: &mut Table) {
    t.section("RFC 6455 section 10.4");
    let bomb = |len: usize| deflated(&vec![0; len]);
    for len in [MAX_MESSAGE + 1, MAX_MESSAGE * 2, 1 << 20, 10 << 20] {
        let name = format!("inflates to {len} bytes");
        t.fails(&name, &[&frame(0xc2, &bomb(len))], &[], MESSAGE_TOO_BIG);
    }
    let payload = bomb(10 << 20);
    t.fails(
        "inflates to too much inside an unfinished frame",
        &[&cut_short(0xc2, 20_000, &payload[..500])],
        &[],
        MESSAGE_TOO_BIG,
    );
    let pieces: Vec<Vec<u8>> = payload[..500].chunks(50).map(|piece| frame(0, piece)).collect();
    t.fails(
        "inflates to too much in fragments",
        &[&frame(0x42, b""), &pieces.concat()],
        &[],
        MESSAGE_TOO_BIG,
    );
    t.fails(
        "inflates to too much after a message that does not",
        &[&text_of(&deflated(b"fine")), &frame(0xc2, &bomb(MAX_MESSAGE + 1))],
        &[&unmasked(0x81, b"fine")],
        MESSAGE_TOO_BIG,
    );
    for len in [MAX_MESSAGE as u64 * 2, 1 << 32, (1 << 63) - 1] {
        let name = format!("header of a compressed frame of {len} bytes");
        t.fails(&name, &[&header(0xc2, Form::SixtyFour, len)], &[], MESSAGE_TOO_BIG);
    }
    t.fails(
        "not compressed, with compression agreed, and too large",
        &[&header(0x82, Form::SixtyFour, MAX_MESSAGE as u64 + 1)],
        &[],
        MESSAGE_TOO_BIG,
    );
}

fn text(t: &mut Table) {
    t.section("RFC 6455 section 8.1");
    for (name, bytes) in [
        ("ff", &b"fine \xff fine"[..]),
        ("a surrogate", b"\xed\xa0\x80"),
        ("an overlong slash", b"\xc0\xaf"),
        ("a character cut short", b"fine \xe2\x82"),
    ] {
        let name = format!("compressed text with {name}");
        t.fails(&name, &[&text_of(&deflated(bytes))], &[], TEXT_UTF8);
        let name = format!("{name}, as binary");
        t.stays(&name, &[&frame(0xc2, &deflated(bytes))], &[&unmasked(0x82, bytes)]);
    }
    t.fails(
        "compressed text with ff, refused inside an unfinished frame",
        &[&cut_short(0xc1, 1_000, b"\x00\x10\x00\xef\xfffine \xff")],
        &[],
        TEXT_UTF8,
    );
    let euro = b"\x00\x02\x00\xfd\xff\xe2\x82\x00\x01\x00\xfe\xff\xac\x00";
    t.stays(
        "compressed text with a character cut by a block and a fragment",
        &[&frame(0x41, &euro[..7]), &frame(0x80, &euro[7..])],
        &[&unmasked(0x81, b"\xe2\x82\xac")],
    );
}

/// Offers and the exact answers, by a server that keeps no window between messages.
pub(crate) fn requests() -> Vec<RequestCase> {
    let mut t = RequestTable::new("RFC 7692 section 7.1");
    let agreed = "permessage-deflate; server_no_context_takeover; client_no_context_takeover";
    for (offer, parameters) in [
        ("permessage-deflate", ""),
        ("permessage-deflate; client_max_window_bits", ""),
        ("permessage-deflate; server_no_context_takeover", ""),
        ("permessage-deflate; client_no_context_takeover", ""),
        ("permessage-deflate;client_no_context_takeover;server_no_context_takeover", ""),
        ("permessage-deflate ; client_max_window_bits = 10", "; client_max_window_bits=10"),
        ("permessage-deflate; client_max_window_bits=8", "; client_max_window_bits=8"),
        ("permessage-deflate; client_max_window_bits=15", "; client_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=8", "; server_max_window_bits=8"),
        ("permessage-deflate; server_max_window_bits=9", "; server_max_window_bits=9"),
        ("permessage-deflate; server_max_window_bits=15", "; server_max_window_bits=15"),
        ("permessage-deflate; server_max_window_bits=\"10\"", "; server_max_window_bits=10"),
        (
            "permessage-deflate; client_max_window_bits=9; server_max_window_bits=12",
            "; server_max_window_bits=12; client_max_window_bits=9",
        ),
        ("permessage-deflate; server_max_window_bits=7, permessage-deflate", ""),
        (
            "permessage-deflate; x, permessage-deflate; server_max_window_bits=9",
            "; server_max_window_bits=9",
        ),
        ("permessage-deflate, permessage-deflate; server_max_window_bits=9", ""),
        ("x-webkit-deflate-frame, permessage-deflate; client_max_window_bits", ""),
    ] {
        let line = format!("Sec-WebSocket-Extensions: {offer}");
        let answer = format!("Sec-WebSocket-Extensions: {agreed}{parameters}\r\n");
        let draft = Draft::new().plus(&[&line]);
        t.opens_with(&format!("offer {offer}"), &draft, switching(ACCEPT, &answer));
    }
    for parameter in [
        "server_max_window_bits",
        "server_max_window_bits=7",
        "server_max_window_bits=16",
        "server_max_window_bits=010",
        "server_max_window_bits=-9",
        "server_max_window_bits=x",
        "client_max_window_bits=7",
        "client_max_window_bits=16",
        "client_max_window_bits=9.0",
        "client_no_context_takeover=1",
        "server_no_context_takeover=true",
        "unknown",
        "server_no_context_takeover; server_no_context_takeover",
        "server_max_window_bits=9; server_max_window_bits=9",
        "client_max_window_bits; client_max_window_bits=9",
    ] {
        let line = format!("Sec-WebSocket-Extensions: permessage-deflate; {parameter}");
        let name = format!("offer declined for {parameter}");
        t.opens(&name, &Draft::new().plus(&[&line]));
    }
    t.opens_with(
        "offers on two lines",
        &Draft::new().plus(&[
            "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=20",
            "sec-websocket-extensions: permessage-deflate",
        ]),
        switching(ACCEPT, &format!("Sec-WebSocket-Extensions: {agreed}\r\n")),
    );
    t.into_cases()
}
