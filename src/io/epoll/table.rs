//! The sockets of a loop, by slot.

use std::os::fd::OwnedFd;

use bitflags::bitflags;

use crate::base::ConnectionId;
use crate::base::blocks::Blocks;

bitflags! {
    /// What is known of a socket and what is asked of it.
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
    pub(super) struct Flags: u8 {
        /// The worker has armed a receive.
        const RECEIVING = 1;
        /// The kernel has said that there is something to receive, and no receive has found the
        /// end of it yet.
        const READABLE = 1 << 1;
        /// A receive that fills its buffer in part has not reached the end: FIN, an error or urgent
        /// data stands behind it. Only one that finds nothing has.
        const TO_THE_END = 1 << 2;
        /// In the list of those to receive from. The slot keeps it when its connection is closed.
        const IN_READABLE = 1 << 3;
        /// A queued send waits for room.
        const SENDING = 1 << 4;
        /// In the list of those with a queued send and room. The slot keeps it as above.
        const IN_WRITABLE = 1 << 5;
        /// The receive ends with the first bytes it brings.
        const ONCE = 1 << 6;
    }
}

/// One slot.
#[derive(Debug, Default)]
pub(super) struct Slot {
    /// `None` if it is free, or rests.
    pub(super) socket: Option<OwnedFd>,
    /// The generation of its connection, as the worker named it last.
    pub(super) generation: u32,
    pub(super) flags: Flags,
}

/// All slots.
#[derive(Debug)]
pub(super) struct Table {
    slots: Blocks<Slot>,
    /// Slots that were used before; the one that was freed last is given first.
    free: Vec<u32>,
    /// From here on no slot was ever used.
    unused: u32,
    limit: u32,
}

impl Table {
    pub(super) fn new(limit: u32) -> Self {
        Self { slots: Blocks::default(), free: Vec::new(), unused: 0, limit }
    }

    /// How many slots there may be.
    pub(super) const fn limit(&self) -> u32 {
        self.limit
    }

    /// Whether a slot is free.
    pub(super) const fn has_free(&self) -> bool {
        !self.free.is_empty() || self.unused < self.limit
    }

    /// A free slot, which is taken by what is put there.
    pub(super) fn take_free(&mut self) -> Option<u32> {
        if let Some(index) = self.free.pop() {
            return Some(index);
        }
        if self.unused >= self.limit {
            return None;
        }
        self.unused += 1;
        self.slots.reach(self.unused - 1, Slot::default);
        Some(self.unused - 1)
    }

    /// A slot may be given again.
    pub(super) fn give_back(&mut self, index: u32) {
        self.free.push(index);
    }

    #[inline]
    pub(super) fn get_mut(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index)
    }

    /// The socket of a connection.
    #[inline]
    pub(super) fn socket(&self, id: ConnectionId) -> Option<&OwnedFd> {
        self.slots.get(id.slot)?.socket.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slot_that_was_freed_last_is_given_first() {
        let mut table = Table::new(3);
        let given: Vec<_> = (0..4).map(|_| table.take_free()).collect();
        assert_eq!(given, [Some(0), Some(1), Some(2), None]);
        assert!(!table.has_free());
        table.give_back(0);
        table.give_back(2);
        assert!(table.has_free());
        assert_eq!(
            [table.take_free(), table.take_free(), table.take_free()],
            [Some(2), Some(0), None]
        );
    }

    #[test]
    fn a_slot_is_small() {
        assert!(size_of::<Slot>() <= 12, "{}", size_of::<Slot>());
    }
}
