//! Bodies of requests, in pieces (RFC 9112 sections 6.2 and 7.1).

use std::fmt;

use super::framing::Framing;
use super::status::Status;
use super::syntax::is_token_byte;

/// The longest line with the length of a chunk, its extensions included.
const MAX_CHUNK_LINE: usize = 256;
/// The most bytes of all trailer lines of a body.
const MAX_TRAILERS: usize = 4 << 10;

/// Why a body is not accepted. The connection must be closed after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum BodyError {
    /// The body has more bytes than are allowed (RFC 9110 section 15.5.14).
    TooLarge,
    /// The line before a chunk is not a hexadecimal number with extensions, or is too long
    /// (RFC 9112 section 7.1).
    ChunkLine,
    /// A chunk does not end with CRLF where its length says (RFC 9112 section 7.1).
    ChunkEnd,
    /// A trailer line is malformed (RFC 9112 section 7.1.2).
    Trailer,
    /// The trailer lines are too long (RFC 6585 section 5).
    TrailersTooLarge,
}

impl BodyError {
    /// The status of the response to such a request: 400, 413 or 431.
    #[must_use]
    pub const fn status(self) -> Status {
        match self {
            Self::TooLarge => Status::CONTENT_TOO_LARGE,
            Self::TrailersTooLarge => Status::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::ChunkLine | Self::ChunkEnd | Self::Trailer => Status::BAD_REQUEST,
        }
    }

    /// One line for a person.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLarge => "The body is too large.",
            Self::ChunkLine => "The length of a chunk is malformed.",
            Self::ChunkEnd => "A chunk does not end where its length says.",
            Self::Trailer => "A trailer line behind the chunks is malformed.",
            Self::TrailersTooLarge => "The trailer lines behind the chunks are too long.",
        }
    }
}

impl fmt::Display for BodyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for BodyError {}

/// Finds the end of a body in pieces of any size, and what of it is content. Strict: each line ends
/// with CRLF, and no space surrounds the length of a chunk. Chunk extensions and trailers are
/// checked and ignored.
#[derive(Clone, Debug)]
pub struct BodyReader {
    state: State,
    /// The bytes of content that may still be declared.
    allowed: u64,
    /// The bytes of the line, or of all trailers.
    line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// So many bytes of a body without chunks are to come.
    Plain(u64),
    /// In the length of a chunk; `None` before its first digit.
    Size(Option<u64>),
    /// Behind a semicolon.
    ExtensionStart(u64),
    Extension(u64),
    /// Behind the CR of such a line.
    SizeCr(u64),
    /// So many bytes of a chunk are to come.
    Data(u64),
    DataEnd,
    DataCr,
    /// At the beginning of a trailer line, or of the last line.
    TrailerStart,
    TrailerName,
    TrailerValue,
    TrailerCr,
    LastCr,
    Done,
}

impl BodyReader {
    /// A reader of a body with this framing, which may have `limit` bytes of content.
    ///
    /// # Errors
    /// [`BodyError::TooLarge`] if it is known to have more.
    pub fn new(framing: Framing, limit: usize) -> Result<Self, BodyError> {
        let (state, allowed) = match framing {
            Framing::None => (State::Done, limit as u64),
            Framing::Length(length) if length > limit as u64 => return Err(BodyError::TooLarge),
            Framing::Length(length) => (State::Plain(length), 0),
            Framing::Chunked => (State::Size(None), limit as u64),
        };
        Ok(Self { state, allowed, line: 0 })
    }

    /// Whether the end of the body was read.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// Reads the next `bytes`, passes the content among them to `take`, and returns how many belong
    /// to the body. The result does not depend on how the bytes are split.
    ///
    /// # Errors
    /// The first fault, as soon as its byte has come.
    pub fn read(&mut self, bytes: &[u8], mut take: impl FnMut(&[u8])) -> Result<usize, BodyError> {
        let mut at = 0;
        while at < bytes.len() && self.state != State::Done {
            let rest = bytes.get(at..).unwrap_or_default();
            if let State::Plain(left) | State::Data(left) = self.state {
                let len = usize::try_from(left).map_or(rest.len(), |left| left.min(rest.len()));
                take(rest.get(..len).unwrap_or_default());
                at += len;
                self.state = self.behind(left - len as u64);
                continue;
            }
            self.line += 1;
            self.state = self.step(rest.first().copied().unwrap_or_default())?;
            at += 1;
        }
        Ok(at)
    }

