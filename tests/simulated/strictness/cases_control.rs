//! Pings and pongs (RFC 6455 sections 5.5.2 and 5.5.3).

use super::case::*;
use super::cases_frames::pattern;
use crate::support::wire::*;

pub(crate) fn cases() -> Vec<Case> {
    let mut table = Table::new("RFC 6455 section 5.5.2");
    pings(&mut table);
    pongs(&mut table);
    too_long(&mut table);
    table.into_cases()
}

fn pings(t: &mut Table) {
    t.stays("empty ping", &[&frame(0x89, b"")], &[&[0x8a, 0]]);
    t.stays("ping with text", &[&frame(0x89, b"hello")], &[&unmasked(0x8a, b"hello")]);
    t.stays(
        "ping with bytes that are not UTF-8",
        &[&frame(0x89, b"\x00\xff\xfe\xfd\xc0\x80")],
        &[&unmasked(0x8a, b"\x00\xff\xfe\xfd\xc0\x80")],
    );
    for len in [1, 2, 124, 125] {
        let payload = pattern(len);
        let name = format!("ping of {len} bytes");
        t.stays(&name, &[&frame(0x89, &payload)], &[&unmasked(0x8a, &payload)]);
    }
    let sends: Vec<u8> = (0..10).flat_map(|i| frame(0x89, &[i; 3])).collect();
    let expects: Vec<u8> = (0..10).flat_map(|i| unmasked(0x8a, &[i; 3])).collect();
    t.stays("ten pings in one write, each answered in order", &[&sends], &[&expects]);
    t.stays(
        "pings and messages in turn, answered in order",
        &[&frame(0x89, b"1"), &frame(0x81, b"2"), &frame(0x89, b"3"), &frame(0x82, b"4")],
        &[
            &unmasked(0x8a, b"1"),
            &unmasked(0x81, b"2"),
            &unmasked(0x8a, b"3"),
            &unmasked(0x82, b"4"),
        ],
    );
    t.stays(
        "ping with a zero mask",
        &[&masked(0x89, b"plain", [0; 4])],
        &[&unmasked(0x8a, b"plain")],
    );
}

fn pongs(t: &mut Table) {
    t.section("RFC 6455 section 5.5.3");
    t.stays("empty pong, unasked", &[&frame(0x8a, b"")], &[]);
    t.stays("pong with a payload, unasked", &[&frame(0x8a, b"unasked")], &[]);
    t.stays("pong of 125 bytes, unasked", &[&frame(0x8a, &[0xff; 125])], &[]);
    let pongs: Vec<u8> = (0..20).flat_map(|i| frame(0x8a, &[i])).collect();
    t.stays("twenty pongs, unasked", &[&pongs], &[]);
    t.stays(
        "pong, then ping",
        &[&frame(0x8a, b"unasked"), &frame(0x89, b"asked")],
        &[&unmasked(0x8a, b"asked")],
    );
    t.stays(
        "pong, then a message",
        &[&frame(0x8a, b"unasked"), &frame(0x81, b"text")],
        &[&unmasked(0x81, b"text")],
    );
}

fn too_long(t: &mut Table) {
    t.section("RFC 6455 section 5.5");
    for (kind, first) in [("ping", 0x89), ("pong", 0x8a), ("close", 0x88)] {
        for len in [126, 127, 1_000] {
            let name = format!("{kind} of {len} bytes");
            t.fails(&name, &[&frame(first, &vec![3; len])], &[], CONTROL_TOO_LONG);
        }
        let name = format!("{kind} of 65,536 bytes, its header alone");
        t.fails(&name, &[&header(first, Form::SixtyFour, 65_536)], &[], CONTROL_TOO_LONG);
        let name = format!("{kind} of 5 bytes with a 16-bit length");
        t.fails(&name, &[&header(first, Form::Sixteen, 5), &[0; 5]], &[], CONTROL_TOO_LONG);
        let name = format!("{kind} of no bytes with a 64-bit length");
        t.fails(&name, &[&header(first, Form::SixtyFour, 0)], &[], CONTROL_TOO_LONG);
        let name = format!("{kind} too long by its second byte, alone");
        t.fails(&name, &[&[first, 0xfe]], &[], CONTROL_TOO_LONG);
    }
    t.fails(
        "ping too long after a message, which is echoed first",
        &[&frame(0x81, b"before"), &frame(0x89, &[0; 126]), &frame(0x81, b"after")],
        &[&unmasked(0x81, b"before")],
        CONTROL_TOO_LONG,
    );
}
