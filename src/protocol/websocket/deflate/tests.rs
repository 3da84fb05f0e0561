//! Tests of the payload transforms against the samples of RFC 7692 and a naive decompressor.

#![allow(clippy::cast_possible_truncation, reason = "numbers of the tests' own")]

mod inflate;
mod oracle;
mod reach;
mod samples;

use super::{InflateError, Inflater};

/// Decompresses a message in random pieces of at most `longest` bytes (0: in one piece), as a
/// connection does.
fn inflate(
    inflater: &mut Inflater,
    payload: &[u8],
    longest: usize,
    limit: usize,
    rng: &mut fastrand::Rng,
) -> Result<Vec<u8>, InflateError> {
    let mut out = b"before".to_vec();
    let start = out.len();
    let mut rest = payload;
    while !rest.is_empty() {
        let n = if longest == 0 { rest.len() } else { rng.usize(0..=longest.min(rest.len())) };
        let most = [1, 100, 10_000, usize::MAX][rng.usize(..4)];
        let before = out.len();
        let used = inflater.push(&rest[..n], &mut out, start, limit, most)?;
        assert!(used == n || (used < n && out.len() - before >= most));
        rest = &rest[used..];
    }
    inflater.finish(&mut out, start, limit)?;
    assert_eq!(&out[..start], b"before");
    Ok(out.split_off(start))
}

/// Text of a few words that repeat, as in typical messages.
fn text(rng: &mut fastrand::Rng, len: usize) -> Vec<u8> {
    const WORDS: [&str; 12] = [
        "{\"id\":",
        "\"price\":",
        "\"size\":",
        ",",
        "true",
        "null",
        "\"symbol\":\"",
        "EUR",
        "USD",
        "\"}",
        " ",
        "0.25",
    ];
    let mut out = Vec::new();
    while out.len() < len {
        if rng.u8(..4) == 0 {
            out.extend_from_slice(rng.u32(..100_000).to_string().as_bytes());
        } else {
            out.extend_from_slice(WORDS[rng.usize(..WORDS.len())].as_bytes());
        }
    }
    out.truncate(len);
    out
}

/// A long message is compressed at a lower level, and the next one at the higher again.
#[test]
fn long_messages_have_lower_levels() {
    use super::deflater::{Deflater, level_for};
    for (most, len, level) in [
        (9, 0, 9),
        (9, 4 << 10, 9),
        (9, (4 << 10) + 1, 8),
        (9, 100 << 10, 5),
        (9, 256 << 10, 1),
        (6, 32 << 10, 6),
        (6, 33 << 10, 5),
        (3, 100 << 10, 3),
        (3, 200 << 10, 1),
        (1, 100, 1),
    ] {
        assert_eq!(level_for(most, len), level, "{most} {len}");
    }
    let mut rng = fastrand::Rng::with_seed(9);
    let (mut deflater, mut inflater) = (Deflater::new(15, 9), Inflater::new(15));
    for len in [100, 200_000, 3_000, 10_000, 100, 50_000, 4_000, 150_000, 20_000] {
        let (message, mut payload) = (text(&mut rng, len), Vec::new());
        deflater.message(&message, &mut payload);
        let back = inflate(&mut inflater, &payload, 0, message.len(), &mut rng);
        assert!(back.as_ref() == Ok(&message) && payload.len() < len, "{len}");
    }
}
