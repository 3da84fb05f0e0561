//! Compressors and decompressors lent to connections without context takeover.

use super::deflater::{Deflater, level_for};
use super::inflater::Inflater;
use super::window::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The most idle ones of a kind that are kept. Only messages received in pieces need more than one
/// at a time.
const MAX_IDLE: usize = 16;

/// The compressors and decompressors that one core lends to connections for one message at a time.
/// A connection without context takeover (RFC 7692 section 7.1.1) owns none between messages.
///
/// A decompressor serves every window size, a compressor only its own. Up to 16 of each kind are
/// kept.
#[derive(Debug)]
pub struct Pool {
    level: u32,
    // Lending moves one pointer.
    #[expect(clippy::vec_box, reason = "lending moves the box, not its contents")]
    inflaters: Vec<Box<Inflater>>,
    #[expect(clippy::vec_box, reason = "lending moves the box, not its contents")]
    deflaters: [Vec<Box<Deflater>>; Self::KINDS],
    work: u64,
}

impl Pool {
    /// Window bits from 9 to 15; 8 and 9 share a compressor.
    const KINDS: usize = (MAX_WINDOW_BITS - MIN_WINDOW_BITS) as usize;

    /// An empty pool. Its compressors will have this level (see [`Deflater::new`]).
    #[must_use]
    pub const fn new(level: u32) -> Self {
        let deflaters = [const { Vec::new() }; Self::KINDS];
        Self { level, inflaters: Vec::new(), deflaters, work: 0 }
    }

    /// The level at which a message of `len` bytes is compressed.
    #[must_use]
    pub fn level_for(&self, len: usize) -> u32 {
        level_for(self.level, len)
    }

    /// Counts the work for a message that was compressed.
    pub const fn count_work(&mut self, work: u64) {
        self.work = self.work.saturating_add(work);
    }

    /// The work counted since this was last called.
    pub const fn take_work(&mut self) -> u64 {
        std::mem::replace(&mut self.work, 0)
    }

    /// A decompressor for one message, for any window size. It keeps no window between messages.
    pub fn inflater(&mut self) -> Box<Inflater> {
        self.inflaters.pop().unwrap_or_else(|| Box::new(Inflater::without_takeover()))
    }

    /// Takes a decompressor back, in any state.
    pub fn give_inflater(&mut self, mut inflater: Box<Inflater>) {
        if self.inflaters.len() < MAX_IDLE && !inflater.has_takeover() {
            inflater.reset();
            self.inflaters.push(inflater);
        }
    }

    /// Whether a compressor for such a window is kept, so that none has to be made.
    #[must_use]
    pub fn has_deflater(&self, window_bits: u8) -> bool {
        !self.deflaters[Self::kind(window_bits)].is_empty()
    }

    /// A compressor for one message, of the pool's level and `1 << window_bits` bytes of window.
    pub fn deflater(&mut self, window_bits: u8) -> Box<Deflater> {
        let kept = self.deflaters[Self::kind(window_bits)].pop();
        kept.unwrap_or_else(|| Box::new(Deflater::new(window_bits, self.level)))
    }

    /// Takes back a compressor of [`deflater`](Self::deflater).
    pub fn give_deflater(&mut self, mut deflater: Box<Deflater>) {
        let kept = &mut self.deflaters[Self::kind(deflater.bits())];
        if kept.len() < MAX_IDLE {
            deflater.reset();
            kept.push(deflater);
        }
    }

    fn kind(window_bits: u8) -> usize {
        let bits = window_bits.clamp(MIN_WINDOW_BITS + 1, MAX_WINDOW_BITS);
        usize::from(bits - MIN_WINDOW_BITS - 1)
    }
}
