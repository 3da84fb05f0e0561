//! Bytes to be sent by the kernel, owned or shared.

use std::rc::Rc;

use super::shared::Shared;

/// Bytes to be sent, starting at an offset.
#[derive(Debug)]
pub enum Chunk {
    /// Owned by one connection.
    Owned {
        /// The memory.
        bytes: Vec<u8>,
        /// The first byte to send.
        from: usize,
    },
    /// Shared with other connections.
    Shared {
        /// The memory.
        bytes: Rc<Shared>,
        /// The first byte to send.
        from: usize,
    },
}

impl Chunk {
    /// The bytes that are left to send.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        match self {
            Self::Owned { bytes, from } => bytes.get(*from..).unwrap_or_default(),
            Self::Shared { bytes, from } => bytes.get(*from..).unwrap_or_default(),
        }
    }

    /// Skips the first `sent` bytes of the rest.
    pub fn skip(&mut self, sent: usize) {
        let (Self::Owned { from, .. } | Self::Shared { from, .. }) = self;
        *from = from.saturating_add(sent);
    }

    /// The memory that only this chunk holds, in bytes: not that of shared bytes which are charged
    /// by themselves.
    #[must_use]
    pub fn memory(&self) -> usize {
        match self {
            Self::Owned { bytes, .. } => bytes.capacity(),
            Self::Shared { bytes, .. } if bytes.is_charged() => 0,
            Self::Shared { bytes, .. } => bytes.len(),
        }
    }

    /// The vector of an owned chunk, for reuse.
    #[must_use]
    pub fn into_vec(self) -> Option<Vec<u8>> {
        match self {
            Self::Owned { bytes, .. } => Some(bytes),
            Self::Shared { .. } => None,
        }
    }
}
