//! Goal: the decompressor refuses corrupt, truncated and oversized input, and stays bounded.

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

use super::oracle::decode;
use super::{inflate, text};
use crate::protocol::websocket::deflate::{Deflater, InflateError, Inflater};

/// The message's blocks with BFINAL set on the last, then the empty stored block.
fn with_final(message: &[u8], level: u32) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() * 2 + 64);
    let mut compress = Compress::new(Compression::new(level), false);
    let status = compress.compress_vec(message, &mut out, FlushCompress::Finish).unwrap();
    assert_eq!(status, Status::StreamEnd);
    out.push(0);
    out
}

/// Valid payloads of short messages of many kinds.
fn payloads(rng: &mut fastrand::Rng) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for i in 0..60 {
        let len = rng.usize(1..300);
        let message: Vec<u8> = match i % 4 {
            0 => (0..len).map(|_| rng.u8(..)).collect(),
            1 => (0..len).map(|_| rng.u8(b'a'..b'e')).collect(),
            _ => text(rng, len * 2),
        };
        if i % 5 == 0 {
            let mut two = with_final(&message, i % 10);
            two.pop();
            two.extend(with_final(&message, i / 6));
            all.push(two);
        } else {
            let mut payload = Vec::new();
            Deflater::new(9, 1 + i % 9).message(&message, &mut payload);
            all.push(payload);
        }
    }
    all
}

/// The output of zlib for the payload, if zlib accepts it as one stream without a final block.
fn zlib(payload: &[u8]) -> Option<Vec<u8>> {
    let (mut inner, mut out) = (Decompress::new(false), Vec::with_capacity(1 << 17));
    let bytes = [payload, &[0, 0, 0xff, 0xff]].concat();
    let status = inner.decompress_vec(&bytes, &mut out, FlushDecompress::Sync).ok()?;
    let all = status == Status::Ok && inner.total_in() == bytes.len() as u64;
    (all && out.len() < out.capacity()).then_some(out)
}

fn mutate(rng: &mut fastrand::Rng, payload: &mut Vec<u8>) {
    for _ in 0..rng.usize(1..4) {
        let at = rng.usize(..=payload.len());
        match rng.u8(..5) {
            0 => payload.truncate(at),
            1 => payload.insert(at, rng.u8(..)),
            2 if at < payload.len() => payload[at] = rng.u8(..),
            3 if at < payload.len() => drop(payload.remove(at)),
            _ if at < payload.len() => payload[at] ^= 1 << rng.u8(..8),
            _ => {}
        }
    }
}

/// Checks that the result is the same in one piece, in many pieces and from the oracle.
fn agree(payload: &[u8], past: &[u8], bits: u8, rng: &mut fastrand::Rng) -> bool {
    let results = [0, 1, 40].map(|longest| {
        let mut inflater = Inflater::new(bits);
        let mut stored = vec![0];
        stored.extend_from_slice(&(past.len() as u16).to_le_bytes());
        stored.extend_from_slice(&(!past.len() as u16).to_le_bytes());
        stored.extend_from_slice(past);
        stored.push(0);
        assert_eq!(inflate(&mut inflater, &stored, 0, past.len(), rng).unwrap(), past);
        inflate(&mut inflater, payload, longest, 1 << 20, rng)
    });
    let naive = decode(payload, 1 << bits, &mut past.to_vec());
    let expected = naive.as_ref().map(|d| d.message.clone()).ok_or(InflateError::Corrupt);
    for result in &results {
        assert!(*result == expected, "{payload:x?} after {past:x?}");
    }
    if let Some(naive) = naive.filter(|naive| past.is_empty() && naive.finals == 0) {
        assert!(zlib(payload).is_none_or(|zlib| zlib == naive.message), "{payload:x?}");
    }
    expected.is_ok()
}

#[test]
fn mutated_payloads_have_the_same_result_as_in_the_oracle() {
    let mut rng = fastrand::Rng::with_seed(4);
    let payloads = payloads(&mut rng);
    let past = text(&mut rng, 400);
    for payload in &payloads {
        assert!(agree(payload, &[], 15, &mut rng));
    }
    let mut good = 0;
    for i in 0..4_000 {
        let mut payload = payloads[i % payloads.len()].clone();
        mutate(&mut rng, &mut payload);
        let past = &past[..rng.usize(..400) * (i & 1)];
        good += usize::from(agree(&payload, past, 15, &mut rng));
    }
    assert!(good > 100, "only {good} mutations were still messages");
}

#[test]
fn random_bytes_have_the_same_result_as_in_the_oracle() {
    let mut rng = fastrand::Rng::with_seed(5);
    let (mut good, past) = (0, text(&mut rng, 300));
    for i in 0..10_000u32 {
        let mut payload: Vec<u8> = (0..rng.usize(..24)).map(|_| rng.u8(..)).collect();
        if let Some(first) = payload.first_mut() {
            // Mostly fixed and dynamic blocks: stored ones fail at once.
            *first = *first & !6 | [2, 4, 4, 0][i as usize % 4];
        }
        good += usize::from(agree(&payload, &past, 15, &mut rng));
    }
    assert!(good > 0);
}

