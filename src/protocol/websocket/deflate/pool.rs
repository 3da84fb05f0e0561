//! Compressors and decompressors lent to connections without context takeover.

use super::{Deflater, Inflater, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// How many of a kind are kept: one is in use at a time unless messages are received in pieces.
const KEPT: usize = 16;

/// What one core lends its connections for the time of a message, so that those that agreed on
/// no context takeover (RFC 7692 section 7.1.1) hold nothing of their own in between.
///
/// A decompressor serves any window and they are of one kind; a compressor is made for one, and
/// serves that only. Up to 16 of a kind are kept.
#[derive(Debug)]
pub struct Pool {
    level: u32,
    // The boxes move in and out as they are: what is lent is one word.
    #[expect(clippy::vec_box, reason = "lending moves the box, not what is in it")]
    inflaters: Vec<Box<Inflater>>,
    #[expect(clippy::vec_box, reason = "lending moves the box, not what is in it")]
    deflaters: [Vec<Box<Deflater>>; Self::KINDS],
}

impl Pool {
    /// Window bits from 9 to 15; 8 and 9 share a compressor.
    const KINDS: usize = (MAX_WINDOW_BITS - MIN_WINDOW_BITS) as usize;

    /// An empty pool, whose compressors will be of this level (see [`Deflater::new`]).
    #[must_use]
    pub const fn new(level: u32) -> Self {
        Self { level, inflaters: Vec::new(), deflaters: [const { Vec::new() }; Self::KINDS] }
    }

    /// A decompressor for one message, whatever the sender's window. It remembers no message for
    /// the next.
    pub fn inflater(&mut self) -> Box<Inflater> {
        self.inflaters.pop().unwrap_or_else(|| Box::new(Inflater::without_takeover()))
    }

    /// Takes a decompressor back, whatever state it is in.
    pub fn give_inflater(&mut self, mut inflater: Box<Inflater>) {
        if self.inflaters.len() < KEPT && !inflater.has_takeover() {
            inflater.reset();
            self.inflaters.push(inflater);
        }
    }

    /// A compressor for one message, of the pool's level and `1 << window_bits` bytes of window.
    pub fn deflater(&mut self, window_bits: u8) -> Box<Deflater> {
        let kept = self.deflaters[Self::kind(window_bits)].pop();
        kept.unwrap_or_else(|| Box::new(Deflater::new(window_bits, self.level)))
    }

    /// Takes a compressor back that [`deflater`](Self::deflater) lent.
    pub fn give_deflater(&mut self, mut deflater: Box<Deflater>) {
        let kept = &mut self.deflaters[Self::kind(deflater.bits())];
        if kept.len() < KEPT {
            deflater.reset();
            kept.push(deflater);
        }
    }

    fn kind(window_bits: u8) -> usize {
        let bits = window_bits.clamp(MIN_WINDOW_BITS + 1, MAX_WINDOW_BITS);
        usize::from(bits - MIN_WINDOW_BITS - 1)
    }
}
