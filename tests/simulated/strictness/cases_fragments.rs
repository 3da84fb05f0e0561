//! Fragmented messages (RFC 6455 section 5.4), and their limits.

use super::case::*;
use super::cases_frames::pattern;
use crate::support::wire::*;

/// The cases for a server that allows `max_fragments` in a message.
pub(crate) fn cases(max_fragments: usize) -> Vec<Case> {
    let mut table = Table::new("RFC 6455 section 5.4");
    messages(&mut table);
    order(&mut table);
    control_between(&mut table);
    limit_of_bytes(&mut table);
    limit_of_fragments(&mut table, max_fragments);
    table.into_cases()
}

/// The frames of a message: `first` begins it, each piece is one fragment.
pub(crate) fn fragments(opcode: u8, pieces: &[&[u8]]) -> Vec<u8> {
    let last = pieces.len() - 1;
    let frames = pieces.iter().enumerate().map(|(i, piece)| {
        let fin = if i == last { FIN } else { 0 };
        frame(fin | if i == 0 { opcode } else { CONTINUATION }, piece)
    });
    frames.collect::<Vec<_>>().concat()
}

fn messages(t: &mut Table) {
    let hello = unmasked(0x81, b"hello");
    t.stays("two fragments", &[&fragments(TEXT, &[b"he", b"llo"])], &[&hello]);
    t.stays("three fragments", &[&fragments(TEXT, &[b"he", b"l", b"lo"])], &[&hello]);
    t.stays(
        "a fragment for each byte",
        &[&fragments(TEXT, &[b"h", b"e", b"l", b"l", b"o"])],
        &[&hello],
    );
    t.stays("first fragment empty", &[&fragments(TEXT, &[b"", b"hello"])], &[&hello]);
    t.stays("last fragment empty", &[&fragments(TEXT, &[b"hello", b""])], &[&hello]);
    t.stays("middle fragments empty", &[&fragments(TEXT, &[b"he", b"", b"", b"llo"])], &[&hello]);
    t.stays("all fragments empty", &[&fragments(TEXT, &[b"", b"", b""])], &[&[0x81, 0]]);
    t.stays("binary of empty fragments", &[&fragments(BINARY, &[b"", b""])], &[&[0x82, 0]]);
    t.stays(
        "binary fragments",
        &[&fragments(BINARY, &[b"\xff\xfe", b"\x80", b"\x00\xc0"])],
        &[&unmasked(0x82, b"\xff\xfe\x80\x00\xc0")],
    );
    t.stays(
        "each fragment with a mask of its own",
        &[
            &masked(0x01, b"abc", [1, 2, 3, 4]),
            &masked(0x00, b"defg", [0xff, 0, 0x80, 5]),
            &masked(0x80, b"hi", [0; 4]),
        ],
        &[&unmasked(0x81, b"abcdefghi")],
    );
    let whole = pattern(300);
    t.stays(
        "lengths of 7 and 16 bits in one message",
        &[&fragments(BINARY, &[&whole[..126], &whole[126..175], &whole[175..]])],
        &[&unmasked(0x82, &whole)],
    );
    t.stays(
        "two fragmented messages in one write",
        &[&fragments(TEXT, &[b"he", b"llo"]), &fragments(BINARY, &[b"wor", b"ld"])],
        &[&hello, &unmasked(0x82, b"world")],
    );
    t.stays(
        "whole, fragmented, whole",
        &[&frame(0x82, b"1"), &fragments(TEXT, &[b"he", b"llo"]), &frame(0x81, b"3")],
        &[&unmasked(0x82, b"1"), &hello, &unmasked(0x81, b"3")],
    );
}

fn order(t: &mut Table) {
    let stray = CONTINUATION_WITHOUT_START;
    t.fails("continuation first", &[&frame(0x80, b"what?")], &[], stray);
    t.fails("empty continuation first", &[&frame(0x80, b"")], &[], stray);
    t.fails("continuation first, without FIN", &[&frame(0x00, b"what?")], &[], stray);
    t.fails("empty continuation first, without FIN", &[&frame(0x00, b"")], &[], stray);
    t.fails(
        "continuation after a whole message",
        &[&frame(0x81, b"done"), &frame(0x80, b"more")],
        &[&unmasked(0x81, b"done")],
        stray,
    );
    t.fails(
        "continuation after a fragmented message",
        &[&fragments(TEXT, &[b"do", b"ne"]), &frame(0x80, b"more")],
        &[&unmasked(0x81, b"done")],
        stray,
    );
    t.fails(
        "continuation after a ping",
        &[&frame(0x89, b""), &frame(0x80, b"more")],
        &[&[0x8a, 0]],
        stray,
    );
    let broken = MESSAGE_INTERRUPTED;
    for (name, first) in [
        ("text inside a message", 0x81),
        ("binary inside a message", 0x82),
        ("first fragment of a text inside a message", 0x01),
        ("first fragment of a binary inside a message", 0x02),
    ] {
        let begun = frame(0x01, b"begun");
        t.fails(name, &[&begun, &frame(first, b"new")], &[], broken);
        t.fails(&format!("empty {name}"), &[&begun, &frame(first, b"")], &[], broken);
    }
    t.fails(
        "text inside a message after a ping",
        &[&frame(0x02, b"begun"), &frame(0x89, b"p"), &frame(0x81, b"new")],
        &[&unmasked(0x8a, b"p")],
        broken,
    );
    t.fails(
        "text inside a message of empty fragments",
        &[&frame(0x01, b""), &frame(0x00, b""), &frame(0x81, b"new")],
        &[],
        broken,
    );
}

