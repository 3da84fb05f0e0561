//! The id of a connection.

/// Names one connection of a core for as long as it lives: its slot, and how many connections have
/// had that slot before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ConnectionId {
    /// The index of the connection in every table of its core. On io_uring it is the direct
    /// descriptor that the kernel chose on accept. Reused after the end of the connection.
    pub slot: u32,
    /// Which use of the slot this is, counted up with each use, modulo
    /// [`GENERATION_MASK`](Self::GENERATION_MASK) + 1.
    pub generation: u32,
}

impl ConnectionId {
    /// The bits of a generation that a driver's event carries.
    pub const GENERATION_MASK: u32 = (1 << 20) - 1;
    /// The highest number of slots that a core can have.
    pub const MAX_SLOTS: u32 = 1 << 20;

    /// The id as it comes back from the kernel: slot and generation cut to the bits that an event
    /// carries.
    #[must_use]
    pub const fn masked(self) -> Self {
        const SLOT_MASK: u32 = (1 << 24) - 1;
        Self { slot: self.slot & SLOT_MASK, generation: self.generation & Self::GENERATION_MASK }
    }
}
