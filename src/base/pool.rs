//! Vectors for reuse on one core.

/// Vectors kept for reuse on each core, and the largest that is worth keeping.
const KEPT: usize = 64;
const KEPT_CAPACITY: usize = 64 << 10;
/// A few large ones are kept as well, so that a stream of large messages does not fault its memory
/// in anew for each of them.
const KEPT_LARGE: usize = 4;
const KEPT_LARGE_CAPACITY: usize = 2 << 20;

/// Vectors for reuse.
#[derive(Debug, Default)]
pub struct BufferPool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl BufferPool {
    /// An empty vector, with capacity if one was kept.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.small.pop().unwrap_or_default()
    }

    /// An empty vector for a message of which more than a receive buffer is expected.
    #[must_use]
    pub fn take_large(&mut self) -> Vec<u8> {
        self.large.pop().unwrap_or_else(|| self.take())
    }

    /// Takes a vector back; keeps it if there is room for one of its size.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let capacity = buffer.capacity();
        let (shelf, most) = if capacity <= KEPT_CAPACITY {
            (&mut self.small, KEPT)
        } else {
            (&mut self.large, KEPT_LARGE)
        };
        if (1..=KEPT_LARGE_CAPACITY).contains(&capacity) && shelf.len() < most {
            shelf.push(buffer);
        }
    }
}
