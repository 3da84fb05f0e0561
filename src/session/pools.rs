//! The configuration and the pools that all sessions of one core use.

use std::sync::Arc;

use crate::base::{BufferPool, Chunk, Discarded, Ledger, Work};
use crate::config::{Config, RouteId};
use crate::protocol::websocket::assembler::MessageLimits;
use crate::protocol::websocket::deflate::Pool as DeflatePool;

/// The configuration and the reusable memory of one core. Passed to every call that may need it,
/// so that an idle session owns none of it.
#[derive(Debug)]
pub struct Pools {
    /// The configuration of the server.
    pub config: Arc<Config>,
    /// Vectors for messages and replies.
    pub buffers: BufferPool,
    /// Large vectors that wait to be freed.
    pub discarded: Discarded,
    /// Compressors that no session owns.
    pub deflate: DeflatePool,
    /// The work of this turn.
    pub work: Work,
    /// The memory that peers make the core hold.
    pub ledger: Ledger,
    /// The limits of messages: those without a route, then those of each route.
    limits: Box<[MessageLimits]>,
    /// The least number of bytes in them: what is not longer need not be looked up there.
    pub(super) least_message: usize,
}

impl Pools {
    /// Empty pools.
    #[must_use]
    pub fn new(config: Arc<Config>) -> Self {
        let deflate = DeflatePool::new(u32::from(config.deflate_level.value()));
        let mut work = Work::default();
        // For sessions without a loop that sets limits.
        work.allow(u64::MAX);
        let ledger = Ledger::default();
        let (buffers, discarded) = (BufferPool::default(), Discarded::new(&ledger));
        let limits = limits(&config);
        let least_message = limits.iter().map(|limits| limits.bytes).min().unwrap_or_default();
        Self { config, buffers, discarded, deflate, work, ledger, limits, least_message }
    }

    /// Takes a vector that nobody needs any more. The pool keeps it if it has room. Otherwise it is
    /// freed, a large one in this turn or a later one.
    pub fn give(&mut self, vector: Vec<u8>) {
        if Discarded::takes(vector.capacity()) && !self.buffers.has_room_for(&vector) {
            self.discarded.push(vector);
        } else {
            self.buffers.give(vector);
        }
    }

    /// The same for a chunk.
    pub fn give_chunk(&mut self, chunk: Chunk) {
        if let Some(vector) = chunk.into_vec() {
            self.give(vector);
        }
    }

    /// The limits of the messages of a client that came by this route.
    pub(super) fn message_limits(&self, route: RouteId) -> MessageLimits {
        const NONE: MessageLimits = MessageLimits { bytes: 0, fragments: 0 };
        self.limits.get(route.index()).copied().unwrap_or(NONE)
    }
}

fn limits(config: &Config) -> Box<[MessageLimits]> {
    let fragments = config.limits.max_fragments;
    let own = config.routes.ids().map(|route| config.max_message_of(route));
    let all = std::iter::once(config.limits.max_message).chain(own);
    all.map(|bytes| MessageLimits { bytes, fragments }).collect()
}
