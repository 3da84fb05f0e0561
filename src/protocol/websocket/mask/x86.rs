//! Masking with SSE2, AVX2 and AVX-512 vectors, the latter two chosen at run time.
//!
//! Every path loads a byte before anything can overwrite it, so the same routines serve the
//! in-place and the shifting form. A length that is not a multiple of the vector ends with a vector
//! that overlaps the one before it: it is loaded first and stored last, so that no byte is unmasked
//! twice.
#![allow(unsafe_code)] // Vector loads and stores go through pointers; run-time dispatch is a call
// that the compiler cannot check.

use core::arch::x86_64::*;
use core::sync::atomic::{AtomicU8, Ordering};

use super::key::{HIGH_BITS, MaskKey, check_ranges};

/// From this length on, stores are aligned: a vector across two cache lines needs two accesses.
const ALIGN_FROM: usize = 1024;

/// As [`super::unmask`].
#[inline(always)]
pub(super) fn unmask(bytes: &mut [u8], key: MaskKey) -> bool {
    unmask_shift(bytes, 0, 0, bytes.len(), key)
}

/// As [`super::unmask_shift`].
#[inline(always)]
pub(super) fn unmask_shift(
    buf: &mut [u8],
    from: usize,
    to: usize,
    len: usize,
    key: MaskKey,
) -> bool {
    let span = Span::new(buf, from, to, len);
    if len.wrapping_sub(16) <= 16 {
        // SAFETY: x86-64 always has SSE2, and the length is 16 to 32.
        unsafe { upto_32(span, key) }
    } else if len > 64 {
        // SAFETY: the three describe `span`, whose ranges are checked and borrowed here.
        unsafe {
            unmask_long(span.source, span.target, len, key, Level(BEST.load(Ordering::Relaxed)))
        }
    } else {
        // SAFETY: as above, and the length is not more than 64.
        unsafe { unmask_short(span.source, span.target, len, key) }
    }
}

/// Up to 64 bytes. The parts of a [`Span`] are separate arguments, so that they stay in registers.
///
/// # Safety
///
/// The first three arguments describe a [`Span`] that is still borrowed, of at most 64 bytes.
#[inline(never)]
unsafe fn unmask_short(source: *const u8, target: *mut u8, len: usize, key: MaskKey) -> bool {
    let span = Span { source, target, len };
    match len {
        // SAFETY: x86-64 always has SSE2, and the length is 33 to 64.
        33.. => unsafe { upto_64(span, key) },
        // SAFETY: x86-64 always has SSE2, and the length is 16 to 32.
        16.. => unsafe { upto_32(span, key) },
        8.. => span.upto_15(key),
        4.. => span.upto_7(key),
        1.. => span.upto_3(key),
        0 => true,
    }
}

impl MaskKey {
    /// The key as an argument of the intrinsics.
    #[inline(always)]
    const fn word(self) -> i32 {
        self.0.cast_signed()
    }
}

/// A checked pair of overlapping ranges: `len` readable bytes at `source`, and `len` writable bytes
/// at `target`, which is not to the right of `source`.
#[derive(Clone, Copy)]
struct Span {
    source: *const u8,
    target: *mut u8,
    len: usize,
}

impl Span {
    /// Panics if the ranges are not as the type requires.
    #[inline(always)]
    fn new(buf: &mut [u8], from: usize, to: usize, len: usize) -> Self {
        check_ranges(buf, from, to, len);
        let target = buf.as_mut_ptr();
        Self { source: target.wrapping_add(from), target: target.wrapping_add(to), len }
    }

    /// # Safety
    ///
    /// `at + size_of::<T>()` is at most `len`, and every bit pattern is a `T`.
    #[inline(always)]
    unsafe fn load<T: Copy>(self, at: usize) -> T {
        // SAFETY: the caller keeps the read inside of the source range, which `new` has checked.
        unsafe { self.source.wrapping_add(at).cast::<T>().read_unaligned() }
    }

