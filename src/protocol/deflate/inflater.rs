//! The decompressor (RFC 1951, and RFC 7692 section 7.2.2 for what a message may be).

use super::block::{Past, Stop, symbols};
use super::codes::{Codes, Dynamic, FIXED};
use super::history::History;
use super::input::{Bits, Input};
use super::sink::Sink;
use super::{InflateError, MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// One direction's decompressor: the compressed payloads of a connection's messages in, the
/// messages out.
///
/// Give a message's payload to [`push`](Self::push), in pieces cut anywhere, and call
/// [`finish`](Self::finish) at its end. The window is kept from message to message, and grows
/// with what was received up to the agreed size; without context takeover call
/// [`reset`](Self::reset) in between. After an error only `reset` helps.
#[derive(Debug)]
pub struct Inflater {
    history: History,
    /// Whether messages are remembered for those after them.
    takeover: bool,
    window: usize,
    bits: Bits,
    state: State,
    /// BFINAL of the block being read: what is left of its last byte is padding.
    last: bool,
    dynamic: Option<Box<Dynamic>>,
}

/// Where in a stream of blocks the next bits are.
#[derive(Clone, Copy, Debug)]
enum State {
    Header,
    StoredLength,
    Stored(usize),
    /// The codes of a block with dynamic codes.
    Codes,
    Fixed,
    Dynamic,
    Failed(InflateError),
}

impl Inflater {
    /// A decompressor for a peer that may refer `1 << window_bits` bytes back (8 to 15, clamped).
    /// Allocates nothing yet.
    #[must_use]
    pub fn new(window_bits: u8) -> Self {
        let window = 1 << window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        Self {
            history: History::new(window),
            takeover: true,
            window,
            bits: Bits::default(),
            state: State::Header,
            last: false,
            dynamic: None,
        }
    }

    /// As [`new`](Self::new), but each message stands alone: none is remembered for the next.
    #[must_use]
    pub fn without_takeover(window_bits: u8) -> Self {
        Self { takeover: false, ..Self::new(window_bits) }
    }

    /// Whether messages are remembered for those after them.
    pub(super) const fn has_takeover(&self) -> bool {
        self.takeover
    }

    /// Resets, and takes another window.
    pub(super) fn set_window(&mut self, window_bits: u8) {
        self.reset();
        self.window = 1 << window_bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        self.history.resize(self.window);
    }

    /// Inflates a piece of a message's compressed payload, appending to `out`, where the message
    /// begins at `start`. `limit` is the most bytes the message may have: the first byte beyond
    /// it stops the work, and `out` never has room for much more than limit and slack.
    ///
    /// # Errors
    /// [`InflateError`]; `out` then ends somewhere in the message.
    pub fn push(
        &mut self,
        input: &[u8],
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
    ) -> Result<(), InflateError> {
        let mut sink = Sink::new(out, start, limit);
        let mut input = Input::new(self.bits, input);
        let result = self.run(&mut input, &mut sink).and_then(|()| sink.check());
        self.bits = input.settle();
        sink.close();
        result.inspect_err(|&error| self.state = State::Failed(error))
    }

    /// Ends the message: what it lacks is the 00 00 FF FF that the sender took off the end of an
    /// empty stored block (RFC 7692 section 7.2.2), and nothing else. `start` and `limit` as in
    /// [`push`](Self::push); nothing is appended to `out`, the whole message is there.
    ///
    /// # Errors
    /// [`InflateError::Corrupt`] if the payload does not end right before such four bytes, as an
    /// empty payload does not; or the error that `push` gave.
    pub fn finish(
        &mut self,
        out: &mut Vec<u8>,
        start: usize,
        limit: usize,
    ) -> Result<(), InflateError> {
        self.push(&[], out, start, limit)?;
        // Whole bytes still held would be a part of the block's LEN and NLEN.
        if !matches!(self.state, State::StoredLength) || self.bits.count >= 8 {
            self.state = State::Failed(InflateError::Corrupt);
            return Err(InflateError::Corrupt);
        }
        (self.state, self.bits, self.last) = (State::Header, Bits::default(), false);
        if self.takeover {
            self.history.record(out.get(start..).unwrap_or_default());
        }
        Ok(())
    }

    /// Bytes of memory held for the window: those of earlier messages, rounded up to a power of
    /// two, and never more than the agreed size. The decoding tables, some 8 KiB once a peer has
    /// used codes of its own, come on top.
    #[must_use]
    pub fn held(&self) -> usize {
        self.history.capacity()
    }

    /// Forgets the window and any error: the next message stands alone. Costs next to nothing.
    pub fn reset(&mut self) {
        self.history.clear();
        (self.state, self.bits, self.last) = (State::Header, Bits::default(), false);
    }

    /// Goes from state to state until the input is used up. Ends because every turn of the loop
    /// either uses bits of the input, or goes on to a state that does, or stops.
    fn run(&mut self, input: &mut Input<'_>, sink: &mut Sink<'_>) -> Result<(), InflateError> {
        loop {
            let next = match self.state {
                State::Failed(error) => return Err(error),
                State::Header => self.header(input)?,
                State::StoredLength => stored_length(input)?,
                State::Stored(left) => match stored(left, input, sink)? {
                    0 => Some(State::Header),
                    left => {
                        self.state = State::Stored(left);
                        None
                    }
                },
                State::Codes => {
                    let codes = self.dynamic.get_or_insert_with(Dynamic::new);
                    if codes.read(input)? { Some(State::Dynamic) } else { None }
                }
                State::Fixed => self.block(&FIXED, input, sink)?,
                State::Dynamic => match &self.dynamic {
                    Some(dynamic) => self.block(&dynamic.codes, input, sink)?,
                    None => return Err(InflateError::Corrupt),
                },
            };
            let Some(state) = next else { return Ok(()) };
            if matches!(state, State::Header) && self.last {
                // The bits up to the byte boundary are padding (RFC 7692 section 7.2.1).
                input.align();
                self.last = false;
            }
            self.state = state;
        }
    }

    /// The three bits at the beginning of a block.
    fn header(&mut self, input: &mut Input<'_>) -> Result<Option<State>, InflateError> {
        let Some(bits) = input.take(3) else { return Ok(None) };
        self.last = bits & 1 != 0;
        Ok(Some(match bits >> 1 {
            0 => {
                input.align();
                State::StoredLength
            }
            1 => State::Fixed,
            2 => {
                // A message given up in the middle of a description left one unfinished.
                if let Some(dynamic) = &mut self.dynamic {
                    dynamic.restart();
                }
                State::Codes
            }
            _ => return Err(InflateError::Corrupt),
        }))
    }

    /// The symbols of a block. Each turn of the loop has room for a symbol at least, so that the
    /// next one uses bits, ends the block or stops.
    fn block(
        &self,
        codes: &Codes,
        input: &mut Input<'_>,
        sink: &mut Sink<'_>,
    ) -> Result<Option<State>, InflateError> {
        loop {
            let room = sink.grow(input.left())?;
            let message = &mut sink.buf[sink.start..];
            let mut at = sink.pos - sink.start;
            let past = Past { history: &self.history, window: self.window };
            let stop = symbols(codes, past, input, message, &mut at, room - sink.start);
            sink.pos = sink.start + at;
            match stop? {
                Stop::Room => {}
                Stop::Input => return Ok(None),
                Stop::End => return Ok(Some(State::Header)),
            }
        }
    }
}

/// LEN and NLEN of a stored block.
fn stored_length(input: &mut Input<'_>) -> Result<Option<State>, InflateError> {
    let Some(both) = input.take(32) else { return Ok(None) };
    let (len, not) = (both & 0xffff, both >> 16);
    if len ^ not != 0xffff {
        return Err(InflateError::Corrupt);
    }
    Ok(Some(State::Stored(len)))
}

/// The bytes of a stored block; how many are left when the input is used up.
fn stored(
    mut left: usize,
    input: &mut Input<'_>,
    sink: &mut Sink<'_>,
) -> Result<usize, InflateError> {
    while left > 0 {
        let Some(byte) = input.held_byte() else { break };
        sink.put(&[byte])?;
        left -= 1;
    }
    let bytes = input.bytes(left);
    sink.put(bytes)?;
    Ok(left - bytes.len())
}
