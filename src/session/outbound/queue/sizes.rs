//! How long an entry of the queue has to be, and how much memory it may leave unused.

/// Shorter replies are copied instead of being queued as a chunk of their own.
pub(super) const SHORT: usize = 4 << 10;
/// A rest of more bytes is not copied to free the memory of what was sent: that takes too long. The
/// peer is charged for all of it.
pub(super) const MAX_COPIED: usize = 1 << 20;
/// Droppable frames may wait in one entry for each of this many bytes of the limit, because short
/// ones take memory besides their bytes. This number of entries may wait in any case.
const SHORTEST: usize = 64;

/// The most entries of droppable frames that may wait under a limit of this many bytes.
pub(super) fn max_entries(limit: usize) -> usize {
    (limit / SHORTEST).max(SHORTEST)
}

/// Whether `bytes` holds much more memory than the `used` bytes need.
pub(super) const fn wastes(bytes: &Vec<u8>, used: usize) -> bool {
    bytes.capacity() > used + used / 4 + SHORT
}
