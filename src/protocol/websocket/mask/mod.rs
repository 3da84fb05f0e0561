//! Masking of client frames (RFC 6455 section 5.3): XOR with a repeating four-byte key.
//!
//! Both functions answer, from the same pass, whether the unmasked bytes are all ASCII, so that
//! ASCII text needs no second look by the UTF-8 validator. On x86-64 the widest vectors that the
//! processor has are chosen at run time; everywhere else, and in tests, `plain` does the work.

mod plain;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

/// The bits that no ASCII byte has, in a word.
const HIGH_BITS: u64 = 0x8080_8080_8080_8080;

/// The masking key of one frame together with its phase: the first of its bytes masks the next
/// byte of the payload.
///
/// A payload that arrives in pieces is unmasked piece by piece, with the key
/// [`advanced`](Self::advanced) by the length of each piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct MaskKey(u32);

impl MaskKey {
    /// The key as it stands in the frame header, at phase zero.
    #[must_use]
    pub const fn new(bytes: [u8; 4]) -> Self {
        Self(u32::from_le_bytes(bytes))
    }

    /// The four bytes in the order in which they mask the bytes to come.
    #[must_use]
    pub const fn bytes(self) -> [u8; 4] {
        self.0.to_le_bytes()
    }

    /// The key as it stands after `by` more bytes of payload.
    #[must_use]
    #[inline]
    #[expect(clippy::cast_possible_truncation, reason = "only the lowest two bits count")]
    pub const fn advanced(self, by: usize) -> Self {
        Self(self.0.rotate_right(8 * (by as u32 % 4)))
    }

    /// The key repeated over eight bytes, in memory order when stored as little-endian.
    const fn doubled(self) -> u64 {
        self.0 as u64 | (self.0 as u64) << 32
    }
}

/// XORs `bytes` in place with the repeated `key` (masking and unmasking are the same operation).
///
/// Returns whether every resulting byte is ASCII (high bit clear); `true` if `bytes` is empty.
#[inline]
pub fn unmask(bytes: &mut [u8], key: MaskKey) -> bool {
    #[cfg(target_arch = "x86_64")]
    return x86::unmask(bytes, key);
    #[cfg(not(target_arch = "x86_64"))]
    return plain::unmask(bytes, key);
}

/// Unmasks `buf[from..from + len]` and stores the result at `buf[to..to + len]`, to the left.
///
/// The two ranges may overlap. Bytes outside of the two ranges never change; source bytes that the
/// destination does not cover keep their masked value. Returns whether every resulting byte is
/// ASCII; `true` if `len` is 0.
///
/// # Panics
///
/// If `to > from`, or if `from + len` is more than `buf.len()`.
#[inline]
pub fn unmask_shift(buf: &mut [u8], from: usize, to: usize, len: usize, key: MaskKey) -> bool {
    check_ranges(buf, from, to, len);
    #[cfg(target_arch = "x86_64")]
    return x86::unmask_shift(buf, from, to, len, key);
    #[cfg(not(target_arch = "x86_64"))]
    return plain::unmask_shift(buf, from, to, len, key);
}

/// Panics as [`unmask_shift`] says.
#[inline(always)]
fn check_ranges(buf: &[u8], from: usize, to: usize, len: usize) {
    assert!(
        to <= from && from <= buf.len() && len <= buf.len() - from,
        "unmask_shift moves to the left inside of its buffer; check `from`, `to` and `len`"
    );
}

/// One implementation of masking that this machine can run, for tests and benchmarks: the two
/// functions of this module choose by themselves.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Choice);

/// Private, so that only [`Kernel::available`] can name a kernel and each has been detected.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Vector(x86::Level),
}

impl Kernel {
    /// Every implementation that this machine can run, the plainest first.
    #[must_use]
    pub fn available() -> Vec<Self> {
        #[cfg_attr(not(target_arch = "x86_64"), expect(unused_mut))]
        let mut kernels = vec![Self(Choice::Plain)];
        #[cfg(target_arch = "x86_64")]
        kernels.extend(x86::Level::available().map(|level| Self(Choice::Vector(level))));
        kernels
    }

    /// The name for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Choice::Plain => "plain",
            #[cfg(target_arch = "x86_64")]
            Choice::Vector(level) => level.name(),
        }
    }

    /// As [`unmask`].
    pub fn unmask(self, bytes: &mut [u8], key: MaskKey) -> bool {
        self.unmask_shift(bytes, 0, 0, bytes.len(), key)
    }

    /// As [`unmask_shift`].
    pub fn unmask_shift(
        self,
        buf: &mut [u8],
        from: usize,
        to: usize,
        len: usize,
        key: MaskKey,
    ) -> bool {
        check_ranges(buf, from, to, len);
        match self.0 {
            Choice::Plain => plain::unmask_shift(buf, from, to, len, key),
            #[cfg(target_arch = "x86_64")]
            Choice::Vector(level) => level.unmask_shift(buf, from, to, len, key),
        }
    }
}
