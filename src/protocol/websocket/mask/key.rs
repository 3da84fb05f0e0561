//! The masking key, and the checks that every implementation shares.

/// The bits of a word that are clear if all of its bytes are ASCII.
pub(super) const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The masking key of one frame, rotated so that its first byte masks the next byte of the payload.
///
/// A payload that arrives in pieces is unmasked piece by piece, with the key
/// [`advanced`](Self::advanced) by the length of each piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MaskKey(pub(super) u32);

impl MaskKey {
    /// The key as in the frame header.
    #[must_use]
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// The four bytes, in the order in which they mask the following payload.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// The key after `by` more bytes of payload.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest two bits count")]
    pub const fn advanced(self, by: usize) -> Self {
        Self(self.0.rotate_right(8 * (by as u32 % 4)))
    }

    /// The key repeated over eight bytes, in memory order when stored as little-endian.
    pub(super) const fn doubled(self) -> u64 {
        self.0 as u64 | (self.0 as u64) << 32
    }
}

/// Panics unless the ranges are as [`unmask_shift`](super::unmask_shift) requires.
#[inline(always)]
pub(super) fn check_ranges(buf: &[u8], from: usize, to: usize, len: usize) {
    assert!(
        to <= from && from <= buf.len() && len <= buf.len() - from,
        "unmask_shift moves to the left inside of its buffer; check `from`, `to` and `len`"
    );
}
