//! The closing handshake (RFC 6455 sections 5.5.1, 7.1 and 7.4).

use super::case::*;
use crate::support::wire::*;

/// Codes at and around every boundary of RFC 6455 section 7.4, 60 in all. All 65,536 are tested
/// without a socket.
const SAMPLED_CODES: [u16; 60] = [
    0, 1, 2, 99, 100, 125, 255, 256, 500, 998, 999, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1007,
    1008, 1009, 1010, 1011, 1012, 1013, 1014, 1015, 1016, 1017, 1100, 1500, 1999, 2000, 2001, 2500,
    2998, 2999, 3000, 3001, 3333, 3500, 3998, 3999, 4000, 4001, 4500, 4998, 4999, 5000, 5001, 9999,
    10_000, 32_767, 32_768, 40_000, 50_000, 59_395, 65_533, 65_534, 65_535,
];

/// Whether a client may send this close code: the registered codes and those for applications.
pub(crate) fn may_be_sent(code: u16) -> bool {
    [1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014].contains(&code)
        || (3000..5000).contains(&code)
}

/// The case of a close frame with `code`.
pub(crate) fn code_case(table: &mut Table, code: u16, reason: &str) {
    let name = format!("close code {code} with {} bytes of reason", reason.len());
    if may_be_sent(code) {
        table.closes(&name, &[&close(code, reason)], &[&server_close(code, reason)]);
    } else {
        table.fails(&name, &[&close(code, reason)], &[], CLOSE_CODE);
    }
}

pub(crate) fn cases() -> Vec<Case> {
    let mut table = Table::new("RFC 6455 section 7.4");
    for code in SAMPLED_CODES {
        code_case(&mut table, code, "");
    }
    for code in [999, 1000, 1001, 1005, 1006, 1015, 2999, 3000, 4999, 5000] {
        code_case(&mut table, code, "why");
    }
    payloads(&mut table);
    after_close(&mut table);
    table.into_cases()
}

fn payloads(t: &mut Table) {
    t.section("RFC 6455 section 5.5.1");
    t.closes("empty close, answered by an empty one", &[&frame(0x88, b"")], &[&[0x88, 0]]);
    t.closes("empty close with a mask of zeros", &[&[0x88, 0x80, 0, 0, 0, 0]], &[&[0x88, 0]]);
    for byte in [0x00, 0x03, 0xe8, 0xff] {
        let name = format!("close payload of the one byte {byte:02x}");
        t.fails(&name, &[&frame(0x88, &[byte])], &[], CLOSE_PAYLOAD_OF_ONE_BYTE);
    }
    for (name, reason) in [
        ("a reason", "goodbye".to_owned()),
        ("a reason of one byte", "x".to_owned()),
        ("a reason of 123 bytes", "r".repeat(123)),
        ("a reason of three-byte characters", "\u{20ac}".repeat(41)),
        ("a reason of four-byte characters", "\u{1f600}".repeat(30)),
        ("a reason of the last character", "\u{10ffff}".to_owned()),
        ("a reason with NUL", "a\0b".to_owned()),
    ] {
        t.closes(name, &[&close(1000, &reason)], &[&server_close(1000, &reason)]);
    }
    let bad: [(&str, &[u8]); 10] = [
        ("a lone continuation byte", b"\x80"),
        ("a byte that is never used", b"ok\xff"),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong NUL in three bytes", b"\xe0\x80\x80"),
        ("a surrogate", b"\xed\xa0\x80"),
        ("a character above U+10FFFF", b"\xf4\x90\x80\x80"),
        ("a character of two bytes cut short", b"ok\xc3"),
        ("a character of three bytes cut short", b"ok\xe2\x82"),
        ("a character of four bytes cut short", b"ok\xf0\x9f\x98"),
        ("a character broken by ASCII", b"\xe2\x82a"),
    ];
    for (name, reason) in bad {
        let name = format!("a reason with {name}");
        let sends = frame(0x88, &close_payload(1000, reason));
        t.fails(&name, &[&sends], &[], CLOSE_REASON_UTF8);
    }
    let long = [&[b'r'; 121][..], b"\xe2\x82"].concat();
    t.fails(
        "a reason of 123 bytes cut short",
        &[&frame(0x88, &close_payload(1000, &long))],
        &[],
        CLOSE_REASON_UTF8,
    );
    t.fails(
        "a bad code with a bad reason: the code comes first",
        &[&frame(0x88, &close_payload(1005, b"\xff"))],
        &[],
        CLOSE_CODE,
    );
}

fn after_close(t: &mut Table) {
    t.section("RFC 6455 section 5.5.1");
    let bye = server_close(1000, "bye");
    let after: [(&str, Vec<u8>); 9] = [
        ("text", frame(0x81, b"late")),
        ("ping", frame(0x89, b"late")),
        ("pong", frame(0x8a, b"late")),
        ("a second close", close(1001, "again")),
        ("a reserved opcode", frame(0x83, b"late")),
        ("reserved bits", frame(0xf1, b"late")),
        ("an unmasked frame", unmasked(0x81, b"late")),
        ("text that is not UTF-8", frame(0x81, b"\xff")),
        ("noise", vec![0xff; 300]),
    ];
    for (name, late) in after {
        let name = format!("{name} after close, ignored");
        t.closes(&name, &[&close(1000, "bye"), &late], &[&bye]);
    }
    t.closes(
        "half a frame after close, ignored",
        &[&close(1000, "bye"), &cut_short(0x82, 500, b"some of it")],
        &[&bye],
    );
    t.closes(
        "70,000 bytes after close, ignored",
        &[&close(1000, "bye"), &frame(0x82, &vec![5; 65_000]), &frame(0x82, &vec![6; 5_000])],
        &[&bye],
    );
    t.closes(
        "messages before close, echoed first",
        &[&frame(0x81, b"one"), &frame(0x82, b"two"), &close(1000, "bye")],
        &[&unmasked(0x81, b"one"), &unmasked(0x82, b"two"), &bye],
    );
    t.closes(
        "ping before close, answered first",
        &[&frame(0x89, b"ping"), &close(1000, "bye")],
        &[&unmasked(0x8a, b"ping"), &bye],
    );
    t.section("RFC 6455 section 7.1.7");
    t.fails(
        "good frames after a bad one, ignored",
        &[&frame(0x83, b""), &frame(0x81, b"late"), &frame(0x89, b"late"), &close(1000, "")],
        &[],
        RESERVED_OPCODE,
    );
    t.fails(
        "70,000 bytes after a bad frame, ignored",
        &[&frame(0x83, b""), &frame(0x82, &vec![5; 65_000]), &frame(0x82, &vec![6; 5_000])],
        &[],
        RESERVED_OPCODE,
    );
    t.fails(
        "two bad frames, the first is named",
        &[&frame(0x80, b""), &unmasked(0x81, b"")],
        &[],
        CONTINUATION_WITHOUT_START,
    );
}
