//! Text must be UTF-8, and is refused at the first byte that makes it invalid (RFC 6455 sections
//! 5.6 and 8.1, RFC 3629 section 3).

use std::collections::BTreeSet;

use super::case::*;
use super::cases_fragments::fragments;
use crate::support::wire::*;

/// Invalid byte sequences, with the number of bytes after which they are certainly invalid.
const BAD: [(&str, &[u8], usize); 30] = [
    ("lone continuation 80", b"\x80", 1),
    ("lone continuation bf", b"\xbf", 1),
    ("two continuations", b"\x80\xbf", 1),
    ("overlong NUL, c0 80", b"\xc0\x80", 1),
    ("overlong slash, c0 af", b"\xc0\xaf", 1),
    ("overlong DEL, c1 bf", b"\xc1\xbf", 1),
    ("overlong NUL, e0 80 80", b"\xe0\x80\x80", 2),
    ("overlong slash, e0 80 af", b"\xe0\x80\xaf", 2),
    ("overlong U+07FF, e0 9f bf", b"\xe0\x9f\xbf", 2),
    ("overlong NUL, f0 80 80 80", b"\xf0\x80\x80\x80", 2),
    ("overlong U+FFFF, f0 8f bf bf", b"\xf0\x8f\xbf\xbf", 2),
    ("surrogate U+D800", b"\xed\xa0\x80", 2),
    ("surrogate U+DB7F", b"\xed\xad\xbf", 2),
    ("surrogate U+DC00", b"\xed\xb0\x80", 2),
    ("surrogate U+DFFF", b"\xed\xbf\xbf", 2),
    ("pair of surrogates", b"\xed\xa0\x80\xed\xb0\x80", 2),
    ("U+110000", b"\xf4\x90\x80\x80", 2),
    ("U+13FFFF", b"\xf4\xbf\xbf\xbf", 2),
    ("lead f5", b"\xf5\x80\x80\x80", 1),
    ("five bytes, f8", b"\xf8\x88\x80\x80\x80", 1),
    ("six bytes, fc", b"\xfc\x84\x80\x80\x80\x80", 1),
    ("fe", b"\xfe", 1),
    ("ff", b"\xff", 1),
    ("two bytes broken by ASCII", b"\xc3\x28", 2),
    ("three bytes broken by ASCII at once", b"\xe2\x28\xa1", 2),
    ("three bytes broken by ASCII", b"\xe2\x82\x28", 3),
    ("four bytes broken by ASCII at once", b"\xf0\x28\x8c\xbc", 2),
    ("four bytes broken by ASCII", b"\xf0\x90\x8c\x28", 4),
    ("a lead after a lead", b"\xe2\xe2\x82\xac", 2),
    ("a continuation too many", b"\xc3\xa9\xa9", 3),
];

pub(crate) fn cases() -> Vec<Case> {
    let mut table = Table::new("RFC 3629 section 3");
    valid(&mut table);
    for (name, bytes, certain) in BAD {
        bad(&mut table, name, bytes, certain);
    }
    cut_short_at_the_end(&mut table);
    positions(&mut table);
    not_text(&mut table);
    table.into_cases()
}

fn valid(t: &mut Table) {
    let first_and_last = [
        0x0, 0x1, 0x7e, 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0x1000, 0xd7ff, 0xe000, 0xfffd, 0xfffe,
        0xffff, 0x1_0000, 0x3_ffff, 0x4_0000, 0xf_ffff, 0x10_0000, 0x10_fffe, 0x10_ffff,
    ];
    for code in first_and_last {
        let text = char::from_u32(code).unwrap().to_string();
        let name = format!("U+{code:04X}");
        t.stays(&name, &[&frame(0x81, text.as_bytes())], &[&unmasked(0x81, text.as_bytes())]);
    }
    let text = "a\u{e9}\u{3ba}\u{1f79}\u{20ac}\u{ac00}\u{1f600}\u{10ffff}z".repeat(9);
    let bytes = text.as_bytes();
    t.stays("characters of one to four bytes", &[&frame(0x81, bytes)], &[&unmasked(0x81, bytes)]);
    t.section("RFC 6455 section 5.6");
    let (text, echo) = (
        "\u{e9}\u{20ac}\u{1f600}".as_bytes(),
        unmasked(0x81, "\u{e9}\u{20ac}\u{1f600}".as_bytes()),
    );
    for cut in 1..text.len() {
        let name = format!("characters cut by a fragment after byte {cut}");
        let (head, tail) = text.split_at(cut);
        t.stays(&name, &[&fragments(TEXT, &[head, tail])], &[&echo]);
    }
    let bytes: Vec<&[u8]> = text.chunks(1).collect();
    t.stays("a fragment for each byte of each character", &[&fragments(TEXT, &bytes)], &[&echo]);
    let apart: Vec<&[u8]> = text.chunks(1).flat_map(|byte| [byte, b""]).collect();
    t.stays("empty fragments inside characters", &[&fragments(TEXT, &apart)], &[&echo]);
    t.stays(
        "ping inside a character",
        &[&frame(0x01, b"\xe2\x82"), &frame(0x89, b"\x80"), &frame(0x80, b"\xac")],
        &[&unmasked(0x8a, b"\x80"), &unmasked(0x81, b"\xe2\x82\xac")],
    );
}

