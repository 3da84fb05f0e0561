//! Streaming UTF-8 validation for text messages (RFC 6455 section 8.1, RFC 3629).
//!
//! A text may arrive in any number of chunks, split anywhere. An error is reported with the chunk
//! that contains the first byte at which no valid text can continue, so that the connection fails
//! early. The state between chunks is one byte.
//!
//! [`unmask_text`] validates while the unmasked bytes are in registers (AVX-512) or in the
//! first-level cache (other processors, with `simdutf8`).

#[cfg(target_arch = "x86_64")]
mod avx512;
#[cfg(test)]
mod tests;

use core::fmt;

use super::mask::{MaskKey, unmask};

/// The bytes that [`unmask_text`] unmasks before it validates them: half of a small L1 data cache.
const BLOCK: usize = 16 * 1024;

/// Up to this length, unmasking that detects ASCII is cheaper than starting a kernel.
const SHORT: usize = 128;

/// The text is not UTF-8. The connection must be failed with close code 1007 (RFC 6455
/// section 8.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidUtf8;

impl fmt::Display for InvalidUtf8 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("text is not valid UTF-8; send it as a binary message")
    }
}

impl std::error::Error for InvalidUtf8 {}

/// Validates one text that arrives in chunks.
///
/// After an error the state has no meaning: the text is invalid whatever follows.
#[derive(Clone, Copy, Debug, Default)]
pub struct Validator {
    /// Zero between characters; inside of one, a lead byte that allows the same continuation as the
    /// bytes so far. After `E1 80`, for example, it is `C2`.
    pending: u8,
}

impl Validator {
    /// At the start of a text.
    #[must_use]
    pub const fn new() -> Self {
        Self { pending: 0 }
    }

    /// Validates the next chunk, which may begin and end inside of a character.
    ///
    /// # Errors
    ///
    /// If no text that starts with the bytes so far is valid.
    #[inline]
    pub fn push(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        Kernel::best().push(self, bytes)
    }

    /// As [`push`](Self::push) for `len` bytes that are known to be ASCII, in constant time.
    ///
    /// # Errors
    ///
    /// If `len` is not 0 and a character is unfinished.
    #[inline]
    pub fn push_ascii(&mut self, len: usize) -> Result<(), InvalidUtf8> {
        if len == 0 || self.is_complete() { Ok(()) } else { Err(InvalidUtf8) }
    }

    /// Whether the text may end here, that is, not inside of a character.
    #[must_use]
    #[inline]
    pub const fn is_complete(&self) -> bool {
        self.pending == 0
    }

    /// Advances by one byte, along the table of RFC 3629 section 4.
    fn step(&mut self, byte: u8) -> Result<(), InvalidUtf8> {
        self.pending = match (self.pending, byte) {
            (0, 0x00..=0x7f) => 0,
            (0, 0xc2..=0xf4) => byte,
            (0xc2..=0xdf, 0x80..=0xbf) => 0,
            (0xe0, 0xa0..=0xbf) | (0xed, 0x80..=0x9f) => 0xc2,
            (0xe1..=0xec | 0xee..=0xef, 0x80..=0xbf) => 0xc2,
            (0xf0, 0x90..=0xbf) | (0xf4, 0x80..=0x8f) | (0xf1..=0xf3, 0x80..=0xbf) => 0xe1,
            _ => return Err(InvalidUtf8),
        };
        Ok(())
    }

    fn step_all(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        bytes.iter().try_for_each(|byte| self.step(*byte))
    }

    /// As [`push`](Self::push) with `simdutf8`, which needs whole characters: the rest of a pending
    /// one and the beginning of the last one are validated byte by byte.
    fn push_simdutf8(&mut self, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        let mut rest = bytes;
        while !self.is_complete() {
            let Some((byte, after)) = rest.split_first() else { return Ok(()) };
            self.step(*byte)?;
            rest = after;
        }
        let (whole, unfinished) = rest.split_at(rest.len() - unfinished_len(rest));
        simdutf8::basic::from_utf8(whole).map_err(|_| InvalidUtf8)?;
        self.step_all(unfinished)
    }