    /// # Safety
    ///
    /// `at + size_of::<T>()` is at most `len`, and `T` has no padding.
    #[inline(always)]
    unsafe fn store<T: Copy>(self, at: usize, value: T) {
        // SAFETY: the caller keeps the write inside of the target range, which `new` has checked.
        unsafe { self.target.wrapping_add(at).cast::<T>().write_unaligned(value) }
    }

    /// One to three bytes: the first, the middle and the last cover them all.
    fn upto_3(self, key: MaskKey) -> bool {
        assert!(matches!(self.len, 1..=3), "three bytes cover one to three");
        let mask = key.bytes();
        let (middle, last) = (self.len / 2, self.len - 1);
        // SAFETY: the length is at least 1.
        let a = unsafe { self.load::<u8>(0) } ^ mask[0];
        // SAFETY: half of the length is less than the length.
        let b = unsafe { self.load::<u8>(middle) } ^ mask[middle];
        // SAFETY: the last byte is inside.
        let c = unsafe { self.load::<u8>(last) } ^ mask[last];
        // SAFETY: as for the load.
        unsafe { self.store(0, a) };
        // SAFETY: as for the load.
        unsafe { self.store(middle, b) };
        // SAFETY: as for the load.
        unsafe { self.store(last, c) };
        (a | b | c).is_ascii()
    }

    /// Four to seven bytes as two overlapping words.
    fn upto_7(self, key: MaskKey) -> bool {
        assert!(matches!(self.len, 4..=8), "two words cover four to eight");
        let last = self.len - 4;
        let (word, last_word) = (key.0, key.advanced(last).0);
        // SAFETY: the length is at least 4.
        let a = unsafe { self.load::<u32>(0) } ^ word;
        // SAFETY: the word ends with the range.
        let b = unsafe { self.load::<u32>(last) } ^ last_word;
        // SAFETY: as for the load.
        unsafe { self.store(0, a) };
        // SAFETY: as for the load.
        unsafe { self.store(last, b) };
        u64::from(a | b) & HIGH_BITS == 0
    }

    /// Eight to fifteen bytes as two overlapping words.
    fn upto_15(self, key: MaskKey) -> bool {
        assert!(matches!(self.len, 8..=16), "two words cover eight to sixteen");
        let last = self.len - 8;
        let (word, last_word) = (key.doubled(), key.advanced(last).doubled());
        // SAFETY: the length is at least 8.
        let a = unsafe { self.load::<u64>(0) } ^ word;
        // SAFETY: the word ends with the range.
        let b = unsafe { self.load::<u64>(last) } ^ last_word;
        // SAFETY: as for the load.
        unsafe { self.store(0, a) };
        // SAFETY: as for the load.
        unsafe { self.store(last, b) };
        (a | b) & HIGH_BITS == 0
    }
}

/// Sixteen to 32 bytes as two overlapping vectors.
///
/// # Safety
///
/// `span.len` is 16 to 32.
#[target_feature(enable = "sse2")]
#[inline]
unsafe fn upto_32(span: Span, key: MaskKey) -> bool {
    let last = span.len - 16;
    // SAFETY: the length is at least 16.
    let a = unsafe { span.load::<__m128i>(0) };
    // SAFETY: the vector ends with the range.
    let b = unsafe { span.load::<__m128i>(last) };
    let a = _mm_xor_si128(a, _mm_set1_epi32(key.word()));
    let b = _mm_xor_si128(b, _mm_set1_epi32(key.advanced(last).word()));
    // SAFETY: as for the load.
    unsafe { span.store(0, a) };
    // SAFETY: as for the load.
    unsafe { span.store(last, b) };
    _mm_movemask_epi8(_mm_or_si128(a, b)) == 0
}

