//! Compressed bytes as bits, the lowest bit of a byte first (RFC 1951 section 3.1.1).

/// The low bits as an index.
#[inline(always)]
#[expect(clippy::cast_possible_truncation, reason = "the low bits are what is asked for")]
pub(super) const fn low(bits: u64) -> usize {
    bits as usize
}

/// Bits read and not yet used: the lowest is the first. Between two inputs, what is above
/// `count` is zero; while reading it may be bits of the bytes that follow, which a refill then
/// finds in place.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Bits {
    pub(super) bits: u64,
    /// How many there are, at most 63.
    pub(super) count: u32,
}

impl Bits {
    #[inline(always)]
    pub(super) fn drop(&mut self, n: u32) {
        self.bits >>= n;
        self.count -= n;
    }

    /// Takes bytes off `rest` until at least 56 bits are there or no byte is left.
    #[inline(always)]
    pub(super) fn refill(&mut self, rest: &mut &[u8]) {
        if let Some(word) = rest.first_chunk::<8>() {
            self.bits |= u64::from_le_bytes(*word) << self.count;
            *rest = &rest[(63 - self.count) as usize >> 3..];
            self.count |= 56;
        } else {
            self.refill_end(rest);
        }
    }

    /// The last bytes of an input.
    fn refill_end(&mut self, rest: &mut &[u8]) {
        while self.count < 56 {
            let Some((&byte, next)) = rest.split_first() else { break };
            self.bits |= u64::from(byte) << self.count;
            self.count += 8;
            *rest = next;
        }
    }
}

/// A piece of the payload being read, and the bits held from it and the pieces before.
#[derive(Debug)]
pub(super) struct Input<'a> {
    pub(super) held: Bits,
    pub(super) rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) const fn new(held: Bits, rest: &'a [u8]) -> Self {
        Self { held, rest }
    }

    /// How many bytes there are to decode, roughly.
    pub(super) const fn left(&self) -> usize {
        self.rest.len() + 8
    }

    /// The next `n` bits (at most 32) as a number, or none if there are not so many.
    #[inline]
    pub(super) fn take(&mut self, n: u32) -> Option<usize> {
        if self.held.count < n {
            self.held.refill(&mut self.rest);
            if self.held.count < n {
                return None;
            }
        }
        let value = self.held.bits & ((1 << n) - 1);
        self.held.drop(n);
        Some(low(value))
    }

    /// Drops the bits up to the next byte boundary.
    pub(super) fn align(&mut self) {
        self.held.drop(self.held.count & 7);
    }

    /// The next byte if it is among the bits held; the bits held must be whole bytes.
    pub(super) fn held_byte(&mut self) -> Option<u8> {
        if self.held.count < 8 {
            // What may be above is of the bytes in `rest`, which are read without it from here.
            self.held.bits = 0;
            return None;
        }
        let byte = self.held.bits.to_le_bytes()[0];
        self.held.drop(8);
        Some(byte)
    }

    /// Up to `n` bytes of the input, when no bits are held.
    pub(super) fn bytes(&mut self, n: usize) -> &'a [u8] {
        let (bytes, rest) = self.rest.split_at(n.min(self.rest.len()));
        self.rest = rest;
        bytes
    }

    /// The bits to hold until the next piece.
    pub(super) const fn settle(self) -> Bits {
        let Bits { bits, count } = self.held;
        Bits { bits: bits & ((1 << count) - 1), count }
    }
}
