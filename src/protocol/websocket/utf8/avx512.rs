//! UTF-8 validation, alone or together with unmasking, in blocks of 64 bytes with AVX-512.
//!
//! The method is the lookup of Keiser and Lemire ("Validating UTF-8 in less than one instruction
//! per byte"): every error is visible in two adjacent bytes, except for a missing or surplus third
//! or fourth byte of a character. Three tables give the errors that a pair of bytes may be part of:
//! by the upper bits of the first byte, by its lower bits, and by the upper bits of the second. A
//! bit that is set in all three is an error. With VBMI the tables have 64 entries and the index
//! needs no masking.
#![allow(unsafe_code)] // Vector loads and stores go through pointers; run-time dispatch is a call
// that the compiler cannot check.

use core::arch::x86_64::*;

use crate::protocol::websocket::mask::MaskKey;

/// Bytes in a vector.
const WIDTH: usize = size_of::<__m512i>();

/// From this length on, loads are aligned: a vector across two cache lines needs two accesses.
const ALIGN_FROM: usize = 512;

/// The bit of the errors that depend on the bytes two and three positions before.
const TWO_CONTINUATIONS: u8 = 0x80;

/// Pairs of adjacent bytes that are an error: a bit, the first and last value of the first byte,
/// and those of the second. Pairs may share a bit if no combination of their ranges is valid.
const BAD_PAIRS: [(u8, [u8; 2], [u8; 2]); 10] = [
    // A lead byte without a continuation.
    (0x01, [0xc0, 0xff], [0x00, 0x7f]),
    (0x01, [0xc0, 0xff], [0xc0, 0xff]),
    // A continuation without a lead byte.
    (0x02, [0x00, 0x7f], [0x80, 0xbf]),
    // Two bytes for what fits in one.
    (0x04, [0xc0, 0xc1], [0x80, 0xbf]),
    // Three bytes for what fits in two.
    (0x08, [0xe0, 0xe0], [0x80, 0x9f]),
    // Surrogates, U+D800 to U+DFFF.
    (0x10, [0xed, 0xed], [0xa0, 0xbf]),
    // Above U+10FFFF.
    (0x20, [0xf4, 0xff], [0x90, 0xbf]),
    (0x40, [0xf5, 0xff], [0x80, 0x8f]),
    // Four bytes for what fits in three.
    (0x40, [0xf0, 0xf0], [0x80, 0x8f]),
    (TWO_CONTINUATIONS, [0x80, 0xbf], [0x80, 0xbf]),
];

/// Errors by the upper six bits of the first byte of a pair, by its lower six bits, and by the
/// upper six bits of the second byte.
const TABLES: [[u8; 64]; 3] = tables();

const fn tables() -> [[u8; 64]; 3] {
    let mut tables = [[0; 64]; 3];
    let mut rule = 0;
    while rule < BAD_PAIRS.len() {
        let (bit, first, second) = BAD_PAIRS[rule];
        let mut byte = 0;
        while byte <= 0xff {
            if first[0] as usize <= byte && byte <= first[1] as usize {
                tables[0][byte >> 2] |= bit;
                tables[1][byte & 0x3f] |= bit;
            }
            if second[0] as usize <= byte && byte <= second[1] as usize {
                tables[2][byte >> 2] |= bit;
            }
            byte += 1;
        }
        rule += 1;
    }
    tables
}

/// The largest bytes with which a block may end without an unfinished character.
const LARGEST_AT_END: [u8; WIDTH] = {
    let mut largest = [0xff; WIDTH];
    largest[WIDTH - 3] = 0xef;
    largest[WIDTH - 2] = 0xdf;
    largest[WIDTH - 1] = 0xbf;
    largest
};

/// Proof that this machine has AVX-512 BW and VBMI.
#[derive(Clone, Copy, Debug)]
pub(super) struct Present(());

impl Present {
    #[inline]
    pub(super) fn detect() -> Option<Self> {
        let present =
            is_x86_feature_detected!("avx512vbmi") && is_x86_feature_detected!("avx512bw");
        present.then_some(Self(()))
    }

    /// Whether `bytes` may follow an unfinished character whose lead byte is `pending` (0: none).
    /// An unfinished character at the end is not an error, even if only its lead byte is there and
    /// no byte could follow it.
    pub(super) fn validate(self, bytes: &[u8], pending: u8) -> bool {
        let start = bytes.as_ptr().cast_mut();
        // SAFETY: `self` is proof of the features; the bytes are borrowed, and not written as
        // `UNMASK` is false.
        unsafe { run::<false>(start, bytes.len(), MaskKey::default(), pending) }
    }