/// Thirty-two to 64 bytes as two pairs of vectors that overlap in the middle.
///
/// # Safety
///
/// `span.len` is 32 to 64.
#[target_feature(enable = "sse2")]
unsafe fn upto_64(span: Span, key: MaskKey) -> bool {
    let second = span.len - 32;
    let (word, second_word) =
        (_mm_set1_epi32(key.word()), _mm_set1_epi32(key.advanced(second).word()));
    // SAFETY: the length is at least 32.
    let a = _mm_xor_si128(unsafe { span.load(0) }, word);
    // SAFETY: the length is at least 32.
    let b = _mm_xor_si128(unsafe { span.load(16) }, word);
    // SAFETY: the vector ends 16 bytes before the range does.
    let c = _mm_xor_si128(unsafe { span.load(second) }, second_word);
    // SAFETY: the vector ends with the range.
    let d = _mm_xor_si128(unsafe { span.load(second + 16) }, second_word);
    // SAFETY: as for the load.
    unsafe { span.store(0, a) };
    // SAFETY: as for the load.
    unsafe { span.store(16, b) };
    // SAFETY: as for the load.
    unsafe { span.store(second, c) };
    // SAFETY: as for the load.
    unsafe { span.store(second + 16, d) };
    _mm_movemask_epi8(_mm_or_si128(_mm_or_si128(a, b), _mm_or_si128(c, d))) == 0
}

/// Defines the routine for long payloads with one width of vector: blocks in ascending order, then
/// the overlapping last one.
macro_rules! long_kernel {
    (
        $name:ident, $feature:literal, $vector:ty,
        $splat:ident, $xor:ident, $or:ident, $high:ident
    ) => {
        /// # Safety
        ///
        /// The processor has the enabled feature, and the first three arguments describe a [`Span`]
        /// that is still borrowed and longer than one vector.
        #[target_feature(enable = $feature)]
        #[inline(never)]
        unsafe fn $name(source: *const u8, target: *mut u8, len: usize, key: MaskKey) -> bool {
            const WIDTH: usize = size_of::<$vector>();
            let span = Span { source, target, len };
            let last = len - WIDTH;
            // SAFETY: the range is longer than one vector.
            let head = $xor(unsafe { span.load(0) }, $splat(key.word()));
            // SAFETY: the vector ends with the range.
            let tail = $xor(unsafe { span.load(last) }, $splat(key.advanced(last).word()));
            let mut seen = $or(head, tail);
            if last > WIDTH {
                // `head` reaches at least up to where the blocks begin.
                let mut at = WIDTH;
                if len >= ALIGN_FROM {
                    at -= target.addr() % WIDTH;
                }
                let word = $splat(key.advanced(at).word());
                let quads = last.saturating_sub(3 * WIDTH - 1);
                while at < quads {
                    // SAFETY: the fourth vector starts at `last` or before it.
                    let a: $vector = $xor(unsafe { span.load(at) }, word);
                    // SAFETY: as above.
                    let b: $vector = $xor(unsafe { span.load(at + WIDTH) }, word);
                    // SAFETY: as above.
                    let c: $vector = $xor(unsafe { span.load(at + 2 * WIDTH) }, word);
                    // SAFETY: as above.
                    let d: $vector = $xor(unsafe { span.load(at + 3 * WIDTH) }, word);
                    seen = $or(seen, $or($or(a, b), $or(c, d)));
                    // SAFETY: as for the loads.
                    unsafe { span.store(at, a) };
                    // SAFETY: as for the loads.
                    unsafe { span.store(at + WIDTH, b) };
                    // SAFETY: as for the loads.
                    unsafe { span.store(at + 2 * WIDTH, c) };
                    // SAFETY: as for the loads.
                    unsafe { span.store(at + 3 * WIDTH, d) };
                    at += 4 * WIDTH;
                }
                while at < last {
                    // SAFETY: a vector that starts before the last one ends before the range does.
                    let a: $vector = $xor(unsafe { span.load(at) }, word);
                    seen = $or(seen, a);
                    // SAFETY: as for the load.
                    unsafe { span.store(at, a) };
                    at += WIDTH;
                }
            }
            // SAFETY: as for its load.
            unsafe { span.store(0, head) };
            // SAFETY: as for its load.
            unsafe { span.store(last, tail) };
            $high(seen) == 0
        }
    };
}