/// One invalid sequence: alone, after text, over fragments, and in an incomplete frame.
fn bad(t: &mut Table, name: &str, bytes: &[u8], certain: usize) {
    t.section("RFC 6455 section 8.1");
    t.fails(name, &[&frame(0x81, bytes)], &[], TEXT_UTF8);
    let long = [&[b'a'; 150][..], bytes, &[b'z'; 40]].concat();
    t.fails(&format!("{name}, inside text"), &[&frame(0x81, &long)], &[], TEXT_UTF8);
    t.fails(
        &format!("{name}, refused inside an unfinished frame"),
        &[&cut_short(0x81, 60_000, &[&b"fine "[..], &bytes[..certain]].concat())],
        &[],
        TEXT_UTF8,
    );
    t.fails(
        &format!("{name}, a byte in each fragment"),
        &[&frame(0x01, b"fine"), &bytes.chunks(1).flat_map(|b| frame(0, b)).collect::<Vec<_>>()],
        &[],
        TEXT_UTF8,
    );
}

fn cut_short_at_the_end(t: &mut Table) {
    t.section("RFC 6455 section 8.1");
    let leads: [&[u8]; 7] =
        [b"\xc3", b"\xe2", b"\xe2\x82", b"\xf0", b"\xf0\x9f", b"\xf0\x9f\x98", b"\xf4\x8f\xbf"];
    for lead in leads {
        let text = [b"end: ", lead].concat();
        let name = format!("message ends after {lead:02x?}");
        t.fails(&name, &[&frame(0x81, &text)], &[], TEXT_UTF8);
        let name = format!("fragmented message ends after {lead:02x?}");
        t.fails(&name, &[&fragments(TEXT, &[&text, b""])], &[], TEXT_UTF8);
        let name = format!("frame unfinished after {lead:02x?}, nothing to refuse yet");
        let ping = frame(0x89, b"alive");
        let sends = [frame(0x01, &text), ping].concat();
        t.stays(&name, &[&sends], &[&unmasked(0x8a, b"alive")]);
    }
    t.fails(
        "a character may not go on in the next message",
        &[&frame(0x81, b"\xe2\x82"), &frame(0x81, b"\xac")],
        &[],
        TEXT_UTF8,
    );
    t.fails(
        "text before a bad one, echoed first",
        &[&frame(0x81, "\u{20ac}".as_bytes()), &frame(0x81, b"\xe2\x82"), &frame(0x81, b"late")],
        &[&unmasked(0x81, "\u{20ac}".as_bytes())],
        TEXT_UTF8,
    );
}

/// One invalid byte at each position where a vectorised check could miss it.
fn positions(t: &mut Table) {
    t.section("RFC 6455 section 8.1");
    for len in [16, 17, 32, 33, 64, 65, 128, 200, 1_024] {
        let edges = [0, 1, 14, 15, 16, 31, 32, 63, 64, 65, 127, len - 2, len - 1];
        for at in BTreeSet::from(edges).into_iter().filter(|at| *at < len) {
            let mut text = vec![b'a'; len];
            text[at] = 0xff;
            let name = format!("ff at byte {at} of {len}");
            t.fails(&name, &[&frame(0x81, &text)], &[], TEXT_UTF8);
        }
    }
    for len in [16_384, 65_536] {
        for at in BTreeSet::from([0, 4_095, 16_383, len - 1]) {
            let mut text = vec![b'a'; len];
            text[at] = 0xc0;
            let name = format!("c0 at byte {at} of {len}");
            t.fails(&name, &[&frame(0x81, &text)], &[], TEXT_UTF8);
        }
    }
    t.fails(
        "bad text in a frame of 65,536 bytes, refused after the first 20",
        &[&cut_short(0x81, 65_536, b"nineteen bytes pass\xff")],
        &[],
        TEXT_UTF8,
    );
}

fn not_text(t: &mut Table) {
    t.section("RFC 6455 section 5.6");
    for (name, bytes, _) in BAD.iter().step_by(5) {
        let name = format!("{name}, in a binary message");
        t.stays(&name, &[&frame(0x82, bytes)], &[&unmasked(0x82, bytes)]);
    }
    t.stays(
        "bad text in a fragmented binary message",
        &[&fragments(BINARY, &[b"\xff", b"\xed\xa0", b"\x80"])],
        &[&unmasked(0x82, b"\xff\xed\xa0\x80")],
    );
    t.stays(
        "binary cut inside a character, then text",
        &[&frame(0x82, b"\xe2\x82"), &frame(0x81, b"\x2c")],
        &[&unmasked(0x82, b"\xe2\x82"), &unmasked(0x81, b"\x2c")],
    );
}
