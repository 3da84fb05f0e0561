//! The decompressor: the payload of RFC 7692 section 7.2.2 in, a message out.

use flate2::{Decompress, FlushDecompress, Status};

use super::{InflateError, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// What every sender leaves away at the end of a message (section 7.2.2), and behind it an empty
/// final block: only where the message ended between two blocks does the stream end with it, and
/// nothing comes out, so this tells a cut message from a whole one.
const TAIL_AND_END: [u8; 9] = [0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff];
/// The least and the most that the output grows by at a time.
const STEPS: std::ops::RangeInclusive<usize> = 1 << 10..=64 << 10;
/// A final block costs a new stream with a copy of the window. A message may have so many of them
/// in any case, and one more for each `FINAL_EVERY` bytes.
const FINALS: usize = 8;
const FINAL_EVERY: usize = 4 << 10;

/// One direction's decompressor: the compressed payloads of a connection's messages in, the
/// messages out.
///
/// Give a message's payload to [`push`](Self::push), in pieces cut anywhere, and call
/// [`finish`](Self::finish) at its end. After an error only [`reset`](Self::reset) helps.
#[derive(Debug)]
pub struct Inflater {
    /// Always of the largest window, which reads streams of any.
    stream: Decompress,
    /// Whether messages are remembered for those after them.
    takeover: bool,
    window: usize,
    /// The last `window` bytes of the messages before this one.
    history: Vec<u8>,
    /// Final blocks of this message so far.
    finals: usize,
    used: bool,
    failed: bool,
}

impl Inflater {
    /// A decompressor for a peer that may refer `1 << window_bits` bytes back (8 to 15, clamped),
    /// also into earlier messages.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        let window = 1 << window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        let stream = Decompress::new(false);
        let history = Vec::new();
        Self { stream, takeover: true, window, history, finals: 0, used: false, failed: false }
    }

    /// As [`new`](Self::new), but each message stands alone: none is remembered for the next.
    #[must_use]
    pub fn without_takeover() -> Self {
        Self { takeover: false, ..Self::new(MAX_WINDOW_BITS) }
    }

    pub(super) const fn has_takeover(&self) -> bool {
        self.takeover
    }

    /// Inflates a piece of a message, adding to `out`, in which the message begins at `start`.
    /// `out` grows by what comes out, never by what the peer declares.
    ///
    /// # Errors
    /// [`InflateError::TooLarge`] as soon as the message is above `limit` bytes;
    /// [`InflateError::Corrupt`] if the bytes are not DEFLATE.
    pub fn push(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
    ) -> Result<(), InflateError> {
        let ended = self.run(input, out, start, limit)?;
        if ended { self.final_block(&out[start..]) } else { Ok(()) }
    }

    /// Ends the message, all of which has come out already; the next one may follow.
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
        let ended = self.run(&TAIL_AND_END, out, start, limit)?;
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

    /// Forgets everything: the next message stands alone.
    pub fn reset(&mut self) {
        self.history.clear();
        self.finals = 0;
        self.failed = false;
        if std::mem::take(&mut self.used) {
            self.stream.reset(false);
        }
    }

    /// Feeds `input`; returns whether the stream ended with its last byte. A final block inside a
    /// message ends nothing (section 7.2.3.4): what follows goes on with the same window.
    fn run(
        &mut self,
        mut input: &[u8],
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
    ) -> Result<bool, InflateError> {
        if self.failed {
            return Err(InflateError::Corrupt);
        }
        self.used = true;
        loop {
            let filled = out.len();
            // One byte beyond the limit shows that the message is beyond it.
            let left = limit.saturating_add(1).saturating_sub(filled - start);
            let room = (2 * input.len()).clamp(*STEPS.start(), *STEPS.end()).min(left);
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
                Ok(Status::StreamEnd) if input.is_empty() => return Ok(true),
                Ok(Status::StreamEnd) => self.final_block(&out[start..])?,
                // With room left over, all input was read and nothing waits to come out.
                Ok(_) if input.is_empty() && written < room => return Ok(false),
                Ok(_) if read > 0 || written > 0 => {}
                _ => return self.fail(InflateError::Corrupt),
            }
        }
    }

    /// The stream has ended inside a message: goes on with a new one.
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

    /// A new stream that remembers the history and `message`, the part of the message so far.
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
