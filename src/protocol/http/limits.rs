//! Bounds on the head of a message.

/// The largest number of header lines that any [`HeadLimits`] can allow.
pub const HARD_MAX_HEADERS: usize = 256;

/// Bounds on the head of a message: the first line, the header lines and the empty line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// The longest head accepted, in bytes, including the empty line at its end. Default 16,384.
    pub max_bytes: usize,
    /// The longest first line accepted, in bytes, without its end. Default 8,192: RFC 9112 section
    /// 3 asks for 8,000 at least.
    pub max_line: usize,
    /// The largest number of header lines accepted. Default 64; values above
    /// [`HARD_MAX_HEADERS`] count as that.
    pub max_headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 16 << 10, max_line: 8 << 10, max_headers: 64 }
    }
}

impl HeadLimits {
    /// Those of a head that was found to be within other limits.
    pub(crate) const NONE: Self =
        Self { max_bytes: usize::MAX, max_line: usize::MAX, max_headers: HARD_MAX_HEADERS };

    /// The effective number of header lines: `max_headers`, but not above [`HARD_MAX_HEADERS`].
    pub(crate) fn header_lines(&self) -> usize {
        self.max_headers.min(HARD_MAX_HEADERS)
    }
}
