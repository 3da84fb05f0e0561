//! Bytes that several connections of a core share.

use std::ops::{Deref, Range};

use bytes::Bytes;

use super::ledger::{Charge, Ledger};

/// Bytes that any number of connections of one core share behind an `Rc`. They are charged once,
/// however many connections hold them, and credited with the last.
#[derive(Debug)]
pub struct Shared {
    bytes: Bytes,
    charge: Option<Charge>,
}

impl Shared {
    /// What is charged besides the bytes: the memory of the references to them.
    const OVERHEAD: usize = 192;

    /// Bytes that take `memory` bytes, charged at `ledger`.
    #[must_use]
    pub fn charged(bytes: Bytes, memory: usize, ledger: &Ledger) -> Self {
        let mut charge = ledger.open();
        charge.set(memory + Self::OVERHEAD);
        Self { bytes, charge: Some(charge) }
    }

    /// The same, with `more` bytes that are held for as long as these.
    #[must_use]
    pub fn with(mut self, more: usize) -> Self {
        if let Some(charge) = &mut self.charge {
            charge.set(charge.bytes() + more);
        }
        self
    }

    /// Whether they are charged. Otherwise each connection that holds them has to be.
    #[must_use]
    pub const fn is_charged(&self) -> bool {
        self.charge.is_some()
    }

    /// The bytes that are charged.
    #[must_use]
    pub fn memory(&self) -> usize {
        self.charge.as_ref().map_or(0, Charge::bytes)
    }

    /// A copy of a part, charged at the same ledger.
    #[must_use]
    pub fn copy(&self, range: Range<usize>) -> Self {
        let part = Bytes::copy_from_slice(self.bytes.get(range).unwrap_or_default());
        match &self.charge {
            Some(charge) => Self::charged(part.clone(), part.len(), &charge.ledger()),
            None => part.into(),
        }
    }
}

impl From<Bytes> for Shared {
    /// Bytes that are not charged.
    fn from(bytes: Bytes) -> Self {
        Self { bytes, charge: None }
    }
}

impl Deref for Shared {
    type Target = Bytes;

    #[inline]
    fn deref(&self) -> &Bytes {
        &self.bytes
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn they_are_charged_once_and_credited_with_the_last_holder() {
        let ledger = Ledger::default();
        let bytes = Bytes::from_static(b"abcdef");
        let one = Rc::new(Shared::charged(bytes.clone(), 1_000, &ledger));
        let other = Rc::clone(&one);
        assert_eq!((ledger.used(), one.memory()), (1_000 + Shared::OVERHEAD, ledger.used()));
        let part = one.copy(1..3);
        assert_eq!((&part[..], part.memory()), (&b"bc"[..], 2 + Shared::OVERHEAD));
        drop(one);
        drop(part);
        assert_eq!(ledger.used(), 1_000 + Shared::OVERHEAD);
        drop(other);
        assert_eq!(ledger.used(), 0);
        let free = Shared::from(bytes);
        assert!(!free.is_charged() && !free.copy(0..2).is_charged());
        assert_eq!(free.memory(), 0);
    }
}