#[test]
fn a_hundred_thousand_mutations_neither_panic_nor_exceed_the_limit() {
    let mut rng = fastrand::Rng::with_seed(6);
    let payloads = payloads(&mut rng);
    let mut inflater = Inflater::new(11);
    for i in 0..100_000 {
        let mut payload = payloads[i % payloads.len()].clone();
        mutate(&mut rng, &mut payload);
        let longest = if i & 1 == 0 { 0 } else { 30 };
        if inflate(&mut inflater, &payload, longest, 2000, &mut rng).is_err() {
            inflater.reset();
        }
    }
    let mut deflater = Deflater::new(11, 6);
    let mut payload = Vec::new();
    deflater.message(b"still well", &mut payload);
    inflater.reset();
    assert_eq!(inflate(&mut inflater, &payload, 0, 10, &mut rng).unwrap(), b"still well");
}

#[test]
fn the_limit_is_exact() {
    let mut rng = fastrand::Rng::with_seed(7);
    for i in 0..300u32 {
        let len = rng.usize(1..3000);
        let message: Vec<u8> = match i % 3 {
            0 => vec![b'x'; len],
            1 => (0..len).map(|_| rng.u8(..)).collect(),
            _ => text(&mut rng, len),
        };
        let mut payload = Vec::new();
        Deflater::new(15, 1 + i % 9).message(&message, &mut payload);
        for longest in [0, 50] {
            let ours = inflate(&mut Inflater::new(15), &payload, longest, len, &mut rng);
            assert!(ours.as_ref() == Ok(&message));
            for limit in [len - 1, rng.usize(..len), 0] {
                let ours = inflate(&mut Inflater::new(15), &payload, longest, limit, &mut rng);
                assert_eq!(ours, Err(InflateError::TooLarge), "{limit} of {len}");
            }
        }
    }
}

#[test]
fn a_bomb_stops_at_the_limit() {
    // A gibibyte of zeros as one message: 4 MiB of them in some 4 KiB, 256 times over.
    let mut small = Vec::new();
    Deflater::new(15, 9).message(&vec![0; 1 << 22], &mut small);
    for limit in [0, 1000, 1 << 16, 1 << 20, 6 << 20] {
        let (mut inflater, mut out, mut result) = (Inflater::new(15), Vec::new(), Ok(0));
        let mut pushes = 0;
        while result.is_ok() && pushes < 256 {
            result = inflater.push(&small, &mut out, 0, limit, usize::MAX);
            result = result
                .and_then(|_| inflater.push(&[0, 0, 0xff, 0xff], &mut out, 0, limit, usize::MAX));
            pushes += 1;
        }
        assert_eq!(result, Err(InflateError::TooLarge));
        assert_eq!(pushes, limit / (1 << 22) + 1);
        assert!(out.len() <= limit + 1, "{} of {limit}", out.len());
        assert!(out.capacity() <= 2 * limit + 2048, "{} of {limit}", out.capacity());
    }
}

#[test]
fn final_blocks_are_bounded_by_the_bytes_they_produce() {
    // After a full window, empty final blocks of two bytes each: the largest number allowed, and
    // one more.
    let mut rng = fastrand::Rng::with_seed(9);
    let message = text(&mut rng, 40_000);
    for (count, fine) in [(8, true), (9, false), (1 << 19, false)] {
        let (mut inflater, mut payload) = (Inflater::new(15), Vec::new());
        Deflater::new(15, 6).message(&message, &mut payload);
        assert!(inflate(&mut inflater, &payload, 0, 40_000, &mut rng).is_ok());
        let mut finals = [0x03, 0x00].repeat(count);
        finals.push(0);
        let result = inflate(&mut inflater, &finals, 0, 0, &mut rng);
        assert_eq!(result.is_ok(), fine, "{count}");
    }
    // A message may have more final blocks if they produce bytes.
    let mut long = Vec::new();
    for _ in 0..500 {
        long.extend(with_final(&message, 1));
        long.pop();
    }
    long.push(0);
    let ours = inflate(&mut Inflater::new(15), &long, 0, 1 << 30, &mut rng).unwrap();
    assert!(ours == message.repeat(500));
}

#[test]
fn the_window_outlives_final_blocks() {
    let mut rng = fastrand::Rng::with_seed(9);
    let (mut inflater, mut payload) = (Inflater::new(15), Vec::new());
    let message = text(&mut rng, 40_000);
    Deflater::new(15, 6).message(&message, &mut payload);
    assert!(inflate(&mut inflater, &payload, 0, 40_000, &mut rng).is_ok());
    let finals = [0x03, 0x00, 0x03, 0x00, 0x00];
    assert_eq!(inflate(&mut inflater, &finals, 0, 0, &mut rng).unwrap(), b"");
    // A match of 3 bytes from 32,768 back, in the fixed codes.
    let far = bits(&[(2, 3), (0b100_0000, 7), (0b10111, 5), (8191, 13), (0, 7), (0, 3)]);
    let ours = inflate(&mut inflater, &far, 0, 3, &mut rng).unwrap();
    assert_eq!(ours, message[40_000 - 32_768..][..3]);
    // Without context takeover the same match is corrupt.
    let mut other = Inflater::without_takeover();
    assert!(inflate(&mut other, &payload, 0, 40_000, &mut rng).as_ref() == Ok(&message));
    assert_eq!(inflate(&mut other, &far, 0, 3, &mut rng), Err(InflateError::Corrupt));
}

/// The bytes of a bit stream: each number with its width in bits, lowest bit first.
fn bits(parts: &[(u64, u32)]) -> Vec<u8> {
    let (mut all, mut count) = (0u128, 0);
    for &(value, len) in parts {
        all |= u128::from(value) << count;
        count += len;
    }
    all.to_le_bytes()[..count.div_ceil(8) as usize].to_vec()
}
