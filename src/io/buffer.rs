//! Buffers that a ring lends, and the bytes that came in one.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::base::ConnectionId;

/// A receive buffer lent by a ring. Whoever holds it gives it back with `Driver::release` or
/// sends from it; only the ring that lent it takes it.
#[derive(PartialEq, Eq)]
pub struct Buffer {
    pub(super) id: u16,
    /// The number of the ring that lent it.
    pub(super) ring: u32,
}

impl Buffer {
    /// Buffer `id` of the ring, or of what stands around a ring, that has this number.
    #[cfg(feature = "tls")]
    pub(crate) const fn new(id: u16, ring: u32) -> Self {
        Self { id, ring }
    }

    /// Its number within the ring that lent it.
    #[cfg(feature = "tls")]
    pub(crate) const fn id(&self) -> u16 {
        self.id
    }

    /// The number of the ring that lent it.
    #[cfg(feature = "tls")]
    pub(crate) const fn ring(&self) -> u32 {
        self.ring
    }
}

impl fmt::Debug for Buffer {
    /// Without the ring's number, so that two runs of a simulation read alike.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Buffer").field(&self.id).finish()
    }
}

/// A number for a new ring, so that its buffers can be told from those of others.
pub(crate) fn next_ring_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The event that `len` bytes came on a receive that stays armed. It is small enough to stay in
/// registers, other than an `Event`.
#[derive(Debug)]
pub struct Data {
    /// The connection that they came on.
    pub id: ConnectionId,
    /// Where they are; to be given back.
    pub buffer: Buffer,
    /// How many.
    pub len: usize,
}
