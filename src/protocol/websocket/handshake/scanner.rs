//! Finds the end of a request's head in a growing buffer and refuses what can never become one.

use super::{HeadLimits, Rejection};

/// Finds the end of a request head, call after call, without going back over old bytes.
///
/// HTTP recipients may take a bare LF for a line end (RFC 9112 section 2.2). Two parties that
/// differ on that point also differ on where a request ends, so only CRLF is accepted here.
#[derive(Debug, Default, Clone)]
pub struct HeadScanner {
    /// Bytes already judged; the next call starts here.
    pos: usize,
    /// Lines ended so far, the request line included.
    lines: usize,
    state: State,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing seen yet.
    #[default]
    Start,
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
    /// Looks at the bytes that arrived since the last call.
    ///
    /// `head` is everything received so far, from the first byte of the connection; it only
    /// grows between calls. `Ok(Some(len))` says that the head is `head[..len]`, `Ok(None)` that
    /// more bytes are needed. Once complete, later calls repeat the answer.
    ///
    /// # Errors
    ///
    /// The first fault, as soon as its byte has arrived: a first byte that begins no HTTP
    /// method, an empty line before the request, a line end other than CRLF, a control byte
    /// (HTAB is allowed inside a header line), a folded line (RFC 9112 section 5.2), more lines
    /// or bytes than `limits` allow. The verdict does not depend on how the bytes were split.
    pub fn scan(&mut self, head: &[u8], limits: &HeadLimits) -> Result<Option<usize>, Rejection> {
        if self.state == State::Done {
            return Ok(Some(self.pos));
        }
        let window = head.get(..limits.max_bytes).unwrap_or(head);
        loop {
            if self.state == State::Line {
                self.pos += plain_run(window.get(self.pos..).unwrap_or_default());
            }
            let Some(&byte) = window.get(self.pos) else { break };
            self.state = self.step(byte, limits)?;
            self.pos += 1;
            if self.state == State::Done {
                return Ok(Some(self.pos));
            }
        }
        if head.len() >= limits.max_bytes { Err(Rejection::HeadTooLarge) } else { Ok(None) }
    }

    /// Number of bytes judged so far: never less than at an earlier call.
    #[must_use]
    pub fn scanned(&self) -> usize {
        self.pos
    }

    /// The state after `byte`. On an error nothing has changed, so a further call repeats it.
    fn step(&mut self, byte: u8, limits: &HeadLimits) -> Result<State, Rejection> {
        match (self.state, byte) {
            (State::Start, b'A'..=b'Z') => Ok(State::Line),
            (State::Start, b'\r' | b'\n') => Err(Rejection::LeadingEmptyLine),
            (State::Start, _) => Err(Rejection::NotHttp),
            (State::Line, b'\r') => Ok(State::Cr),
            (State::LineStart, b'\r') => Ok(State::LastCr),
            (State::Line | State::LineStart, b'\n') => Err(Rejection::BareLf),
            (State::Line, b'\t') if self.lines > 0 => Ok(State::Line),
            (State::LineStart, b' ' | b'\t') => Err(Rejection::FoldedLine),
            (State::Line | State::LineStart, 0..=0x1f | 0x7f) => Err(Rejection::ControlByte),
            (State::Line, _) => Ok(State::Line),
            // As many lines have ended as the number of the header line that begins here.
            (State::LineStart, _) if self.lines > limits.header_lines() => {
                Err(Rejection::TooManyHeaders)
            }
            (State::LineStart, _) => Ok(State::Line),
            (State::Cr, b'\n') => {
                self.lines += 1;
                Ok(State::LineStart)
            }
            (State::LastCr, b'\n') | (State::Done, _) => Ok(State::Done),
            (State::Cr | State::LastCr, _) => Err(Rejection::BareCr),
        }
    }
}

/// How many bytes at the front are neither control bytes nor DEL, eight at a time.
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
/// A borrow can only set further marks above a true one, so the lowest mark is always right.
fn control_marks(word: u64) -> u64 {
    const ONES: u64 = u64::from_le_bytes([0x01; 8]);
    const TOPS: u64 = u64::from_le_bytes([0x80; 8]);
    let below = word.wrapping_sub(0x20 * ONES) & !word;
    let del = word ^ (0x7f * ONES);
    (below | (del.wrapping_sub(ONES) & !del)) & TOPS
}
