//! The memory of the chunk that is being sent.

use std::rc::Rc;

use crate::base::{Chunk, Shared};

/// What the chunk in flight holds.
#[derive(Debug, Default)]
pub(super) struct Sending {
    shared: Option<Rc<Shared>>,
    own: usize,
}

impl Sending {
    pub(super) fn of(chunk: &Chunk) -> Self {
        let shared = match chunk {
            Chunk::Shared { bytes, .. } => Some(Rc::clone(bytes)),
            Chunk::Owned { .. } => None,
        };
        Self { shared, own: chunk.memory() }
    }

    /// What no other connection holds.
    pub(super) const fn own(&self) -> usize {
        self.own
    }

    /// Its share in what others hold too. The driver holds the chunk, and this is another reference
    /// to it.
    pub(super) fn share(&self) -> usize {
        self.shared.as_ref().map_or(0, |bytes| 2 * share_of_bytes(bytes))
    }
}

/// The share of each holder.
pub(super) fn share_of_bytes(bytes: &Rc<Shared>) -> usize {
    bytes.memory() / Rc::strong_count(bytes)
}
