//! What all connections of one core have in common.

use std::sync::Arc;

use crate::config::Config;
use crate::protocol::assembler::MessageLimits;
use crate::protocol::deflate::Pool as DeflatePool;

/// Vectors kept for reuse on each core, and the largest that is worth keeping.
const KEPT: usize = 64;
const KEPT_CAPACITY: usize = 64 << 10;
/// A few large ones are kept as well, so that a stream of large messages does not fault its memory
/// in anew for each of them.
const KEPT_LARGE: usize = 4;
const KEPT_LARGE_CAPACITY: usize = 2 << 20;

/// The configuration, the handler and the pools of one core. Handed to every call that may need
/// them, so that an idle connection owns none of it.
#[derive(Debug)]
pub struct Shared<H> {
    /// What the server was configured with.
    pub config: Arc<Config>,
    /// What answers messages.
    pub handler: H,
    /// Memory for messages and replies.
    pub buffers: BufferPool,
    /// Compressors that no connection owns.
    pub deflate: DeflatePool,
}

impl<H> Shared<H> {
    /// Empty pools, `config` and `handler`.
    pub fn new(config: Arc<Config>, handler: H) -> Self {
        let deflate = DeflatePool::new(u32::from(config.deflate_level.value()));
        Self { config, handler, buffers: BufferPool::default(), deflate }
    }

    pub(crate) fn message_limits(&self) -> MessageLimits {
        let limits = &self.config.limits;
        MessageLimits { bytes: limits.max_message, fragments: limits.max_fragments }
    }
}

/// Vectors for reuse.
#[derive(Debug, Default)]
pub struct BufferPool {
    small: Vec<Vec<u8>>,
    large: Vec<Vec<u8>>,
}

impl BufferPool {
    /// An empty vector, with capacity if one was kept.
    #[must_use]
    pub fn take(&mut self) -> Vec<u8> {
        self.small.pop().unwrap_or_default()
    }

    /// An empty vector for a message of which more than a receive buffer is expected.
    #[must_use]
    pub fn take_large(&mut self) -> Vec<u8> {
        self.large.pop().unwrap_or_else(|| self.take())
    }

    /// Takes a vector back; keeps it if there is room for one of its size.
    pub fn give(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        let capacity = buffer.capacity();
        let (shelf, most) = if capacity <= KEPT_CAPACITY {
            (&mut self.small, KEPT)
        } else {
            (&mut self.large, KEPT_LARGE)
        };
        if (1..=KEPT_LARGE_CAPACITY).contains(&capacity) && shelf.len() < most {
            shelf.push(buffer);
        }
    }
}
