//! The payload transforms of permessage-deflate (RFC 7692 sections 7.2.1 and 7.2.2).
//!
//! [`Inflater`] turns the compressed payload of a message back into its bytes, [`Deflater`] makes
//! such a payload, and [`Pool`] lends either to connections that agreed on no context takeover.

mod deflater;
mod inflater;
mod pool;

#[cfg(test)]
mod tests;

use std::fmt;

pub use deflater::Deflater;
pub use inflater::Inflater;
pub use pool::Pool;

/// Smallest window of RFC 7692 section 7.1.2, as a power of two: 256 bytes.
pub const MIN_WINDOW_BITS: u8 = 8;
/// Largest window of RFC 7692 section 7.1.2, as a power of two: 32 KiB.
pub const MAX_WINDOW_BITS: u8 = 15;

/// Why a compressed message was refused. The [`Inflater`] keeps refusing until it is reset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum InflateError {
    /// The bytes are not DEFLATE (RFC 1951), or refer to bytes that nobody remembers, or do not
    /// end where a message may end. Close code 1007.
    Corrupt,
    /// The message would inflate beyond the limit. Close code 1009.
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
