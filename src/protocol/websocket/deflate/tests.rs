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
