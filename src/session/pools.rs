//! The configuration and the pools that all sessions of one core use.

use std::sync::Arc;

use super::asked::{Answered, Asked};
use super::counts::Counts;
use crate::base::{BufferPool, Chunk, ConnectionId, Discarded, Ledger, Work};
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
    /// The bytes that wait to be sent.
    pub queued: Ledger,
    /// What the sessions count.
    pub counts: Counts,
    /// Requests that were answered and are to be logged.
    pub answered: Vec<Answered>,
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
        let (queued, counts) = (Ledger::default(), Counts::default());
        let (answered, limits) = (Vec::new(), limits(&config));
        let least_message = least(&limits);
        Self {
            config,
            buffers,
            discarded,
            deflate,
            work,
            ledger,
            queued,
            counts,
            answered,
            limits,
            least_message,
        }
    }

    /// From now on these settings hold, but for the level of compression: compressors of another
    /// one would have to be made anew.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        self.limits = limits(&config);
        self.least_message = least(&self.limits);
        self.config = config;
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

    /// Notes that a request was answered with this status, if that is to be logged.
    pub(super) fn note_answered(&mut self, id: ConnectionId, asked: Option<Asked>, status: u16) {
        if let Some(asked) = asked {
            self.answered.push(Answered { id, asked, status });
        }
    }

    /// The limits of the messages of a client that came by this route.
    pub(super) fn message_limits(&self, route: RouteId) -> MessageLimits {
        const NONE: MessageLimits = MessageLimits { bytes: 0, fragments: 0 };
        self.limits.get(route.index()).copied().unwrap_or(NONE)
    }
}

fn least(limits: &[MessageLimits]) -> usize {
    limits.iter().map(|limits| limits.bytes).min().unwrap_or_default()
}

fn limits(config: &Config) -> Box<[MessageLimits]> {
    let fragments = config.limits.max_fragments;
    let own = config.routes.ids().map(|route| config.max_message_of(route));
    let all = std::iter::once(config.limits.max_message).chain(own);
    all.map(|bytes| MessageLimits { bytes, fragments }).collect()
}
