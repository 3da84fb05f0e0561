//! Single frames: lengths, masks, reserved bits and opcodes (RFC 6455 sections 5.1 to 5.6).

use super::case::*;
use crate::support::wire::*;

/// Bytes that reveal a shift: they have no period of 256 or less.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 7 + i / 251) % 256).unwrap()).collect()
}

pub(crate) fn cases() -> Vec<Case> {
    let mut table = Table::new("RFC 6455 section 5.6");
    messages(&mut table);
    masks(&mut table);
    lengths(&mut table);
    limits(&mut table);
    reserved_bits(&mut table);
    reserved_opcodes(&mut table);
    first_rule_counts(&mut table);
    table.into_cases()
}

fn messages(t: &mut Table) {
    t.stays("empty text", &[&frame(0x81, b"")], &[&[0x81, 0x00]]);
    t.stays("empty binary", &[&frame(0x82, b"")], &[&[0x82, 0x00]]);
    t.stays(
        "the masked hello of section 5.7",
        &[&[0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]],
        &[&[0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f]],
    );
    let all: Vec<u8> = (0..=255).collect();
    t.stays("binary of every byte", &[&frame(0x82, &all)], &[&unmasked(0x82, &all)]);
    t.stays("text of NUL bytes", &[&frame(0x81, &[0; 9])], &[&unmasked(0x81, &[0; 9])]);
    t.stays(
        "text, binary and text in one write",
        &[&frame(0x81, b"one"), &frame(0x82, b"\xff\xfe"), &frame(0x81, b"three")],
        &[&unmasked(0x81, b"one"), &unmasked(0x82, b"\xff\xfe"), &unmasked(0x81, b"three")],
    );
    let sends: Vec<u8> = (b'a'..=b'z').flat_map(|byte| frame(0x81, &[byte])).collect();
    let expects: Vec<u8> = (b'a'..=b'z').flat_map(|byte| unmasked(0x81, &[byte])).collect();
    t.stays("26 messages in one write", &[&sends], &[&expects]);
    let sends: Vec<u8> = (0..130).flat_map(|len| frame(0x82, &pattern(len))).collect();
    let expects: Vec<u8> = (0..130).flat_map(|len| unmasked(0x82, &pattern(len))).collect();
    t.stays("lengths 0 to 129 in one write", &[&sends], &[&expects]);
}

fn masks(t: &mut Table) {
    t.section("RFC 6455 section 5.3");
    for mask in [[0; 4], [0xff; 4], [0x80, 0, 0, 0], [0, 0, 0, 1], [1, 2, 3, 4]] {
        let payload = pattern(131);
        let name = format!("mask {mask:02x?}");
        t.stays(&name, &[&masked(0x82, &payload, mask)], &[&unmasked(0x82, &payload)]);
    }
    t.stays(
        "a mask of its own for each frame",
        &[
            &masked(0x81, b"first", [9, 8, 7, 6]),
            &masked(0x81, b"second", [0, 0, 0, 0]),
            &masked(0x81, b"third", [0xff, 0, 0xff, 0]),
        ],
        &[&unmasked(0x81, b"first"), &unmasked(0x81, b"second"), &unmasked(0x81, b"third")],
    );
    t.section("RFC 6455 section 5.1");
    let kinds = [
        ("text", 0x81),
        ("binary", 0x82),
        ("close", 0x88),
        ("ping", 0x89),
        ("pong", 0x8a),
        ("continuation", 0x80),
        ("first fragment", 0x01),
    ];
    for (kind, first) in kinds {
        t.fails(&format!("unmasked {kind}"), &[&unmasked(first, b"hi")], &[], UNMASKED);
        t.fails(&format!("unmasked empty {kind}"), &[&unmasked(first, b"")], &[], UNMASKED);
    }
    t.fails("unmasked text with a 16-bit length", &[&unmasked(0x81, &[b'a'; 300])], &[], UNMASKED);
    t.fails(
        "unmasked binary with a 64-bit length",
        &[&unmasked(0x82, &[b'a'; 65_536])],
        &[],
        UNMASKED,
    );
    t.fails(
        "unmasked text after a masked one",
        &[&frame(0x81, b"fine"), &unmasked(0x81, b"bare")],
        &[&unmasked(0x81, b"fine")],
        UNMASKED,
    );
}

