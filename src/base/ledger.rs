//! The memory that peers make a core hold.

use std::cell::Cell;
use std::rc::Rc;

/// The bytes that peers make one core hold, by all that holds them. Every holder has a [`Charge`]
/// of its own, which is credited when it is dropped, so nothing stays counted that is freed.
#[derive(Clone, Debug, Default)]
pub struct Ledger(Rc<Cell<usize>>);

impl Ledger {
    /// The bytes charged at this moment.
    #[must_use]
    pub fn used(&self) -> usize {
        self.0.get()
    }

    /// A charge of nothing, for a new holder.
    #[must_use]
    pub fn open(&self) -> Charge {
        Charge { ledger: Rc::clone(&self.0), bytes: 0 }
    }
}

/// The memory that an allocation of so many bytes takes: allocators have four sizes of blocks for
/// each power of two, and whole pages for what is longer than some.
#[must_use]
pub const fn block(bytes: usize) -> usize {
    /// Blocks are aligned to so many bytes.
    const LEAST: usize = 16;
    const PAGE: usize = 4096;
    if bytes == 0 {
        return 0;
    }
    let quarter = ((bytes - 1) | 1).ilog2().saturating_sub(2);
    let step = match 1 << quarter {
        ..LEAST => LEAST,
        step @ LEAST..PAGE => step,
        PAGE.. => PAGE,
    };
    bytes.next_multiple_of(step)
}

/// What one holder is charged.
#[derive(Debug)]
pub struct Charge {
    ledger: Rc<Cell<usize>>,
    bytes: usize,
}

impl Charge {
    /// The bytes that are charged.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The ledger that counts them.
    #[must_use]
    pub fn ledger(&self) -> Ledger {
        Ledger(Rc::clone(&self.ledger))
    }

    /// The holder holds `bytes` from now on.
    pub fn set(&mut self, bytes: usize) {
        self.ledger.set(self.ledger.get() - self.bytes + bytes);
        self.bytes = bytes;
    }
}

impl Drop for Charge {
    fn drop(&mut self) {
        self.set(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_are_at_most_a_quarter_longer_than_what_is_asked_for() {
        let sizes = [0, 1, 16, 17, 64, 65, 128, 129, 160, 161, 1025, 29_200, 16_385, 100_001];
        let blocks = [0, 16, 16, 32, 64, 80, 128, 160, 160, 192, 1280, 32_768, 20_480, 102_400];
        assert_eq!(sizes.map(block), blocks);
        assert!((128..20_000).all(|bytes| (bytes..=bytes + bytes / 4).contains(&block(bytes))));
    }

    #[test]
    fn what_is_dropped_is_credited() {
        let ledger = Ledger::default();
        let (mut one, mut other) = (ledger.open(), ledger.open());
        one.set(10);
        other.set(5);
        one.set(7);
        assert_eq!((ledger.used(), one.bytes(), other.bytes()), (12, 7, 5));
        drop(one);
        assert_eq!(ledger.clone().used(), 5);
        other.set(0);
        drop(other);
        assert_eq!(ledger.used(), 0);
    }
}
