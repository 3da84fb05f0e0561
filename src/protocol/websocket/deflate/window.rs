//! The window sizes of RFC 7692 section 7.1.2.

/// The smallest window, as a power of two: 256 bytes.
pub const MIN_WINDOW_BITS: u8 = 8;
/// The largest window, as a power of two: 32 KiB.
pub const MAX_WINDOW_BITS: u8 = 15;
