//! The payload transforms of permessage-deflate (RFC 7692 sections 7.2.1 and 7.2.2).
//!
//! [`Inflater`] restores a message from its compressed payload, [`Deflater`] makes such a payload,
//! and [`Pool`] lends both to connections without context takeover.

mod deflater;
mod error;
mod inflater;
mod pool;
#[cfg(test)]
mod tests;
mod window;

pub use deflater::Deflater;
pub use error::InflateError;
pub use inflater::Inflater;
pub use pool::Pool;
pub use window::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The lengths of messages that are compressed. Shorter ones save too few bytes. Longer ones would
/// hold up the core, which does nothing else during the compression.
pub const COMPRESSIBLE: std::ops::RangeInclusive<usize> = 64..=256 << 10;