    /// The state when so many bytes of the present run of content are left.
    const fn behind(&self, left: u64) -> State {
        match (self.state, left) {
            (State::Plain(_), 0) => State::Done,
            (State::Plain(_), left) => State::Plain(left),
            (_, 0) => State::DataEnd,
            (_, left) => State::Data(left),
        }
    }

    /// The state after a byte that is no content.
    fn step(&mut self, byte: u8) -> Result<State, BodyError> {
        match self.state {
            State::Size(_) | State::ExtensionStart(_) | State::Extension(_)
                if self.line > MAX_CHUNK_LINE =>
            {
                Err(BodyError::ChunkLine)
            }
            State::TrailerStart | State::TrailerName | State::TrailerValue
                if self.line > MAX_TRAILERS =>
            {
                Err(BodyError::TrailersTooLarge)
            }
            State::Size(size) => match (size, byte) {
                (Some(size), b'\r') => Ok(State::SizeCr(size)),
                (Some(size), b';') => Ok(State::ExtensionStart(size)),
                _ => digit(size.unwrap_or(0), byte).map(|size| State::Size(Some(size))),
            },
            State::ExtensionStart(size) if is_token_byte(byte) => Ok(State::Extension(size)),
            State::Extension(size) => match byte {
                b'\r' => Ok(State::SizeCr(size)),
                b';' => Ok(State::ExtensionStart(size)),
                b'\t' | b' '..=b'~' | 0x80.. => Ok(State::Extension(size)),
                _ => Err(BodyError::ChunkLine),
            },
            State::SizeCr(size) if byte == b'\n' => self.begin_chunk(size),
            State::ExtensionStart(_) | State::SizeCr(_) => Err(BodyError::ChunkLine),
            State::DataEnd if byte == b'\r' => Ok(State::DataCr),
            State::DataCr if byte == b'\n' => {
                self.line = 0;
                Ok(State::Size(None))
            }
            State::DataEnd | State::DataCr => Err(BodyError::ChunkEnd),
            State::TrailerStart if byte == b'\r' => Ok(State::LastCr),
            State::TrailerStart | State::TrailerName if is_token_byte(byte) => {
                Ok(State::TrailerName)
            }
            State::TrailerName if byte == b':' => Ok(State::TrailerValue),
            State::TrailerValue => match byte {
                b'\r' => Ok(State::TrailerCr),
                b'\t' | b' '..=b'~' | 0x80.. => Ok(State::TrailerValue),
                _ => Err(BodyError::Trailer),
            },
            State::TrailerCr if byte == b'\n' => Ok(State::TrailerStart),
            State::LastCr if byte == b'\n' => Ok(State::Done),
            _ => Err(BodyError::Trailer),
        }
    }

    /// A chunk of this size begins. The last one has none.
    const fn begin_chunk(&mut self, size: u64) -> Result<State, BodyError> {
        self.line = 0;
        if size == 0 {
            return Ok(State::TrailerStart);
        }
        let Some(allowed) = self.allowed.checked_sub(size) else {
            return Err(BodyError::TooLarge);
        };
        self.allowed = allowed;
        Ok(State::Data(size))
    }
}

/// `size` with one more hexadecimal digit. One above 64 bits counts as the largest.
fn digit(size: u64, digit: u8) -> Result<u64, BodyError> {
    let value = char::from(digit).to_digit(16).ok_or(BodyError::ChunkLine)?;
    Ok(size.saturating_mul(16).saturating_add(u64::from(value)))
}