    /// As [`validate`](Self::validate), after unmasking `bytes` in place.
    pub(super) fn unmask_and_validate(self, bytes: &mut [u8], key: MaskKey, pending: u8) -> bool {
        // SAFETY: `self` is proof of the features, and the bytes are borrowed mutably.
        unsafe { run::<true>(bytes.as_mut_ptr(), bytes.len(), key, pending) }
    }
}

/// Validates, and before that unmasks in place if `UNMASK`, `len` bytes from `start`.
///
/// # Safety
///
/// The processor has the enabled features; the bytes are readable, and writable if `UNMASK`.
#[target_feature(enable = "avx512bw,avx512vbmi")]
unsafe fn run<const UNMASK: bool>(start: *mut u8, len: usize, key: MaskKey, pending: u8) -> bool {
    let lookup = Lookup::new();
    // Blocks begin at `base`, which is aligned and at most one block before `start` in long texts.
    let skip = if len >= ALIGN_FROM { start.addr() % WIDTH } else { 0 };
    let base = start.wrapping_sub(skip);
    let end = skip + len;
    let memory = Memory::<UNMASK>::new(base, key.advanced(skip.wrapping_neg()));
    let pending = _mm512_set1_epi8(pending.cast_signed());
    let mut before = _mm512_maskz_mov_epi8(1 << (WIDTH - 1), pending);
    let mut errors = _mm512_setzero_si512();
    let mut at = 0;
    if skip > 0 {
        // SAFETY: the lanes from `skip` on are the first bytes of a text longer than a block.
        let block = unsafe { memory.take_lanes(0, !0 << skip) };
        before = _mm512_mask_mov_epi8(block, 1 << (skip - 1), pending);
        errors = lookup.errors(_mm512_setzero_si512(), before);
        at = WIDTH;
    }
    let quads = end.saturating_sub(4 * WIDTH - 1);
    'quads: while at < quads {
        // SAFETY: below `quads`, four blocks are inside.
        let mut quad = unsafe { memory.take_quad(at) };
        if is_ascii(quad) {
            errors = _mm512_or_si512(errors, lookup.unfinished(before));
            before = _mm512_setzero_si512();
            while is_ascii(quad) {
                at += 4 * WIDTH;
                if at >= quads {
                    break 'quads;
                }
                // SAFETY: as above.
                quad = unsafe { memory.take_quad(at) };
            }
        }
        for block in quad {
            errors = _mm512_or_si512(errors, lookup.errors(before, block));
            before = block;
        }
        at += 4 * WIDTH;
    }
    while at < end {
        let lanes = !0 >> WIDTH.saturating_sub(end - at);
        // SAFETY: the lanes are those before `end`.
        let block = unsafe { memory.take_lanes(at, lanes) };
        let found = if _mm512_movepi8_mask(block) == 0 {
            lookup.unfinished(before)
        } else {
            // The lanes after the end are zeros and not text.
            _mm512_maskz_mov_epi8(lanes, lookup.errors(before, block))
        };
        errors = _mm512_or_si512(errors, found);
        before = block;
        at += WIDTH;
    }
    _mm512_test_epi8_mask(errors, errors) == 0
}

/// The bytes to validate, unmasked when loaded if `UNMASK`.
#[derive(Clone, Copy)]
struct Memory<const UNMASK: bool> {
    base: *mut u8,
    word: __m512i,
}

impl<const UNMASK: bool> Memory<UNMASK> {
    /// `key` is the key at `base`.
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    fn new(base: *mut u8, key: MaskKey) -> Self {
        Self { base, word: _mm512_set1_epi32(i32::from_le_bytes(key.bytes())) }
    }

    /// # Safety
    ///
    /// The block at offset `at` is readable, and writable if `UNMASK`.
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn take(self, at: usize) -> __m512i {
        let place = self.base.wrapping_add(at).cast::<__m512i>();
        // SAFETY: the caller says that the block is readable.
        let block = unsafe { place.read_unaligned() };
        if !UNMASK {
            return block;
        }
        let block = _mm512_xor_si512(block, self.word);
        // SAFETY: the caller says that the block is writable.
        unsafe { place.write_unaligned(block) };
        block
    }

