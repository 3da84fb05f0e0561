//! What goes into a queue and comes out of it.

use std::rc::Rc;

use bytes::Bytes;

/// Bytes to be sent, from a place on.
#[derive(Debug)]
pub enum Piece {
    /// The connection's own.
    Owned {
        /// The memory.
        bytes: Vec<u8>,
        /// The first byte to send.
        from: usize,
    },
    /// Shared with other connections.
    Shared {
        /// The memory.
        bytes: Rc<Bytes>,
        /// The first byte to send.
        from: usize,
    },
}

impl Piece {
    /// The bytes that are left to send.
    #[must_use]
    pub fn rest(&self) -> &[u8] {
        match self {
            Self::Owned { bytes, from } => bytes.get(*from..).unwrap_or_default(),
            Self::Shared { bytes, from } => bytes.get(*from..).unwrap_or_default(),
        }
    }

    pub(super) fn skip(&mut self, sent: usize) {
        let (Self::Owned { from, .. } | Self::Shared { from, .. }) = self;
        *from = from.saturating_add(sent);
    }

    /// The vector, if it is the connection's own.
    #[must_use]
    pub fn into_vec(self) -> Option<Vec<u8>> {
        match self {
            Self::Owned { bytes, .. } => Some(bytes),
            Self::Shared { .. } => None,
        }
    }
}

/// What became of frames offered to a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Offer {
    /// They wait; so many earlier messages were dropped for it.
    Queued(u64),
    /// These messages were dropped.
    Dropped(u64),
    /// The connection has to be closed.
    TooSlow,
}
