//! Decoding tables of the Huffman codes of DEFLATE (RFC 1951 section 3.2).
//!
//! A table entry is 32 bits: the length of the code in bits 0 to 3, its kind in bits 4 to 7, the
//! number of extra bits in bits 8 to 15 and the base value in bits 16 to 31.

use super::input::low;

/// A literal: the byte is the base value.
pub(super) const LITERAL: u32 = 1 << 4;
/// The end of the block.
pub(super) const END: u32 = 1 << 5;
/// Not a code of this block, or one DEFLATE leaves without a meaning.
pub(super) const BAD: u32 = 1 << 7;
/// A longer code: the base value is the place of its subtable, the extra bits its index width.
const SUB: u32 = 1 << 6;

/// The longest code, in bits.
const MAX_LEN: usize = 15;
/// Symbols of the largest alphabet.
const MAX_SYMBOLS: usize = 288;

/// How many codes there are of each length.
type Counts = [u16; MAX_LEN + 1];

/// Code length of an entry, in bits.
#[inline(always)]
pub(super) const fn length(entry: u32) -> u32 {
    entry & 15
}

/// The byte of a literal's entry; of a code length's, the length.
#[inline(always)]
pub(super) const fn literal(entry: u32) -> u8 {
    entry.to_le_bytes()[2]
}

/// The value of an entry whose code starts at the lowest of `bits`, extra bits included, and the
/// bits used by code and extra bits together (at most 28).
#[inline(always)]
pub(super) const fn value(entry: u32, bits: u64) -> (usize, u32) {
    let extra = (entry >> 8) & 31;
    let more = (bits >> length(entry)) & ((1 << extra) - 1);
    ((entry >> 16) as usize + low(more), length(entry) + extra)
}

const fn entry(base: u32, extra: u32, kind: u32) -> u32 {
    base << 16 | extra << 8 | kind
}

/// A code length, or the place in a subtable: a number of 16 bits at most.
#[expect(clippy::cast_possible_truncation, reason = "tables are far smaller")]
const fn small(n: usize) -> u32 {
    n as u32
}

/// Entries of the literal and length alphabet (section 3.2.5), by symbol, without code lengths.
static LITLEN: [u32; MAX_SYMBOLS] = {
    let mut table = [entry(0, 0, BAD); MAX_SYMBOLS];
    let mut byte = 0;
    while byte < 256 {
        table[byte as usize] = entry(byte, 0, LITERAL);
        byte += 1;
    }
    table[256] = entry(0, 0, END);
    let (mut symbol, mut base) = (257u32, 3);
    while symbol < 285 {
        let extra = if symbol < 265 { 0 } else { (symbol - 261) / 4 };
        table[symbol as usize] = entry(base, extra, 0);
        base += 1 << extra;
        symbol += 1;
    }
    table[285] = entry(258, 0, 0);
    table
};

/// Entries of the distance alphabet (section 3.2.5), by symbol, without code lengths.
static DISTANCE: [u32; 32] = {
    let mut table = [entry(0, 0, BAD); 32];
    let (mut symbol, mut base) = (0u32, 1);
    while symbol < 30 {
        let extra = if symbol < 4 { 0 } else { (symbol - 2) / 2 };
        table[symbol as usize] = entry(base, extra, 0);
        base += 1 << extra;
        symbol += 1;
    }
    table
};

/// Entries of the alphabet of code lengths (section 3.2.7): the value is the symbol.
static CODE_LENGTH: [u32; 19] = {
    let mut table = [0; 19];
    let mut symbol = 0;
    while symbol < 19 {
        table[symbol as usize] = entry(symbol, 0, 0);
        symbol += 1;
    }
    table
};

/// A code's decoding table; `N` (a power of two) entries are found in one step.
#[derive(Debug)]
pub(super) struct Huffman<const N: usize> {
    root: [u32; N],
    sub: Vec<u32>,
}

pub(super) type LitLen = Huffman<1024>;
pub(super) type Distance = Huffman<256>;
pub(super) type CodeLength = Huffman<128>;

impl<const N: usize> Huffman<N> {
    const ROOT_BITS: usize = N.trailing_zeros() as usize;

    pub(super) const fn new() -> Self {
        Self { root: [BAD; N], sub: Vec::new() }
    }

    /// The entry of the code at the lowest of `bits`. Meaningless if its length is more than the
    /// bits there really are; right otherwise, whatever follows them.
    #[inline(always)]
    pub(super) fn lookup(&self, bits: u64) -> u32 {
        let entry = self.root[low(bits) & (N - 1)];
        if entry & SUB == 0 {
            return entry;
        }
        let index = (bits >> Self::ROOT_BITS) & ((1 << ((entry >> 8) & 15)) - 1);
        self.sub.get((entry >> 16) as usize + low(index)).copied().unwrap_or(BAD)
    }

