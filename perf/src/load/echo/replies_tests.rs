//! Tests of the replies' state machine, without sockets.

use flate2::{Compress, Compression, FlushCompress};

use super::*;
use crate::frames::{BINARY, TEXT};
use crate::load::Content;

/// A server's frame with this first byte.
fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 10];
    let size = put_header(&mut header, payload.len() as u64);
    header[0] = first;
    [&header[..size], payload].concat()
}

/// Feeds pieces; returns the numbers of replies and pings, or the error.
fn feed<'a>(
    replies: &mut Replies,
    expected: &Expected,
    pieces: impl IntoIterator<Item = &'a [u8]>,
) -> Result<(usize, Vec<Vec<u8>>), String> {
    let (mut count, mut pings) = (0, Vec::new());
    for piece in pieces {
        count += replies.take(expected, piece, &mut |ping| pings.push(ping.to_vec()))?;
    }
    Ok((count, pings))
}

fn payload(size: usize) -> Vec<u8> {
    Content::Binary.payload(size, 4)
}

#[test]
fn replies_are_counted_wherever_the_stream_is_cut() {
    for size in [0, 1, 20, 125, 126, 300] {
        let payload = payload(size);
        let half = size / 2;
        // One in one piece, one in three fragments with a ping and a pong between, one in one
        // piece.
        let wire = [
            frame(0x82, &payload),
            frame(0x02, &payload[..half]),
            frame(0x89, b"ping"),
            frame(0x00, &[]),
            frame(0x8a, b""),
            frame(0x80, &payload[half..]),
            frame(0x82, &payload),
        ]
        .concat();
        for compared in [0, 1, u64::MAX] {
            let expected = Expected::messages(vec![payload.clone()], BINARY, compared);
            for cut in 0..=wire.len() {
                let pieces = [&wire[..cut], &wire[cut..]];
                let got = feed(&mut Replies::new(None), &expected, pieces).unwrap();
                assert_eq!(got, (3, vec![b"ping".to_vec()]), "{size} bytes cut at {cut}");
            }
            let got = feed(&mut Replies::new(None), &expected, wire.chunks(1)).unwrap();
            assert_eq!(got.0, 3, "byte by byte");
        }
    }
}

#[test]
fn large_headers_are_read_in_pieces() {
    let payload = payload(70_000);
    let expected = Expected::messages(vec![payload.clone()], BINARY, u64::MAX);
    let wire = frame(0x82, &payload).repeat(2);
    for cut in (0..12).chain(69_990..70_025) {
        let pieces = [&wire[..cut], &wire[cut..]];
        assert_eq!(feed(&mut Replies::new(None), &expected, pieces).unwrap().0, 2);
    }
}

#[test]
fn different_replies_are_expected_in_turn() {
    let payloads = [vec![1; 20], vec![2; 20], vec![3; 300]];
    let expected = Expected::messages(payloads.to_vec(), BINARY, 7);
    let frames = payloads.map(|payload| frame(0x82, &payload));
    let wire = frames.concat().repeat(4);
    for cut in 0..wire.len() {
        let pieces = [&wire[..cut], &wire[cut..]];
        assert_eq!(feed(&mut Replies::new(None), &expected, pieces).unwrap().0, 12);
    }
    let wrong = [&frames[0][..], &frames[2]].concat();
    assert!(feed(&mut Replies::new(None), &expected, [&wrong[..]]).is_err());
}

#[test]
fn every_wrong_byte_is_found_wherever_the_stream_is_cut() {
    let payload = payload(130);
    let expected = Expected::messages(vec![payload.clone()], BINARY, u64::MAX);
    let wire = frame(0x82, &payload).repeat(2);
    for wrong in 0..wire.len() {
        let mut wire = wire.clone();
        wire[wrong] ^= 0x01;
        for cut in 0..=wire.len() {
            // A wrong length may make the frame longer, hence some more bytes.
            let pieces = [&wire[..cut], &wire[cut..], &[0x82; 300]];
            let got = feed(&mut Replies::new(None), &expected, pieces);
            let error = got.expect_err("a wrong byte passed");
            let at = wrong % 134;
            if at >= 4 {
                let what = format!("differs at byte {}:", at - 4);
                assert!(error.contains(&what), "{error}: {wrong} wrong, cut at {cut}");
            }
        }
    }
}