    /// Four blocks in a row.
    ///
    /// # Safety
    ///
    /// As for [`take`](Self::take), for each of them.
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn take_quad(self, at: usize) -> [__m512i; 4] {
        let mut quad = [_mm512_setzero_si512(); 4];
        for (index, block) in quad.iter_mut().enumerate() {
            // SAFETY: the caller says that all four are readable, and writable if `UNMASK`.
            *block = unsafe { self.take(at + index * WIDTH) };
        }
        quad
    }

    /// As [`take`](Self::take) for the bytes whose bit is set in `lanes`; the others are zero.
    ///
    /// # Safety
    ///
    /// The bytes in `lanes` are readable, and writable if `UNMASK`.
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    unsafe fn take_lanes(self, at: usize, lanes: u64) -> __m512i {
        let place = self.base.wrapping_add(at).cast::<i8>();
        // SAFETY: a masked load does not touch bytes outside of its lanes.
        let block = unsafe { _mm512_maskz_loadu_epi8(lanes, place) };
        if !UNMASK {
            return block;
        }
        let block = _mm512_maskz_mov_epi8(lanes, _mm512_xor_si512(block, self.word));
        // SAFETY: a masked store does not touch bytes outside of its lanes.
        unsafe { _mm512_mask_storeu_epi8(place, lanes, block) };
        block
    }
}

/// The constants of the algorithm, in registers.
#[derive(Clone, Copy)]
struct Lookup {
    first_upper: __m512i,
    first_lower: __m512i,
    second_upper: __m512i,
    largest_at_end: __m512i,
}

impl Lookup {
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    fn new() -> Self {
        Self {
            first_upper: load(&TABLES[0]),
            first_lower: load(&TABLES[1]),
            second_upper: load(&TABLES[2]),
            largest_at_end: load(&LARGEST_AT_END),
        }
    }

    /// Nonzero bytes where a byte of `block`, which follows `before`, is an error.
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    fn errors(&self, before: __m512i, block: __m512i) -> __m512i {
        // The last quarter of `before` and the first three of `block`, for shifts by quarter.
        let middle = _mm512_alignr_epi64::<6>(block, before);
        let one_before = _mm512_alignr_epi8::<15>(block, middle);
        let two_before = _mm512_alignr_epi8::<14>(block, middle);
        let three_before = _mm512_alignr_epi8::<13>(block, middle);
        let pairs = _mm512_and_si512(
            _mm512_and_si512(
                upper(one_before, self.first_upper),
                _mm512_permutexvar_epi8(one_before, self.first_lower),
            ),
            upper(block, self.second_upper),
        );
        // The high bit marks where a third or fourth byte must be: after E0 and above at two
        // before, after F0 and above at three before. It must be set exactly where a continuation
        // follows another.
        let third = _mm512_subs_epu8(two_before, _mm512_set1_epi8(0x60));
        let fourth = _mm512_subs_epu8(three_before, _mm512_set1_epi8(0x70));
        let must = _mm512_and_si512(
            _mm512_or_si512(third, fourth),
            _mm512_set1_epi8(TWO_CONTINUATIONS.cast_signed()),
        );
        _mm512_xor_si512(pairs, must)
    }

    /// Nonzero bytes if `block` ends inside of a character.
    #[target_feature(enable = "avx512bw,avx512vbmi")]
    #[inline]
    fn unfinished(&self, block: __m512i) -> __m512i {
        _mm512_subs_epu8(block, self.largest_at_end)
    }
}

#[target_feature(enable = "avx512bw,avx512vbmi")]
#[inline]
fn is_ascii([a, b, c, d]: [__m512i; 4]) -> bool {
    _mm512_movepi8_mask(_mm512_or_si512(_mm512_or_si512(a, b), _mm512_or_si512(c, d))) == 0
}

/// Looks every byte up by its upper six bits. The shift brings in two bits of the next byte, which
/// the index of six bits ignores.
#[target_feature(enable = "avx512bw,avx512vbmi")]
#[inline]
fn upper(bytes: __m512i, table: __m512i) -> __m512i {
    _mm512_permutexvar_epi8(_mm512_srli_epi16::<2>(bytes), table)
}

#[target_feature(enable = "avx512bw,avx512vbmi")]
#[inline]
fn load(bytes: &[u8; WIDTH]) -> __m512i {
    // SAFETY: the array is as long as the vector.
    unsafe { bytes.as_ptr().cast::<__m512i>().read_unaligned() }
}