fn lengths(t: &mut Table) {
    t.section("RFC 6455 section 5.2");
    for len in [1, 2, 3, 4, 5, 15, 16, 17, 31, 32, 33, 63, 64, 65, 124, 125, 126, 127, 128, 129] {
        let payload = pattern(len);
        let name = format!("binary of {len} bytes");
        t.stays(&name, &[&frame(0x82, &payload)], &[&unmasked(0x82, &payload)]);
    }
    for len in [1_000, 4_095, 4_096, 16_383, 16_384, 16_434, 16_435, 65_534, 65_535, 65_536] {
        let (binary, text) = (pattern(len), "x".repeat(len));
        let name = format!("binary of {len} bytes");
        t.stays(&name, &[&frame(0x82, &binary)], &[&unmasked(0x82, &binary)]);
        let name = format!("text of {len} bytes");
        t.stays(&name, &[&frame(0x81, text.as_bytes())], &[&unmasked(0x81, text.as_bytes())]);
    }
    for len in [0, 1, 124, 125] {
        let sends = [header(0x82, Form::Sixteen, len), vec![0; usize::try_from(len).unwrap()]];
        let name = format!("{len} bytes with a 16-bit length");
        t.fails(&name, &[&sends.concat()], &[], LENGTH_NOT_MINIMAL);
    }
    for len in [0, 1, 125, 126, 127, 65_534, 65_535] {
        let name = format!("{len} bytes with a 64-bit length");
        let sends = header(0x81, Form::SixtyFour, len);
        t.fails(&name, &[&sends], &[], LENGTH_NOT_MINIMAL);
    }
    t.fails(
        "16-bit length of a first fragment not minimal",
        &[&header(0x01, Form::Sixteen, 5), &xor(b"hello", MASK)],
        &[],
        LENGTH_NOT_MINIMAL,
    );
    t.fails(
        "16-bit length of a continuation not minimal",
        &[&frame(0x01, b"he"), &header(0x80, Form::Sixteen, 3), &xor(b"llo", MASK)],
        &[],
        LENGTH_NOT_MINIMAL,
    );
    for len in [1 << 63, (1 << 63) + 5, u64::MAX] {
        let name = format!("64-bit length {len:#x}");
        t.fails(&name, &[&header(0x82, Form::SixtyFour, len)], &[], LENGTH_TOP_BIT);
    }
    t.fails("top bit seen before the rest", &[&[0x82, 0xff, 0x80]], &[], LENGTH_TOP_BIT);
}

fn limits(t: &mut Table) {
    t.section("RFC 6455 section 10.4");
    let max = MAX_MESSAGE as u64;
    for len in [max + 1, max * 2, 1 << 31, (1 << 32) - 1, 1 << 32, 1 << 62, (1 << 63) - 1] {
        for (kind, first) in [("text", 0x81), ("binary", 0x82), ("first fragment", 0x02)] {
            let name = format!("header of a {kind} frame of {len} bytes");
            t.fails(&name, &[&header(first, Form::SixtyFour, len)], &[], MESSAGE_TOO_BIG);
        }
    }
    t.fails(
        "too large after a message",
        &[&frame(0x82, b"fits"), &header(0x82, Form::SixtyFour, max + 1)],
        &[&unmasked(0x82, b"fits")],
        MESSAGE_TOO_BIG,
    );
    t.fails(
        "too large with some of its payload",
        &[&header(0x82, Form::SixtyFour, max + 1), &[0; 500]],
        &[],
        MESSAGE_TOO_BIG,
    );
}