#[rustfmt::skip]
long_kernel!(
    long_sse2, "sse2", __m128i, _mm_set1_epi32, _mm_xor_si128, _mm_or_si128, _mm_movemask_epi8
);
#[rustfmt::skip]
long_kernel!(
    long_avx2, "avx2", __m256i,
    _mm256_set1_epi32, _mm256_xor_si256, _mm256_or_si256, _mm256_movemask_epi8
);
#[rustfmt::skip]
long_kernel!(
    long_avx512, "avx512bw", __m512i,
    _mm512_set1_epi32, _mm512_xor_si512, _mm512_or_si512, _mm512_movepi8_mask
);

/// The widest level of this machine, once detected. Threads that detect it at the same time store
/// the same value.
static BEST: AtomicU8 = AtomicU8::new(Level::UNKNOWN.0);

/// A detected width of vectors for long payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Level(u8);

impl Level {
    const UNKNOWN: Self = Self(0);
    const SSE2: Self = Self(1);
    const AVX2: Self = Self(2);
    const AVX512: Self = Self(3);

    /// VBMI is required because the processors that have it (from Ice Lake and Zen 4 on) do not
    /// noticeably lower their clock for 512-bit vectors.
    fn detect() -> Self {
        if is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vbmi") {
            Self::AVX512
        } else if is_x86_feature_detected!("avx2") {
            Self::AVX2
        } else {
            Self::SSE2
        }
    }

    /// Every level of this machine, the narrowest first.
    pub(super) fn available() -> impl Iterator<Item = Self> {
        [Self::SSE2, Self::AVX2, Self::AVX512]
            .into_iter()
            .take_while(|level| level.0 <= Self::detect().0)
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::AVX512 => "avx512",
            Self::AVX2 => "avx2",
            _ => "sse2",
        }
    }

    /// As [`unmask_shift`], with this level for long payloads.
    pub(super) fn unmask_shift(
        self,
        buf: &mut [u8],
        from: usize,
        to: usize,
        len: usize,
        key: MaskKey,
    ) -> bool {
        if len <= 64 {
            return unmask_shift(buf, from, to, len, key);
        }
        let span = Span::new(buf, from, to, len);
        // SAFETY: the three describe `span`, of more than 64 bytes.
        unsafe { unmask_long(span.source, span.target, len, key, self) }
    }
}

/// More than 64 bytes.
///
/// # Safety
///
/// The first three arguments describe a [`Span`] that is still borrowed, of more than 64 bytes.
#[inline(never)]
unsafe fn unmask_long(
    source: *const u8,
    target: *mut u8,
    len: usize,
    key: MaskKey,
    level: Level,
) -> bool {
    if level.0 >= Level::AVX512.0 {
        // SAFETY: this level is made only where it was detected; 64 bytes are one vector.
        unsafe { long_avx512(source, target, len, key) }
    } else if level.0 >= Level::AVX2.0 {
        // SAFETY: this level is made only where it was detected; 64 bytes are two vectors.
        unsafe { long_avx2(source, target, len, key) }
    } else if level.0 >= Level::SSE2.0 {
        // SAFETY: x86-64 always has SSE2; 64 bytes are four vectors.
        unsafe { long_sse2(source, target, len, key) }
    } else {
        // SAFETY: the arguments are the caller's.
        unsafe { long_undetected(source, target, len, key) }
    }
}

/// The first long payload: detects the level and stores it for later ones.
///
/// # Safety
///
/// As for [`unmask_long`].
#[cold]
#[inline(never)]
unsafe fn long_undetected(source: *const u8, target: *mut u8, len: usize, key: MaskKey) -> bool {
    let best = Level::detect();
    BEST.store(best.0, Ordering::Relaxed);
    // SAFETY: the arguments are the caller's.
    unsafe { unmask_long(source, target, len, key, best) }
}
