//! Expanded keys of the connections that were in use last.
//!
//! A key is 16 or 32 bytes. Its expanded form is 544, and takes about 0.1 us to make, which is what
//! a record of a few bytes costs. So connections keep the short form, and a core keeps the expanded
//! forms of some of them: an idle connection has none.

use ring::aead::LessSafeKey;

use super::keys::{Cipher, Half};
use crate::base::blocks::Blocks;

/// So many connections have theirs at a time: those whose slots differ in the lower bits.
const PLACES: u32 = 1024;

/// Names a connection in a [`Keyring`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    place: u32,
    number: u64,
}

struct Place {
    number: u64,
    read: Option<LessSafeKey>,
    write: Option<LessSafeKey>,
}

/// The expanded keys of a core.
#[derive(Default)]
pub(crate) struct Keyring {
    places: Blocks<Option<Box<Place>>>,
    taken: usize,
    /// The number that was given last. None is given twice.
    number: u64,
    /// Handshakes that were completed, and those of them that resumed a session.
    pub(crate) handshakes: u64,
    pub(crate) resumed: u64,
}

impl std::fmt::Debug for Keyring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keyring").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Keyring {
    /// A name for the connection in a slot.
    pub(super) fn enter(&mut self, slot: u32) -> Owner {
        self.number += 1;
        Owner { place: slot % PLACES, number: self.number }
    }

    /// Its memory, in bytes.
    pub(crate) const fn memory(&self) -> usize {
        self.taken * size_of::<Place>()
    }

    /// The key that records of a connection are decrypted with.
    #[inline]
    pub(super) fn read(&mut self, of: Owner, half: &Half, cipher: Cipher) -> Option<&LessSafeKey> {
        let read = &mut self.reach(of).read;
        if read.is_none() {
            *read = half.expanded(cipher);
        }
        read.as_ref()
    }

    /// The key that records of a connection are encrypted with.
    #[inline]
    pub(super) fn write(&mut self, of: Owner, half: &Half, cipher: Cipher) -> Option<&LessSafeKey> {
        let write = &mut self.reach(of).write;
        if write.is_none() {
            *write = half.expanded(cipher);
        }
        write.as_ref()
    }

    /// The keys of a connection have changed, or it has ended.
    pub(super) fn forget(&mut self, of: Owner) {
        if let Some(Some(place)) = self.places.get_mut(of.place)
            && place.number == of.number
        {
            (place.read, place.write) = (None, None);
        }
    }

    #[inline]
    fn reach(&mut self, of: Owner) -> &mut Place {
        let place = self.places.reach(of.place, || None);
        let place = place.get_or_insert_with(|| {
            self.taken += 1;
            Box::new(Place { number: 0, read: None, write: None })
        });
        if place.number != of.number {
            **place = Place { number: of.number, read: None, write: None };
        }
        place
    }
}
