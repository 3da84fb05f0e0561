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

    /// An empty vector for a message of which `expected` bytes are announced, perhaps with more to
    /// follow. Its capacity is at most that of a small vector or four times `expected`: a
    /// connection is charged for all of it.
    #[must_use]
    pub fn take_large(&mut self, expected: u64) -> Vec<u8> {
        let most = expected.saturating_mul(4);
        match self.large.iter().rposition(|buffer| buffer.capacity() as u64 <= most) {
            Some(at) => self.large.swap_remove(at),
            None => self.take(),
        }
    }

    /// Whether [`give`](Self::give) would keep this vector.
    #[must_use]
    pub const fn has_room_for(&self, buffer: &Vec<u8>) -> bool {
        let capacity = buffer.capacity();
        if capacity <= SMALL_CAPACITY {
            capacity > 0 && self.small.len() < MAX_SMALL
        } else {
            capacity <= LARGE_CAPACITY && self.large.len() < MAX_LARGE
        }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_given_no_vector_far_larger_than_what_it_announces() {
        let mut pool = BufferPool::default();
        for capacity in [1 << 20, 300 << 10, 2 << 20, 100 << 10, 600 << 10, 10 << 10] {
            pool.give(Vec::with_capacity(capacity));
        }
        assert_eq!(pool.take_large(1_000).capacity(), 10 << 10);
        assert_eq!(pool.take_large(1_000).capacity(), 0);
        assert_eq!(pool.take_large(26 << 10).capacity(), 100 << 10);
        assert_eq!(pool.take_large(80 << 10).capacity(), 300 << 10);
        // The fifth large vector was not kept.
        assert_eq!(pool.take_large(u64::MAX).capacity(), 2 << 20);
        assert_eq!(pool.take_large(u64::MAX).capacity(), 1 << 20);
        assert_eq!(pool.take_large(u64::MAX).capacity(), 0);
    }

    #[test]
    fn vectors_above_the_limit_are_freed() {
        let mut pool = BufferPool::default();
        pool.give(Vec::with_capacity(LARGE_CAPACITY + 1));
        assert_eq!(pool.take_large(u64::MAX).capacity(), 0);
    }
}
