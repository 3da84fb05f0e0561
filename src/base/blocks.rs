//! A table by slot number that grows without moving its entries. Memory is allocated in blocks, so
//! growing never copies the table into a larger allocation.

use std::ops::{Index, IndexMut};

/// Entries of a block.
const LEN: usize = 1024;
const BITS: u32 = 10;

/// Entries from 0 up to the highest that [`reach`](Self::reach) was called for, rounded up to a
/// block.
#[derive(Debug)]
pub(crate) struct Blocks<T> {
    /// Arrays, so that an index within one needs no check.
    blocks: Vec<Box<[T; LEN]>>,
}

impl<T> Default for Blocks<T> {
    fn default() -> Self {
        Self { blocks: Vec::new() }
    }
}

impl<T> Blocks<T> {
    /// The number of entries.
    pub(crate) const fn len(&self) -> usize {
        self.blocks.len() * LEN
    }

    #[inline]
    pub(crate) fn get(&self, index: u32) -> Option<&T> {
        let block = self.blocks.get((index >> BITS) as usize)?;
        Some(&block[index as usize % LEN])
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, index: u32) -> Option<&mut T> {
        let block = self.blocks.get_mut((index >> BITS) as usize)?;
        Some(&mut block[index as usize % LEN])
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.blocks.iter().flat_map(|block| block.iter())
    }

    /// The entry at `index`. Entries up to it that do not exist yet are created with `fill`.
    pub(crate) fn reach(&mut self, index: u32, fill: fn() -> T) -> &mut T {
        let block = (index >> BITS) as usize;
        while self.blocks.len() <= block {
            // Not made as an array, which would be on the stack first.
            let entries: Box<[T]> = (0..LEN).map(|_| fill()).collect();
            let block = entries.try_into();
            self.blocks.push(block.unwrap_or_else(|_| unreachable!("it has as many entries")));
        }
        &mut self.blocks[block][index as usize % LEN]
    }
}

impl<T> Index<u32> for Blocks<T> {
    type Output = T;

    #[inline]
    fn index(&self, index: u32) -> &T {
        &self.blocks[(index >> BITS) as usize][index as usize % LEN]
    }
}

impl<T> IndexMut<u32> for Blocks<T> {
    #[inline]
    fn index_mut(&mut self, index: u32) -> &mut T {
        &mut self.blocks[(index >> BITS) as usize][index as usize % LEN]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_created_up_to_the_index_and_never_move() {
        let mut blocks = Blocks::default();
        assert_eq!((blocks.len(), blocks.get(0)), (0, None));
        *blocks.reach(3, || 7_u64) = 3;
        let at = &raw const blocks[3];
        *blocks.reach(5000, || 7) = 5;
        assert_eq!(blocks.len(), 5 * LEN);
        assert_eq!((blocks[3], blocks[4], blocks[4999], blocks[5000]), (3, 7, 7, 5));
        assert!(std::ptr::eq(at, &raw const blocks[3]));
        blocks[4] = 4;
        assert_eq!(blocks.get(4), Some(&4));
        assert_eq!(blocks.get_mut(5120), None);
        assert_eq!(blocks.iter().filter(|entry| **entry == 7).count(), 5 * LEN - 3);
    }
}
