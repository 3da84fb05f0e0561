//! Receive buffers beside those of the driver, for plain bytes that do not fit into the buffer they
//! came in, or that came in none.

use crate::io::{Buffer, next_ring_number};

/// From so many lent ones on, there are few.
const FEW: usize = 192;

/// Vectors that are lent as buffers.
#[derive(Debug)]
pub(super) struct Buffers {
    memory: Vec<Vec<u8>>,
    free: Vec<u16>,
    lent: usize,
    /// The memory of those that are lent, in bytes.
    held: usize,
    number: u32,
}

impl Buffers {
    pub(super) fn new() -> Self {
        let number = next_ring_number();
        Self { memory: Vec::new(), free: Vec::new(), lent: 0, held: 0, number }
    }

    /// Lends a vector. Returns it if all numbers are in use.
    pub(super) fn lend(&mut self, bytes: Vec<u8>) -> Result<Buffer, Vec<u8>> {
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let Ok(id) = u16::try_from(self.memory.len()) else { return Err(bytes) };
                self.memory.push(Vec::new());
                id
            }
        };
        let Some(memory) = self.memory.get_mut(usize::from(id)) else { return Err(bytes) };
        self.held += bytes.capacity();
        self.lent += 1;
        *memory = bytes;
        Ok(Buffer::new(id, self.number))
    }

    /// Whether a buffer is one of these.
    #[inline]
    pub(super) const fn owns(&self, buffer: &Buffer) -> bool {
        buffer.ring() == self.number
    }

    pub(super) fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.memory.get_mut(usize::from(buffer.id())).map(Vec::as_mut_slice).unwrap_or_default()
    }

    /// Takes a buffer back. Returns its vector.
    pub(super) fn release(&mut self, buffer: Buffer) -> Vec<u8> {
        let memory = self.memory.get_mut(usize::from(buffer.id()));
        let memory = memory.map(std::mem::take).unwrap_or_default();
        self.lent -= 1;
        self.held -= memory.capacity();
        self.free.push(buffer.id());
        memory
    }

    pub(super) const fn lent(&self) -> usize {
        self.lent
    }

    pub(super) const fn held(&self) -> usize {
        self.held
    }

    pub(super) const fn are_few(&self) -> bool {
        self.lent >= FEW
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_released_is_lent_again_without_its_memory() {
        let mut buffers = Buffers::new();
        let lent: Vec<Buffer> = (0..40_u8).map(|at| buffers.lend(vec![at; 3]).unwrap()).collect();
        assert_eq!((buffers.lent(), buffers.held(), buffers.memory.len()), (40, 120, 40));
        for (at, buffer) in (0..40_u8).zip(lent) {
            assert!(buffers.owns(&buffer));
            assert_eq!(buffers.bytes(&buffer), [at; 3]);
            assert_eq!(buffers.release(buffer), [at; 3]);
        }
        assert_eq!((buffers.lent(), buffers.held()), (0, 0));
        let again = buffers.lend(vec![7; 9]).unwrap();
        assert_eq!(buffers.bytes(&again), [7; 9]);
        assert_eq!(buffers.memory.len(), 40);
        assert!(!Buffers::new().owns(&again));
    }
}
