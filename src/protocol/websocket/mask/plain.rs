//! Masking with 64-bit words, for processors without a vector implementation.

use super::key::{HIGH_BITS, MaskKey};

/// Bytes in a word.
const WORD: usize = size_of::<u64>();

/// As [`super::unmask`]. Only the OR carries from one iteration to the next, so that compilers
/// vectorise the loop.
pub(super) fn unmask(bytes: &mut [u8], key: MaskKey) -> bool {
    let word = key.doubled();
    let mut seen = 0;
    let (words, rest) = bytes.as_chunks_mut::<WORD>();
    for chunk in words {
        let plain = u64::from_le_bytes(*chunk) ^ word;
        seen |= plain;
        *chunk = plain.to_le_bytes();
    }
    for (byte, mask) in rest.iter_mut().zip(word.to_le_bytes()) {
        *byte ^= mask;
        seen |= u64::from(*byte);
    }
    seen & HIGH_BITS == 0
}

/// As [`super::unmask_shift`]. In ascending order every load comes before the store that
/// overwrites its bytes.
pub(super) fn unmask_shift(
    buf: &mut [u8],
    from: usize,
    to: usize,
    len: usize,
    key: MaskKey,
) -> bool {
    if from == to {
        return unmask(&mut buf[from..from + len], key);
    }
    let word = key.doubled();
    let words = len / WORD * WORD;
    let mut seen = 0;
    for at in (0..words).step_by(WORD) {
        let mut chunk = [0; WORD];
        chunk.copy_from_slice(&buf[from + at..][..WORD]);
        let plain = u64::from_le_bytes(chunk) ^ word;
        seen |= plain;
        buf[to + at..][..WORD].copy_from_slice(&plain.to_le_bytes());
    }
    for (at, mask) in (words..len).zip(word.to_le_bytes()) {
        let plain = buf[from + at] ^ mask;
        seen |= u64::from(plain);
        buf[to + at] = plain;
    }
    seen & HIGH_BITS == 0
}
