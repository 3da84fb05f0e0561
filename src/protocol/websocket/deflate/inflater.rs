//! The decompressor: from the payload of RFC 7692 section 7.2.2 to a message.

use flate2::{Decompress, FlushDecompress, Status};

use super::error::InflateError;
use super::window::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The bytes that every sender removes from the end of a message (section 7.2.2), then an empty
/// final block. The stream ends with them, without output, only if the message ended between two
/// blocks. This distinguishes a truncated message from a whole one.
const TAIL_AND_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// What the state of a stream takes, its window of 32 KiB included.
const STATE: usize = 48 << 10;
/// The smallest and the largest step by which the output grows.
const STEPS: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;
/// A final block requires a new stream with a copy of the window. A message may contain this many,
/// and one more for each `FINAL_EVERY` bytes.
const FINALS: usize = 8;
const FINAL_EVERY: usize = 4 << 10;

/// One direction's decompressor.
///
/// Pass the payload of a message to [`push`](Self::push), in pieces split anywhere, and call
/// [`finish`](Self::finish) at its end. After an error, everything fails until
/// [`reset`](Self::reset).
#[derive(Debug)]
pub struct Inflater {
    /// Always with the largest window, which can read streams of every window size.
    stream: Decompress,
    /// Whether messages may refer to earlier ones.
    takeover: bool,
    window: usize,
    /// The last `window` bytes of the messages before this one.
    history: Vec<u8>,
    /// The number of final blocks in this message so far.
    finals: usize,
    used: bool,
    failed: bool,
}

