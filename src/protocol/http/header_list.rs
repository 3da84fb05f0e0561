//! Header lines to send, checked so that no text can add a line of its own.

use std::fmt;

use super::headers::Headers;
use super::syntax::{is_token, trim};

/// Header lines to send, in order. Each name is a token and no value contains CR, LF, NUL or
/// another control byte (RFC 9110 section 5.5), so text of any origin is safe in a value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeaderList {
    /// Complete lines, each with its CRLF.
    lines: Vec<u8>,
}

/// Why a header is not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// The name is not a token (RFC 9110 section 5.1).
    Name,
    /// The value contains CR, LF, NUL or another control byte (RFC 9110 section 5.5).
    Value,
    /// The server writes this header itself.
    Reserved,
}

impl HeaderList {
    /// No lines.
    #[must_use]
    pub const fn new() -> Self {
        Self { lines: Vec::new() }
    }

    /// Appends a line. White space around the value is dropped. A name may be repeated, as with
    /// Set-Cookie.
    ///
    /// # Errors
    /// [`HeaderError::Name`] or [`HeaderError::Value`]; the list is then unchanged.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        let value = trim(value.as_ref());
        if !is_token(name.as_bytes()) {
            return Err(HeaderError::Name);
        }
        if value.iter().any(|&byte| byte.is_ascii_control() && byte != b'\t') {
            return Err(HeaderError::Value);
        }
        for part in [name.as_bytes(), b": ", value, b"\r\n"] {
            self.lines.extend_from_slice(part);
        }
        Ok(())
    }

    /// Appends complete lines, which are known to be valid.
    pub(super) fn push_lines(&mut self, lines: &'static [u8]) {
        self.lines.extend_from_slice(lines);
    }

    /// Whether there are no lines.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// The lines as names and values.
    #[must_use]
    pub fn iter(&self) -> Headers<'_> {
        Headers::new(&self.lines)
    }

    /// The lines as they are sent, each with its CRLF.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.lines
    }
}

impl<'a> IntoIterator for &'a HeaderList {
    type Item = (&'a str, &'a [u8]);
    type IntoIter = Headers<'a>;

    fn into_iter(self) -> Headers<'a> {
        self.iter()
    }
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Name => "the header name is not a token; use letters, digits and hyphens",
            Self::Value => "the header value contains a control character such as CR or LF",
            Self::Reserved => "the server writes this header itself",
        })
    }
}

impl std::error::Error for HeaderError {}