#[test]
fn bare_bytes_are_counted_and_compared() {
    let request = crate::frames::masked(TEXT, b"some text");
    let wire = request.repeat(3);
    for cut in 0..=wire.len() {
        for compared in [0, u64::MAX] {
            let expected = Expected::bytes(vec![request.clone()], compared);
            let pieces = [&wire[..cut], &wire[cut..]];
            assert_eq!(feed(&mut Replies::new(None), &expected, pieces).unwrap().0, 3);
        }
        for wrong in 0..wire.len() {
            let expected = Expected::bytes(vec![request.clone()], u64::MAX);
            let mut wire = wire.clone();
            wire[wrong] ^= 0x80;
            let pieces = [&wire[..cut], &wire[cut..]];
            assert!(feed(&mut Replies::new(None), &expected, pieces).is_err());
        }
    }
}

#[test]
fn only_the_first_replies_are_compared_unless_all_are() {
    let expected = Expected::messages(vec![vec![5; 20]], BINARY, 2);
    let (right, wrong) = (frame(0x82, &[5; 20]), frame(0x82, &[6; 20]));
    let pieces = [&right[..], &right, &wrong];
    assert_eq!(feed(&mut Replies::new(None), &expected, pieces).unwrap().0, 3);
    assert!(feed(&mut Replies::new(None), &expected, [&right[..], &wrong]).is_err());
}

#[test]
fn lengths_and_frames_are_always_checked() {
    let close = [&1009_u16.to_be_bytes()[..], b"too big"].concat();
    let cases: [(Vec<u8>, &str); 12] = [
        (frame(0x82, &[0; 19]), "has 19 bytes, not 20"),
        (frame(0x82, &[0; 21]), "has 21 bytes or more"),
        ([frame(0x02, &[0; 19]), frame(0x80, &[0; 2])].concat(), "has 21 bytes or more"),
        (frame(0x81, &[0; 20]), "opcode 1, not 2"),
        (frame(0xc2, &[0; 20]), "reserved bits"),
        (frame(0x80, &[0; 20]), "continues no message"),
        ([frame(0x02, &[0; 2]), frame(0x82, &[0; 2])].concat(), "inside of another"),
        (vec![0x82, 0x80 | 20], "masked"),
        (frame(0x09, b""), "control frame"),
        (frame(0x89, &[0; 126]), "control frame"),
        (frame(0x88, &close), "code 1009 and the reason \"too big\""),
        (frame(0x88, b""), "without a code"),
    ];
    let expected = Expected::messages(vec![vec![0; 20]], BINARY, 0);
    for (wire, what) in cases {
        let error = feed(&mut Replies::new(None), &expected, [&wire[..]]).unwrap_err();
        assert!(error.contains(what), "{error} instead of {what}");
    }
}

#[test]
fn compressed_replies_are_compared_wherever_the_stream_is_cut() {
    let payload = Content::Json.payload(300, 1);
    let mut compress = Compress::new(Compression::new(6), false);
    let mut wire = Vec::new();
    let mut first = 0;
    for part in 0..3 {
        let mut bytes = Vec::with_capacity(1000);
        compress.compress_vec(&payload, &mut bytes, FlushCompress::Sync).unwrap();
        bytes.truncate(bytes.len() - 4);
        if part == 0 {
            first = bytes.len();
        }
        // The second one is fragmented; only RSV1 tells it from its neighbours.
        if part == 1 {
            wire.extend([frame(0x41, &bytes[..3]), frame(0x80, &bytes[3..])].concat());
        } else {
            wire.extend(frame(0xc1, &bytes));
        }
    }
    assert!(wire.len() < 2 * first, "the messages do not refer to each other");
    wire.extend(frame(0x81, &payload));
    let expected = Expected::messages(vec![payload], TEXT, u64::MAX);
    for cut in 0..=wire.len() {
        let pieces = [&wire[..cut], &wire[cut..]];
        assert_eq!(feed(&mut Replies::new(Some(false)), &expected, pieces).unwrap().0, 4);
    }
    for wrong in 5..first {
        let mut wire = wire.clone();
        wire[wrong] ^= 0x10;
        assert!(feed(&mut Replies::new(Some(false)), &expected, [&wire[..]]).is_err(), "{wrong}");
    }
    let expected = Expected { compared: 1, ..expected };
    assert_eq!(feed(&mut Replies::new(Some(false)), &expected, [&wire[..]]).unwrap().0, 4);
}