impl Inflater {
    /// A decompressor for a peer that may refer up to `1 << window_bits` bytes back (8 to 15,
    /// clamped), into earlier messages too.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        let window = 1 << window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        let stream = Decompress::new(false);
        let history = Vec::new();
        Self { stream, takeover: true, window, history, finals: 0, used: false, failed: false }
    }

    /// As [`new`](Self::new), but no message may refer to earlier ones.
    #[must_use]
    pub fn without_takeover() -> Self {
        Self { takeover: false, ..Self::new(MAX_WINDOW_BITS) }
    }

    /// The memory that it holds, in bytes, approximately: its state, and the window that it keeps
    /// itself.
    #[must_use]
    pub fn memory(&self) -> usize {
        STATE + self.history.capacity()
    }

    pub(super) const fn has_takeover(&self) -> bool {
        self.takeover
    }

    /// Decompresses a piece of a message and appends the result to `out`, in which the message
    /// begins at `start`. `out` grows by the bytes produced, never by a length that the peer
    /// declares. Stops once about `most` bytes were produced, since a few bytes can become
    /// megabytes. Returns how much of `input` was used; the rest is to be passed again.
    ///
    /// # Errors
    /// [`InflateError::TooLarge`] as soon as the message exceeds `limit` bytes;
    /// [`InflateError::Corrupt`] if the bytes are not DEFLATE.
    pub fn push(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
        most: usize,
    ) -> Result<usize, InflateError> {
        let (used, ended) = self.run(input, out, start, limit, most)?;
        if ended {
            self.final_block(&out[start..])?;
        }
        Ok(used)
    }

    /// Ends the message, whose bytes are all in `out` already. The next one may follow.
    ///
    /// # Errors
    /// As [`push`](Self::push); also if the message ends inside a block.
    pub fn finish(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
    ) -> Result<(), InflateError> {
        let len = out.len();
        let (_, ended) = self.run(&TAIL_AND_END, out, start, limit, usize::MAX)?;
        if !ended || out.len() > len {
            return self.fail(InflateError::Corrupt);
        }
        self.finals = 0;
        if self.takeover {
            let message = out.get(start..).unwrap_or_default();
            let keep = self.window.saturating_sub(message.len()).min(self.history.len());
            self.history.drain(..self.history.len() - keep);
            self.history.extend_from_slice(&message[message.len().saturating_sub(self.window)..]);
        }
        self.restart(&[])?;
        self.used = self.takeover;
        Ok(())
    }

    /// Clears the window and the error, so that the next message refers to no earlier one.
    pub fn reset(&mut self) {
        self.history.clear();
        self.finals = 0;
        self.failed = false;
        if std::mem::take(&mut self.used) {
            self.stream.reset(false);
        }
    }

    /// Decompresses `input`, until it is used up or `most` bytes were produced. Returns how much of
    /// it was used, and whether the stream ended with its last byte. A final block inside a message
    /// does not end it (section 7.2.3.4): the following blocks use the same window.
    fn run(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
        most: usize,
    ) -> Result<(usize, bool), InflateError> {
        if self.failed {
            return Err(InflateError::Corrupt);
        }
        self.used = true;
        let (len, stop) = (input.len(), out.len().saturating_add(most));
        loop {
            // What the stream still holds of input that it has read is little, and is taken out.
            if out.len() >= stop && !input.is_empty() {
                return Ok((len - input.len(), false));
            }
            let filled = out.len();
            // One byte above the limit is enough to detect that it is exceeded.
            let left = limit.saturating_add(1).saturating_sub(filled - start);
            let room = (2 * input.len()).clamp(*STEPS.start(), *STEPS.end()).min(left);
            grow(out, room, start.saturating_add(limit).saturating_add(1));
            out.resize(filled + room, 0);
            let (read_before, written_before) = (self.stream.total_in(), self.stream.total_out());
            let status = self.stream.decompress(input, &mut out[filled..], FlushDecompress::Sync);
            let count = |after: u64, before: u64| usize::try_from(after - before).unwrap_or(0);
            let read = count(self.stream.total_in(), read_before);
            let written = count(self.stream.total_out(), written_before);
            out.truncate(filled + written);
            input = input.get(read..).unwrap_or_default();
            if out.len() - start > limit {
                return self.fail(InflateError::TooLarge);
            }
            match status {
                Ok(Status::StreamEnd) if input.is_empty() => return Ok((len, true)),
                Ok(Status::StreamEnd) => self.final_block(&out[start..])?,
                // With room left over, all input was read and there is no more output.
                Ok(_) if input.is_empty() && written < room => return Ok((len, false)),
                Ok(_) if read > 0 || written > 0 => {}
                _ => return self.fail(InflateError::Corrupt),
            }
        }
    }

    /// Continues with a new stream after one ended inside a message.
    fn final_block(&mut self, message: &[u8]) -> Result<(), InflateError> {
        self.finals += 1;
        if self.finals > FINALS + message.len() / FINAL_EVERY {
            return self.fail(InflateError::Corrupt);
        }
        self.restart(message)
    }

    fn fail<T>(&mut self, error: InflateError) -> Result<T, InflateError> {
        self.failed = true;
        Err(error)
    }

    /// Starts a new stream whose window holds the history and `message`, the part of the message so
    /// far.
    fn restart(&mut self, message: &[u8]) -> Result<(), InflateError> {
        self.stream.reset(false);
        let fresh = &message[message.len().saturating_sub(self.window)..];
        let old = self.window.saturating_sub(fresh.len()).min(self.history.len());
        let old = &self.history[self.history.len() - old..];
        let set = match (old, fresh) {
            ([], []) => return Ok(()),
            ([], only) | (only, []) => self.stream.set_dictionary(only),
            (old, fresh) => self.stream.set_dictionary(&[old, fresh].concat()),
        };
        set.map(drop).map_err(|_| InflateError::Corrupt)
    }
}

/// Makes room for `more` bytes. Grows to twice the size, as a vector does, but not beyond `most`: a
/// message just below the limit would be copied once more, into twice the memory that it can need.
fn grow(out: &mut Vec<u8>, more: usize, most: usize) {
    let needed = out.len().saturating_add(more);
    if needed > out.capacity() {
        let wanted = out.capacity().saturating_mul(2).min(most).max(needed);
        out.reserve_exact(wanted - out.len());
    }
}
