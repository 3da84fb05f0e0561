//! Goal: at every level and window size, the compressor stays within the window. The oracle
//! measures the distances.

use super::oracle::decode;
use super::{inflate, text};
use crate::protocol::websocket::deflate::{Deflater, Inflater};

/// Bytes with possible matches at `distance` and close to it: a piece, then noise up to the
/// distance, then the piece again.
fn repeats(rng: &mut fastrand::Rng, distance: usize, total: usize) -> Vec<u8> {
    let mut out: Vec<u8> = (0..distance).map(|_| rng.u8(..)).collect();
    while out.len() < total {
        let at = out.len() - distance - rng.usize(..3).min(out.len() - distance);
        let len = rng.usize(4..40);
        for i in at..at + len {
            out.push(out[i]);
        }
        out.push(rng.u8(..));
    }
    out
}

/// Compresses and decompresses messages with context takeover; returns the longest distance used.
fn converse(bits: u8, level: u32, messages: &[Vec<u8>], rng: &mut fastrand::Rng) -> usize {
    let mut deflater = Deflater::new(bits, level);
    let (mut inflater, mut history, mut reach) = (Inflater::new(bits), Vec::new(), 0);
    for message in messages {
        let mut payload = Vec::new();
        deflater.message(message, &mut payload);
        let decoded = decode(&payload, 1 << bits, &mut history);
        let decoded = decoded.expect("within the window");
        assert!(decoded.message == *message, "bits {bits} level {level}");
        assert_eq!(decoded.finals, 0);
        reach = reach.max(decoded.reach);
        let ours = inflate(&mut inflater, &payload, rng.usize(..200), message.len(), rng);
        assert!(ours.as_ref() == Ok(message), "bits {bits} level {level}");
    }
    reach
}

#[test]
fn eight_bits_hold_at_every_level() {
    let mut rng = fastrand::Rng::with_seed(8);
    let mut messages = Vec::new();
    for distance in [200, 240, 248, 249, 250, 251, 255, 256, 257, 300, 400, 511, 512, 513, 700] {
        messages.push(repeats(&mut rng, distance, 1200));
        // Short messages, whose matches are in earlier messages.
        for piece in repeats(&mut rng, distance, 1200).chunks(distance / 3) {
            messages.push(piece.to_vec());
        }
    }
    messages.push(text(&mut rng, 3000));
    messages.push(vec![7; 3000]);
    for level in 1..=9 {
        let reach = converse(8, level, &messages, &mut rng);
        assert!((200..=250).contains(&reach), "level {level} reaches {reach}");
    }
}

#[test]
fn every_window_holds_across_messages() {
    let mut rng = fastrand::Rng::with_seed(15);
    for bits in 9..=15 {
        let window = 1usize << bits;
        let mut messages = vec![text(&mut rng, 500)];
        for distance in [window - 300, window - 262, window - 261, window, window + 1] {
            let total = (distance * 5 / 4).max(1000);
            let long = repeats(&mut rng, distance, total);
            messages.extend(long.chunks(window / 3).map(<[u8]>::to_vec));
        }
        // The oracle is slow and a large window needs long messages, so one level for each
        // algorithm.
        let levels: &[u32] = if bits <= 11 { &[1, 2, 3, 5, 7, 9] } else { &[1, 6, 9] };
        for &level in levels {
            let reach = converse(bits, level, &messages, &mut rng);
            assert!(reach > window / 2 - 62 && reach <= window - 262, "{bits} {level} {reach}");
        }
    }
}

#[test]
fn long_messages_of_all_kinds_come_back() {
    let mut rng = fastrand::Rng::with_seed(3);
    let noise: Vec<u8> = (0..100_000).map(|_| rng.u8(..)).collect();
    let messages = [text(&mut rng, 150_000), noise, vec![0; 500_000], text(&mut rng, 1)];
    for (bits, level) in [(15, 1), (9, 1), (15, 2), (12, 4), (15, 6), (10, 9)] {
        let (mut deflater, mut inflater) = (Deflater::new(bits, level), Inflater::new(bits));
        for message in &messages {
            let mut payload = Vec::new();
            deflater.message(message, &mut payload);
            assert!(payload.len() < message.len() / 8 * 9 + 64);
            let ours = inflate(&mut inflater, &payload, 0, message.len(), &mut rng);
            assert!(ours.as_ref() == Ok(message), "bits {bits} level {level}");
            let short = inflate(&mut Inflater::new(bits), &payload, 0, 0, &mut rng);
            assert!(short.is_err(), "the limit holds");
        }
    }
}