fn reserved_bits(t: &mut Table) {
    t.section("RFC 6455 section 5.2");
    for bits in 1..=7_u8 {
        let name = format!("RSV bits {bits:03b} on text");
        t.fails(&name, &[&frame(0x81 | bits << 4, b"hi")], &[], RESERVED_BIT);
    }
    let kinds = [
        ("binary", 0x82),
        ("close", 0x88),
        ("ping", 0x89),
        ("pong", 0x8a),
        ("first fragment", 0x01),
    ];
    for (kind, first) in kinds {
        for bit in [0x40, 0x20, 0x10] {
            let name = format!("RSV bit {bit:02x} on {kind}");
            t.fails(&name, &[&frame(first | bit, b"")], &[], RESERVED_BIT);
        }
    }
    for bit in [0x40, 0x20, 0x10] {
        t.fails(
            &format!("RSV bit {bit:02x} on a continuation"),
            &[&frame(0x01, b"be"), &frame(0x80 | bit, b"gun")],
            &[],
            RESERVED_BIT,
        );
    }
    t.fails(
        "RSV2 after a message, which is echoed first",
        &[&frame(0x81, b"before"), &frame(0xa1, b"bad"), &frame(0x89, b"after")],
        &[&unmasked(0x81, b"before")],
        RESERVED_BIT,
    );
    t.fails(
        "RSV3 after a ping, which is answered first",
        &[&frame(0x89, b"before"), &frame(0x91, b"bad"), &frame(0x81, b"after")],
        &[&unmasked(0x8a, b"before")],
        RESERVED_BIT,
    );
    t.fails("RSV1 in the first byte, alone", &[&[0xc1]], &[], RESERVED_BIT);
}

fn reserved_opcodes(t: &mut Table) {
    t.section("RFC 6455 section 5.2");
    for opcode in [3, 4, 5, 6, 7, 11, 12, 13, 14, 15_u8] {
        let name = format!("opcode {opcode}");
        t.fails(&name, &[&frame(0x80 | opcode, b"")], &[], RESERVED_OPCODE);
        let name = format!("opcode {opcode} with a payload");
        t.fails(&name, &[&frame(0x80 | opcode, b"reserved")], &[], RESERVED_OPCODE);
        let name = format!("opcode {opcode} without FIN");
        t.fails(&name, &[&frame(opcode, b"")], &[], RESERVED_OPCODE);
    }
    t.fails(
        "opcode 3 after a message, which is echoed first",
        &[&frame(0x81, b"before"), &frame(0x83, b"bad"), &frame(0x89, b"after")],
        &[&unmasked(0x81, b"before")],
        RESERVED_OPCODE,
    );
    t.fails(
        "opcode 11 inside a fragmented message",
        &[&frame(0x01, b"begun"), &frame(0x8b, b""), &frame(0x80, b"ended")],
        &[],
        RESERVED_OPCODE,
    );
    t.fails("opcode 7 in the first byte, alone", &[&[0x87]], &[], RESERVED_OPCODE);
}

/// If a frame breaks two rules, the byte that comes first decides.
fn first_rule_counts(t: &mut Table) {
    t.section("RFC 6455 section 7.1.7");
    t.fails("reserved bit, and no mask", &[&unmasked(0xa1, b"hi")], &[], RESERVED_BIT);
    t.fails("reserved opcode, and no mask", &[&unmasked(0x83, b"hi")], &[], RESERVED_OPCODE);
    t.fails("fragmented ping, and no mask", &[&unmasked(0x09, b"hi")], &[], CONTROL_FRAGMENTED);
    t.fails("no mask, and not minimal", &[&[0x82, 126, 0, 5, 1, 2, 3, 4, 5]], &[], UNMASKED);
    t.fails("no mask, and above the limit", &[&unmasked(0x82, &[7; 65_537])], &[], UNMASKED);
}
