//! The receive buffers of a simulated ring.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;

use crate::io::{Buffer, next_ring_number};

/// What a buffer is filled with while it is not lent, and beyond the bytes received: so that bytes
/// sent from where nothing was received are seen in the test.
pub(super) const POISON: u8 = 0xDB;

/// A fixed number of buffers of one size, lent out oldest first, as the kernel does.
#[derive(Debug)]
pub(super) struct Pool {
    memory: Vec<u8>,
    buffer_size: usize,
    free: VecDeque<u16>,
    ring: u32,
    lent: Rc<Cell<u32>>,
}

impl Pool {
    pub(super) fn new(buffers: u16, buffer_size: usize) -> Self {
        assert!(buffers > 0 && buffer_size > 0, "a ring needs receive buffers");
        Self {
            memory: vec![POISON; usize::from(buffers) * buffer_size],
            buffer_size,
            free: (0..buffers).collect(),
            ring: next_ring_number(),
            lent: Rc::new(Cell::new(0)),
        }
    }

    /// The number of buffers lent out, kept up to date.
    pub(super) fn lent_counter(&self) -> Rc<Cell<u32>> {
        Rc::clone(&self.lent)
    }

    /// How many buffers there are.
    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.memory.len() / self.buffer_size).unwrap_or(u32::MAX)
    }

    pub(super) const fn buffer_size(&self) -> usize {
        self.buffer_size
    }

    pub(super) fn is_empty(&self) -> bool {
        self.free.is_empty()
    }

    pub(super) fn lend(&mut self) -> Option<Buffer> {
        let id = self.free.pop_front()?;
        self.lent.set(self.lent.get() + 1);
        Some(Buffer { id, ring: self.ring })
    }

    pub(super) fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        assert_eq!(buffer.ring, self.ring, "a buffer goes back to the ring that lent it");
        let start = usize::from(buffer.id) * self.buffer_size;
        &mut self.memory[start..start + self.buffer_size]
    }

    pub(super) fn release(&mut self, buffer: Buffer) {
        self.bytes(&buffer).fill(POISON);
        self.lent.set(self.lent.get() - 1);
        self.free.push_back(buffer.id);
    }
}
