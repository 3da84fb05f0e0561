//! The receive buffers of a loop: memory that is lent out as data is received, so that idle
//! connections hold none.

use crate::config::Buffers;
use crate::io::{Buffer, next_ring_number};

/// Buffers of one size. The buffer that came back last is lent first, because its memory is most
/// likely in the cache.
#[derive(Debug)]
pub(super) struct Pool {
    /// All that there may come to be. What was never lent takes no memory.
    memory: Vec<u8>,
    size: usize,
    free: Vec<u16>,
    count: u16,
    max: u16,
    /// Tells its buffers from those of other loops.
    number: u32,
}

impl Pool {
    pub(super) fn new(config: Buffers) -> Self {
        let (count, max) = (config.count.min(config.max), config.max);
        let size = config.size as usize;
        let mut memory = vec![0; usize::from(max) * size];
        // Now, so that the first requests do not wait for the system to find the pages. Zeros would
        // be there already.
        memory[..usize::from(count) * size].fill(1);
        let mut free = Vec::with_capacity(max.into());
        free.extend((0..count).rev());
        Self { memory, size, free, count, max, number: next_ring_number() }
    }

    /// How many there are.
    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    /// How many there may come to be.
    pub(super) const fn max(&self) -> u16 {
        self.max
    }

    #[allow(clippy::cast_possible_truncation, reason = "no more than `max`, a u16")]
    pub(super) const fn lent(&self) -> u32 {
        self.count as u32 - self.free.len() as u32
    }

    /// A free buffer. If there is none, their number is doubled first; `None` if there may be no
    /// more of them.
    #[inline]
    pub(super) fn lend(&mut self) -> Option<Buffer> {
        if self.free.is_empty() {
            self.grow();
        }
        self.free.pop().map(|id| Buffer { id, ring: self.number })
    }

    #[cold]
    fn grow(&mut self) {
        let count = self.count.saturating_mul(2).min(self.max);
        self.free.extend((self.count..count).rev());
        self.count = count;
    }

    /// The bytes of a lent buffer.
    #[inline]
    pub(super) fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.check(buffer);
        let start = usize::from(buffer.id) * self.size;
        &mut self.memory[start..start + self.size]
    }

    /// `len` bytes from `start` of a lent buffer.
    #[inline]
    pub(super) fn part(&self, buffer: &Buffer, start: u32, len: u32) -> &[u8] {
        self.check(buffer);
        let first = usize::from(buffer.id) * self.size;
        &self.memory[first..first + self.size][start as usize..][..len as usize]
    }

    /// Takes a buffer back.
    #[inline]
    pub(super) fn release(&mut self, buffer: Buffer) {
        self.check(&buffer);
        self.free.push(buffer.id);
    }

    #[inline]
    fn check(&self, buffer: &Buffer) {
        assert!(buffer.ring == self.number, "a buffer goes back to the loop that lent it");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_grows_to_its_limit_and_lends_what_came_back_last() {
        let mut pool = Pool::new(Buffers::new(2, 64).growing_to(8));
        assert_eq!((pool.count(), pool.max(), pool.lent()), (2, 8, 0));
        let mut lent = Vec::new();
        while let Some(buffer) = pool.lend() {
            pool.bytes(&buffer).fill(u8::try_from(lent.len()).unwrap());
            lent.push(buffer);
        }
        assert_eq!((lent.len(), pool.count(), pool.lent()), (8, 8, 8));
        for (at, buffer) in lent.iter().enumerate() {
            let expected = vec![u8::try_from(at).unwrap(); 64];
            assert_eq!(pool.part(buffer, 0, 64), expected, "no two share memory");
            assert_eq!(pool.part(buffer, 60, 4), &expected[..4]);
        }
        let last = lent.swap_remove(3);
        let id = last.id;
        pool.release(last);
        assert_eq!((pool.lent(), pool.lend().map(|buffer| buffer.id)), (7, Some(id)));
    }

    #[test]
    #[should_panic(expected = "goes back to the loop that lent it")]
    fn a_buffer_of_another_loop_is_refused() {
        let (mut one, mut other) = (Pool::new(Buffers::new(2, 64)), Pool::new(Buffers::new(2, 64)));
        let buffer = one.lend().unwrap();
        other.release(buffer);
    }
}