    /// Builds the table of the canonical code with these lengths, the meanings of whose symbols
    /// are `symbols`. False if the lengths give no prefix code, or one that leaves bits over and
    /// is not the single one-bit code section 3.2.7 allows when `sparse`.
    fn build(&mut self, lens: &[u8], symbols: &[u32], sparse: bool) -> bool {
        let mut count: Counts = [0; MAX_LEN + 1];
        for &len in lens {
            count[usize::from(len & 15)] += 1;
        }
        count[0] = 0;
        let max = count.iter().rposition(|&n| n > 0).unwrap_or(0);
        let mut left = 1i32;
        let mut offset = [0u16; MAX_LEN + 2];
        for len in 1..=MAX_LEN {
            left = (left << 1) - i32::from(count[len]);
            if left < 0 {
                return false;
            }
            offset[len + 1] = offset[len] + count[len];
        }
        if left > 0 && !(sparse && max <= 1) {
            return false;
        }
        let mut sorted = [0u16; MAX_SYMBOLS];
        for (symbol, &len) in (0u16..).zip(lens) {
            if len != 0 {
                let at = &mut offset[usize::from(len & 15)];
                sorted[usize::from(*at)] = symbol;
                *at += 1;
            }
        }
        let used = usize::from(offset[MAX_LEN]);
        self.fill(count, &sorted[..used], symbols, max);
        true
    }

    /// Fills the table, code by code in canonical order. Codes are kept bit-reversed, as they
    /// are read; the table of codes of up to n bits is doubled to make that of n + 1 bits.
    fn fill(&mut self, mut count: Counts, sorted: &[u16], symbols: &[u32], max: usize) {
        self.sub.clear();
        // What no code of an incomplete set reaches is an error once one bit of it is there.
        self.root[..2].fill(BAD | 1);
        let (mut code, mut next) = (0usize, sorted.iter());
        let mut prefix = usize::MAX;
        let mut table = (0, 0);
        for len in 1..=max.max(Self::ROOT_BITS) {
            for &symbol in next.by_ref().take(usize::from(count[len])) {
                let entry = symbols[usize::from(symbol)] | small(len);
                if len <= Self::ROOT_BITS {
                    self.root[code] = entry;
                } else {
                    if prefix != code & (N - 1) {
                        prefix = code & (N - 1);
                        table = self.open(prefix, len, &count);
                    }
                    count[len] -= 1;
                    let (at, bits) = table;
                    let step = 1 << (len - Self::ROOT_BITS);
                    for i in (code >> Self::ROOT_BITS..1 << bits).step_by(step) {
                        self.sub[at + i] = entry;
                    }
                }
                let free = !code & ((1 << len) - 1);
                let bit = free.checked_ilog2().map_or(0, |n| 1 << n);
                code = if bit == 0 { 0 } else { code & (bit - 1) | bit };
            }
            if len < Self::ROOT_BITS {
                self.root.copy_within(..1 << len, 1 << len);
            }
        }
    }

    /// Appends a subtable for the codes beginning with `prefix`, the next of which has length
    /// `len`, and returns its place and index width. `count` is of the codes still to come.
    fn open(&mut self, prefix: usize, len: usize, count: &Counts) -> (usize, usize) {
        let mut bits = len - Self::ROOT_BITS;
        let mut left = 1i32 << bits;
        for &n in &count[len..MAX_LEN] {
            left -= i32::from(n);
            if left <= 0 {
                break;
            }
            (left, bits) = (left << 1, bits + 1);
        }
        let at = self.sub.len();
        self.sub.resize(at + (1 << bits), BAD | 15);
        self.root[prefix] = SUB | small(at) << 16 | small(bits) << 8;
        (at, bits)
    }
}

impl LitLen {
    /// The code of literals and lengths; false if it is none or cannot end the block.
    pub(super) fn literals(&mut self, lens: &[u8]) -> bool {
        lens.get(256).is_some_and(|&len| len != 0) && self.build(lens, &LITLEN, true)
    }
}

impl Distance {
    /// The code of distances, which may be empty; false if it is none.
    pub(super) fn distances(&mut self, lens: &[u8]) -> bool {
        self.build(lens, &DISTANCE, true)
    }
}

impl CodeLength {
    /// The code of code lengths; false if it is none.
    pub(super) fn code_lengths(&mut self, lens: &[u8]) -> bool {
        self.build(lens, &CODE_LENGTH, false)
    }
}
