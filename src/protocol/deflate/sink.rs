//! Where inflated bytes go: a vector that grows by what is produced, up to the message limit.

use super::InflateError;

/// Spare bytes behind the writing position that a symbol may use without asking: the longest
/// match (258) and the overshoot of copying it in pieces of 16, and two literals.
pub(super) const SLACK: usize = 258 + 16 + 2;

/// The smallest step the output grows by.
const STEP: usize = 512;

/// The output of one message. `buf[..pos]` is real, what is behind is filler until `close`.
#[derive(Debug)]
pub(super) struct Sink<'a> {
    pub(super) buf: &'a mut Vec<u8>,
    pub(super) pos: usize,
    /// Where the message began.
    pub(super) start: usize,
    /// The message may end here at the latest.
    pub(super) cap: usize,
}

impl<'a> Sink<'a> {
    pub(super) fn new(buf: &'a mut Vec<u8>, start: usize, limit: usize) -> Self {
        let (pos, start) = (buf.len(), start.min(buf.len()));
        // A vector never holds more than isize::MAX bytes, so the sums below cannot overflow.
        let cap = start.saturating_add(limit).min(isize::MAX.unsigned_abs() - SLACK - 1);
        Self { buf, pos, start, cap }
    }

    /// Whether the limit still holds.
    pub(super) fn check(&self) -> Result<(), InflateError> {
        if self.pos > self.cap { Err(InflateError::TooLarge) } else { Ok(()) }
    }

    /// Makes room for at least one more symbol and returns the position up to which symbols may
    /// be written without asking again: `SLACK` bytes are there behind it, and it is at most one
    /// byte beyond the limit. `input` is how many compressed bytes are at hand.
    pub(super) fn grow(&mut self, input: usize) -> Result<usize, InflateError> {
        self.check()?;
        let step = input.saturating_mul(3).max(STEP).max(self.pos - self.start);
        let room = self.pos.saturating_add(step).min(self.cap + 1);
        let want = room + SLACK;
        if want > self.buf.len() {
            // Exactly, since the steps double by themselves and must not pass the limit.
            self.buf.reserve_exact(want - self.buf.len());
            self.buf.resize(want, 0);
        }
        Ok(room)
    }

    /// Appends bytes of a stored block.
    pub(super) fn put(&mut self, bytes: &[u8]) -> Result<(), InflateError> {
        self.check()?;
        if bytes.len() > self.cap - self.pos {
            return Err(InflateError::TooLarge);
        }
        self.buf.truncate(self.pos);
        if self.buf.capacity() - self.pos < bytes.len() {
            let double = (self.pos - self.start).min(self.cap - self.pos);
            self.buf.reserve_exact(bytes.len().max(double));
        }
        self.buf.extend_from_slice(bytes);
        self.pos = self.buf.len();
        Ok(())
    }

    /// Takes the filler away.
    pub(super) fn close(self) {
        self.buf.truncate(self.pos);
    }
}

/// Repeats `len` bytes (at most 258) from `dist` bytes before `pos`; `SLACK` bytes must be there
/// behind `pos`, and some of those behind the copy are overwritten.
#[inline(always)]
pub(super) fn repeat(buf: &mut [u8], pos: usize, dist: usize, len: usize) {
    let (mut from, mut to, end) = (pos - dist, pos, pos + len);
    if dist >= 16 {
        while to < end {
            buf.copy_within(from..from + 16, to);
            (from, to) = (from + 16, to + 16);
        }
    } else if dist >= 8 {
        while to < end {
            buf.copy_within(from..from + 8, to);
            (from, to) = (from + 8, to + 8);
        }
    } else if dist == 1 {
        let byte = buf[from];
        buf[pos..end].fill(byte);
    } else {
        while to < end {
            buf[to] = buf[from];
            (from, to) = (from + 1, to + 1);
        }
    }
}