fn control_between(t: &mut Table) {
    t.stays(
        "ping between fragments, answered at once",
        &[&frame(0x01, b"he"), &frame(0x89, b"now"), &frame(0x80, b"llo")],
        &[&unmasked(0x8a, b"now"), &unmasked(0x81, b"hello")],
    );
    t.stays(
        "ping answered while the message is unfinished",
        &[&frame(0x01, b"he"), &frame(0x89, b"now")],
        &[&unmasked(0x8a, b"now")],
    );
    t.stays(
        "pings between all fragments",
        &[
            &frame(0x02, b"1"),
            &frame(0x89, b"a"),
            &frame(0x00, b"2"),
            &frame(0x89, b"b"),
            &frame(0x89, b"c"),
            &frame(0x80, b"3"),
        ],
        &[
            &unmasked(0x8a, b"a"),
            &unmasked(0x8a, b"b"),
            &unmasked(0x8a, b"c"),
            &unmasked(0x82, b"123"),
        ],
    );
    t.stays(
        "pong between fragments, ignored",
        &[&frame(0x01, b"he"), &frame(0x8a, b"?"), &frame(0x80, b"llo")],
        &[&unmasked(0x81, b"hello")],
    );
    t.closes(
        "close between fragments, the message dropped",
        &[&frame(0x01, b"he"), &close(1000, "enough"), &frame(0x80, b"llo")],
        &[&server_close(1000, "enough")],
    );
    t.closes(
        "empty close between fragments",
        &[&frame(0x01, b"he"), &frame(0x88, b""), &frame(0x80, b"llo")],
        &[&[0x88, 0]],
    );
    for (kind, first) in [("ping", 0x09), ("pong", 0x0a), ("close", 0x08)] {
        t.section("RFC 6455 section 5.5");
        let name = format!("fragmented {kind}");
        t.fails(&name, &[&frame(first, b"ab"), &frame(0x80, b"c")], &[], CONTROL_FRAGMENTED);
        let name = format!("fragmented empty {kind}");
        t.fails(&name, &[&frame(first, b"")], &[], CONTROL_FRAGMENTED);
        let name = format!("fragmented {kind} inside a message");
        t.fails(&name, &[&frame(0x01, b"x"), &frame(first, b"")], &[], CONTROL_FRAGMENTED);
    }
}

fn limit_of_bytes(t: &mut Table) {
    t.section("RFC 6455 section 10.4");
    let half = pattern(MAX_MESSAGE / 2);
    let whole = unmasked(0x82, &[&half[..], &half].concat());
    t.stays("two fragments up to the limit", &[&fragments(BINARY, &[&half, &half])], &[&whole]);
    t.stays(
        "an empty fragment at the limit",
        &[&fragments(BINARY, &[&half, &half, b""])],
        &[&whole],
    );
    t.fails(
        "fragments one byte above the limit",
        &[&fragments(BINARY, &[&half, &half, b"1"])],
        &[],
        MESSAGE_TOO_BIG,
    );
    t.fails(
        "header of a fragment that goes above the limit",
        &[&frame(0x02, &half), &header(0x00, Form::Sixteen, MAX_MESSAGE as u64 / 2 + 1)],
        &[],
        MESSAGE_TOO_BIG,
    );
    t.fails(
        "64-bit lengths whose sum overflows",
        &[&frame(0x02, &[1; 200]), &header(0x80, Form::SixtyFour, (1 << 63) - 1)],
        &[],
        MESSAGE_TOO_BIG,
    );
}

/// Empty fragments between the first and the last: only their number grows.
fn limit_of_fragments(t: &mut Table, max: usize) {
    let mut pieces = vec![&b""[..]; max];
    pieces[0] = b"many";
    let fits = fragments(TEXT, &pieces);
    let echo = unmasked(0x81, b"many");
    t.stays("as many fragments as allowed", &[&fits], &[&echo]);
    t.stays("each message has its own count", &[&fits, &fits], &[&echo, &echo]);
    pieces.push(b"");
    t.fails("one fragment too many", &[&fragments(TEXT, &pieces)], &[], TOO_MANY_FRAGMENTS);
    let endless = frame(0x00, b"").repeat(max);
    t.fails(
        "one fragment too many, of a message without an end",
        &[&frame(0x02, b"begun"), &endless],
        &[],
        TOO_MANY_FRAGMENTS,
    );
    t.fails(
        "one fragment too many, after a message that fits",
        &[&fits, &fragments(BINARY, &pieces)],
        &[&echo],
        TOO_MANY_FRAGMENTS,
    );
}
