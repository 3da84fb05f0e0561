//! The id of a connection.

/// Identifies one connection of a core during its life: its slot, and a counter of the connections
/// that have used that slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId {
    /// The index of the connection in every table of its core. On io_uring it is the direct
    /// descriptor that the kernel chose on accept. Reused after the end of the connection.
    pub slot: u32,
    /// The number of this use of the slot. It increases by one with each use, modulo
    /// [`GENERATION_MASK`](Self::GENERATION_MASK) + 1. When the numbers of a slot are used up, the
    /// slot rests, so that no id is given again soon: until one slot in 64 rests, or no other slot
    /// is free. Until then 16 million connections have used each slot that rests.
    pub generation: u32,
}

impl ConnectionId {
    /// The bits of a generation that a driver's event carries.
    pub const GENERATION_MASK: u32 = (1 << 24) - 1;
    /// The highest number of slots that a core can have.
    pub const MAX_SLOTS: u32 = 1 << 20;

    /// The name of a connection of the loop with this number, for logs and lists of all loops.
    #[must_use]
    pub fn of_loop(self, number: usize) -> String {
        format!("{number}-{}-{}", self.slot, self.generation)
    }

    /// The id as an event carries it: slot and generation cut to the bits that fit.
    #[must_use]
    pub const fn masked(self) -> Self {
        const SLOT_MASK: u32 = ConnectionId::MAX_SLOTS - 1;
        Self { slot: self.slot & SLOT_MASK, generation: self.generation & Self::GENERATION_MASK }
    }
}
