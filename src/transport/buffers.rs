//! Receive buffers beside those of the driver, for plain bytes that do not fit into the buffer they
//! came in, or that came in none.

use crate::io::{Buffer, next_ring_number};

/// The size of each: the plain bytes of a record.
pub(super) const SIZE: usize = 16 << 10;
/// So many are kept for reuse.
const KEPT: usize = 16;
/// From so many lent ones on, there are few.
const FEW: usize = 192;

/// Buffers of one size, made when they are needed.
#[derive(Debug)]
pub(super) struct Buffers {
    memory: Vec<Vec<u8>>,
    free: Vec<u16>,
    lent: usize,
    number: u32,
}

impl Buffers {
    pub(super) fn new() -> Self {
        Self { memory: Vec::new(), free: Vec::new(), lent: 0, number: next_ring_number() }
    }

    /// Lends a buffer that begins with `bytes`, of which there are [`SIZE`] at most. `None` if all
    /// numbers are in use.
    pub(super) fn lend(&mut self, bytes: &[u8]) -> Option<Buffer> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = u16::try_from(self.memory.len()).ok()?;
                self.memory.push(Vec::new());
                id
            }
        };
        let memory = self.memory.get_mut(usize::from(id))?;
        memory.resize(SIZE, 0);
        memory.get_mut(..bytes.len())?.copy_from_slice(bytes);
        self.lent += 1;
        Some(Buffer::new(id, self.number))
    }

    /// Whether a buffer is one of these.
    #[inline]
    pub(super) const fn owns(&self, buffer: &Buffer) -> bool {
        buffer.ring() == self.number
    }

    pub(super) fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.memory.get_mut(usize::from(buffer.id())).map(Vec::as_mut_slice).unwrap_or_default()
    }

    pub(super) fn release(&mut self, buffer: Buffer) {
        self.lent -= 1;
        if let Some(memory) = self.memory.get_mut(usize::from(buffer.id()))
            && self.free.len() >= KEPT
        {
            *memory = Vec::new();
        }
        self.free.push(buffer.id());
    }

    pub(super) const fn lent(&self) -> usize {
        self.lent
    }

    pub(super) const fn are_few(&self) -> bool {
        self.lent >= FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_is_lent_again_and_few_keep_their_memory() {
        let mut buffers = Buffers::new();
        let lent: Vec<Buffer> = (0..40_u8).map(|at| buffers.lend(&[at; 3]).unwrap()).collect();
        assert_eq!((buffers.lent(), buffers.memory.len()), (40, 40));
        for (at, buffer) in (0..40_u8).zip(lent) {
            assert!(buffers.owns(&buffer));
            assert_eq!(buffers.bytes(&buffer)[..3], [at; 3]);
            buffers.release(buffer);
        }
        let held = buffers.memory.iter().filter(|memory| memory.capacity() > 0).count();
        assert_eq!((buffers.lent(), held), (0, KEPT));
        let again = buffers.lend(&[7; SIZE]).unwrap();
        assert_eq!(buffers.bytes(&again), [7; SIZE]);
        assert_eq!(buffers.memory.len(), 40);
        assert!(!Buffers::new().owns(&again));
    }
}
