//! Finds the end of a message head in a growing buffer.

use super::error::HeadError;
use super::limits::HeadLimits;

/// Finds the end of a message head over several calls, looking at each byte once.
///
/// HTTP recipients may accept a bare LF as a line end (RFC 9112 section 2.2). Two parties that
/// differ on that point also differ on where a message ends, so only CRLF is accepted here.
#[derive(Debug, Default, Clone)]
pub struct HeadScanner {
    /// Bytes already checked; the next call starts here.
    pos: usize,
    /// Where the first line begins: behind an empty line, if there is one.
    start: usize,
    /// Lines ended so far, the first line included.
    lines: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before the first byte.
    #[default]
    Start,
    /// After a CR that comes before the first line.
    FirstCr,
    /// After the empty line that comes before the first line.
    SecondStart,
    /// Inside a line that has at least one byte.
    Line,
    /// After the CR that ends a line.
    Cr,
    /// After the CRLF that ends a line.
    LineStart,
    /// After the CR of the empty line.
    LastCr,
    /// The head is complete.
    Done,
}

impl HeadScanner {
    /// Checks the bytes that arrived since the last call.
    ///
    /// `head` is all that was received so far, from the first byte of the message on; it only
    /// grows between calls. `Ok(Some(len))` says that the head is `head[..len]`, `Ok(None)` that
    /// more bytes are needed. Once the head is complete, later calls return the same.
    ///
    /// # Errors
    ///
    /// The first fault, as soon as its byte has arrived: a first byte that is no upper-case letter,
    /// more than one empty line before the first line (one is ignored, and counts as a part of the
    /// head; RFC 9112 section 2.2), a line end other than CRLF, a control byte (HTAB is allowed
    /// inside a header line), a folded line (RFC 9112 section 5.2), more lines or bytes than
    /// `limits` allow. The result does not depend on how the bytes were split.
    pub fn scan(&mut self, head: &[u8], limits: &HeadLimits) -> Result<Option<usize>, HeadError> {
        if self.state == State::Done {
            return Ok(Some(self.pos));
        }
        let window = head.get(..limits.max_bytes).unwrap_or(head);
        loop {
            if self.state == State::Line {
                self.pos += plain_run(window.get(self.pos..).unwrap_or_default());
                if self.lines == 0 && self.pos - self.start > limits.max_line {
                    return Err(HeadError::LineTooLong);
                }
            }
            let Some(&byte) = window.get(self.pos) else { break };
            self.state = self.step(byte, limits)?;
            self.pos += 1;
            if self.state == State::Done {
                return Ok(Some(self.pos));
            }
        }
        if head.len() >= limits.max_bytes { Err(HeadError::TooLarge) } else { Ok(None) }
    }

    /// The number of bytes checked so far; it never decreases.
    #[must_use]
    pub fn scanned(&self) -> usize {
        self.pos
    }

    /// The state after `byte`. An error changes nothing, so a further call returns it again.
    fn step(&mut self, byte: u8, limits: &HeadLimits) -> Result<State, HeadError> {
        match (self.state, byte) {
            (State::Start | State::SecondStart, b'A'..=b'Z') => Ok(State::Line),
            (State::Start, b'\r') => Ok(State::FirstCr),
            (State::FirstCr, b'\n') => {
                self.start = self.pos + 1;
                Ok(State::SecondStart)
            }
            (State::Start | State::SecondStart, b'\r' | b'\n') => Err(HeadError::LeadingEmptyLine),
            (State::Start | State::SecondStart, _) => Err(HeadError::NotHttp),
            (State::Line, b'\r') => Ok(State::Cr),
            (State::LineStart, b'\r') => Ok(State::LastCr),
            (State::Line | State::LineStart, b'\n') => Err(HeadError::BareLf),
            (State::Line, b'\t') if self.lines > 0 => Ok(State::Line),
            (State::LineStart, b' ' | b'\t') => Err(HeadError::FoldedLine),
            (State::Line | State::LineStart, 0..=0x1f | 0x7f) => Err(HeadError::ControlByte),
            (State::Line, _) => Ok(State::Line),
            // `lines` counts the first line too, so it is the number of the header line that
            // begins here.
            (State::LineStart, _) if self.lines > limits.header_lines() => {
                Err(HeadError::TooManyHeaders)
            }
            (State::LineStart, _) => Ok(State::Line),
            (State::Cr, b'\n') => {
                self.lines += 1;
                Ok(State::LineStart)
            }
            (State::LastCr, b'\n') | (State::Done, _) => Ok(State::Done),
            (State::FirstCr | State::Cr | State::LastCr, _) => Err(HeadError::BareCr),
        }
    }
}

/// The number of leading bytes that are neither control bytes nor DEL, tested eight at a time.
fn plain_run(bytes: &[u8]) -> usize {
    let (words, tail) = bytes.as_chunks::<8>();
    let mut run = 0;
    for word in words {
        let marks = control_marks(u64::from_le_bytes(*word));
        if marks != 0 {
            return run + (marks.trailing_zeros() / 8) as usize;
        }
        run += 8;
    }
    run + tail.iter().take_while(|&&byte| byte >= 0x20 && byte != 0x7f).count()
}

/// The top bit of each byte below 0x20 or equal to 0x7f.
///
/// A borrow can set wrong marks only above a right one, so the lowest mark is always right.
fn control_marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    let below = word.wrapping_sub(0x20 * ONES) & !word;
    let del = word ^ (0x7f * ONES);
    (below | (del.wrapping_sub(ONES) & !del)) & TOPS
}
