//! Masking of client frames (RFC 6455 section 5.3): XOR with a repeating four-byte key.
//!
//! Both functions also return whether the unmasked bytes are all ASCII, so that ASCII text need not
//! be validated in a second pass. On x86-64 the widest vectors of the processor are selected at run
//! time; other processors, and some tests, use `plain`.

mod key;
mod plain;
#[cfg(test)]
mod tests;
#[cfg(target_arch = "x86_64")]
mod x86;

pub use key::MaskKey;

use key::check_ranges;

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

/// One implementation of masking that this machine can run, for tests and benchmarks. The two
/// functions of this module select one themselves.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Choice);

/// Private, so that only [`Kernel::available`] can make a kernel, after detecting its features.
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
