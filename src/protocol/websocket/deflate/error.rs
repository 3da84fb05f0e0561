//! The faults of compressed messages.

use std::fmt;

/// Why a compressed message is refused. The [`Inflater`](super::Inflater) refuses everything until
/// it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// The bytes are not DEFLATE (RFC 1951), refer to bytes before the window, or end where a
    /// message cannot end. Close code 1007.
    Corrupt,
    /// The decompressed message would exceed the limit. Close code 1009.
    TooLarge,
}

impl fmt::Display for InflateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Corrupt => "the compressed payload is not a whole DEFLATE stream",
            Self::TooLarge => "the message inflates beyond the message size limit",
        })
    }
}

impl std::error::Error for InflateError {}