    /// Completes the result of a kernel, which does not check whether the last character of `bytes`
    /// is complete.
    #[cfg(target_arch = "x86_64")]
    fn finish(&mut self, valid: bool, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        if !valid {
            return Err(InvalidUtf8);
        }
        self.pending = 0;
        self.step_all(&bytes[bytes.len() - unfinished_len(bytes)..])
    }
}

/// The number of bytes at the end of `bytes` that begin a character without completing it: 0 to 3.
fn unfinished_len(bytes: &[u8]) -> usize {
    for (following, byte) in bytes.iter().rev().take(3).enumerate() {
        let len = match byte {
            0x00..=0x7f => 1,
            0x80..=0xbf => continue,
            0xc0..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0.. => 4,
        };
        return if following + 1 < len { following + 1 } else { 0 };
    }
    0
}

/// Whether `bytes` are a complete valid text.
#[must_use]
#[inline]
pub fn is_valid(bytes: &[u8]) -> bool {
    let mut validator = Validator::new();
    validator.push(bytes).is_ok() && validator.is_complete()
}

/// Unmasks `bytes` in place and validates them as the next chunk of a text, in one pass over
/// memory.
///
/// # Errors
///
/// If no text that starts with the bytes so far is valid; `bytes` may then be partly unmasked.
#[inline]
pub fn unmask_text(
    bytes: &mut [u8],
    key: MaskKey,
    validator: &mut Validator,
) -> Result<(), InvalidUtf8> {
    if bytes.len() > SHORT {
        return Kernel::best().unmask_text(bytes, key, validator);
    }
    if unmask(bytes, key) { validator.push_ascii(bytes.len()) } else { validator.push(bytes) }
}

/// One implementation of validation that this machine can run, for tests and benchmarks. The
/// functions of this module select one themselves.
#[doc(hidden)]
#[derive(Clone, Copy, Debug)]
pub struct Kernel(Choice);

/// Private, so that a [`Kernel`] exists only after its features were detected.
#[derive(Clone, Copy, Debug)]
enum Choice {
    Simdutf8,
    #[cfg(target_arch = "x86_64")]
    Avx512(avx512::Present),
}

impl Kernel {
    /// The fastest kernel. The standard library caches the detection.
    #[inline]
    fn best() -> Self {
        #[cfg(target_arch = "x86_64")]
        if let Some(present) = avx512::Present::detect() {
            return Self(Choice::Avx512(present));
        }
        Self(Choice::Simdutf8)
    }

    /// Every implementation that this machine can run.
    #[must_use]
    pub fn available() -> Vec<Self> {
        let mut kernels = vec![Self(Choice::Simdutf8)];
        if !matches!(Self::best().0, Choice::Simdutf8) {
            kernels.push(Self::best());
        }
        kernels
    }

    /// The name for reports.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self.0 {
            Choice::Simdutf8 => "simdutf8",
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(_) => "avx512",
        }
    }

    /// As [`Validator::push`].
    ///
    /// # Errors
    ///
    /// As [`Validator::push`].
    pub fn push(self, validator: &mut Validator, bytes: &[u8]) -> Result<(), InvalidUtf8> {
        match self.0 {
            Choice::Simdutf8 => validator.push_simdutf8(bytes),
            // The kernel leaves up to three bytes at the end unchecked, so there must be more.
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(_) if bytes.len() <= 3 => validator.step_all(bytes),
            #[cfg(target_arch = "x86_64")]
            Choice::Avx512(present) => {
                let valid = present.validate(bytes, validator.pending);
                validator.finish(valid, bytes)
            }
        }
    }

    /// As [`unmask_text`].
    ///
    /// # Errors
    ///
    /// As [`unmask_text`].
    pub fn unmask_text(
        self,
        bytes: &mut [u8],
        key: MaskKey,
        validator: &mut Validator,
    ) -> Result<(), InvalidUtf8> {
        #[cfg(target_arch = "x86_64")]
        if let Choice::Avx512(present) = self.0
            && bytes.len() > 3
        {
            let valid = present.unmask_and_validate(bytes, key, validator.pending);
            return validator.finish(valid, bytes);
        }
        let mut key = key;
        for block in bytes.chunks_mut(BLOCK) {
            if unmask(block, key) {
                validator.push_ascii(block.len())?;
            } else {
                self.push(validator, block)?;
            }
            key = key.advanced(block.len());
        }
        Ok(())
    }
}
