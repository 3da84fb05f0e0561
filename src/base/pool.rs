//! Vectors for reuse on one core.

/// The number of small vectors that a pool keeps, and the largest capacity of such a vector in
/// bytes.
const MAX_SMALL: usize = 64;
const SMALL_CAPACITY: usize = 64 << 10;
/// The same for large vectors. A few are kept, so that a stream of large messages does not cause
/// page faults for each message.
const MAX_LARGE: usize = 4;
const LARGE_CAPACITY: usize = 2 << 20;

/// Vectors for reuse, of two size classes.
#[derive(Debug, Default)]
pub struct BufferPool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl BufferPool {
    /// An empty vector. It has capacity if the pool holds one.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.small.pop().unwrap_or_default()
    }

    /// An empty vector for a message that is expected to be larger than a receive buffer.
    #[must_use]
    pub fn take_large(&mut self) -> Vec<u8> {
        self.large.pop().unwrap_or_else(|| self.take())
    }

    /// Returns a vector to the pool, which keeps it if it has room for one of that size.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let capacity = buffer.capacity();
        let (class, max) = if capacity <= SMALL_CAPACITY {
            (&mut self.small, MAX_SMALL)
        } else {
            (&mut self.large, MAX_LARGE)
        };
        if (1..=LARGE_CAPACITY).contains(&capacity) && class.len() < max {
            class.push(buffer);
        }
    }
}
