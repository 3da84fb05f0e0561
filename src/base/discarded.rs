//! Large vectors that nobody needs any more, freed a few in each turn.

use super::ledger::{Charge, Ledger};

/// Vectors of this size or more wait to be freed.
const LARGE: usize = 1 << 20;
/// The bytes that are freed in one turn; the last vector may exceed them. The kernel takes a
/// millisecond and a half for 16 MiB.
const FREED: usize = 8 << 20;

/// Large vectors that wait to be freed: when many connections with large messages end together, to
/// free all at once would keep the core for tens of milliseconds. They are charged until then.
#[derive(Debug)]
pub struct Discarded {
    vectors: Vec<Vec<u8>>,
    charge: Charge,
}

impl Discarded {
    /// None.
    #[must_use]
    pub fn new(ledger: &Ledger) -> Self {
        Self { vectors: Vec::new(), charge: ledger.open() }
    }

    /// Whether a vector of this capacity waits.
    #[inline]
    #[must_use]
    pub const fn takes(capacity: usize) -> bool {
        capacity >= LARGE
    }

    /// Has `vector` be freed in this turn or a later one.
    pub fn push(&mut self, vector: Vec<u8>) {
        self.charge.set(self.charge.bytes() + vector.capacity());
        self.vectors.push(vector);
    }

    /// Whether none waits.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.vectors.is_empty()
    }

    /// The bytes that wait to be freed.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.charge.bytes()
    }

    /// Frees what one turn may free. Returns the bytes.
    pub fn free_some(&mut self) -> usize {
        let mut freed = 0;
        while freed < FREED
            && let Some(vector) = self.vectors.pop()
        {
            freed += vector.capacity();
        }
        self.charge.set(self.charge.bytes() - freed);
        freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_few_are_freed_in_each_turn_and_charged_until_then() {
        let ledger = Ledger::default();
        let mut discarded = Discarded::new(&ledger);
        (0..5).for_each(|_| discarded.push(Vec::with_capacity(5 << 20)));
        discarded.push(Vec::with_capacity(20 << 20));
        assert_eq!((ledger.used(), discarded.bytes()), (45 << 20, 45 << 20));
        let mut freed = Vec::new();
        while !discarded.is_empty() {
            freed.push(discarded.free_some() >> 20);
            assert_eq!(ledger.used(), discarded.bytes());
        }
        assert_eq!((freed, ledger.used(), discarded.free_some()), (vec![20, 10, 10, 5], 0, 0));
    }
}
