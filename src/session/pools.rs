//! The configuration and the pools that all sessions of one core use.

use std::sync::Arc;

use super::controls::Controls;
use super::counts::{Counts, RouteCounts};
use super::request_line::{Answered, RequestLine};
use super::said::Said;
use crate::base::{BufferPool, Chunk, ConnectionId, Discarded, Ledger, Work};
use crate::config::{Config, RouteId};
use crate::protocol::websocket::Violation;
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
    /// What they count of the routes by which they came.
    pub by_route: RouteCounts,
    /// Requests that were answered and are to be logged.
    pub answered: Vec<Answered>,
    /// What those are told that are refused, for the log.
    pub said: Said,
    /// The limits of messages: those without a route, then those of each route.
    limits: Box<[MessageLimits]>,
    /// A message of so many bytes or more has to be looked at: a limit may be less, or, if it is 0,
    /// messages are handled one at a time.
    pub(super) looked_at_from: usize,
    /// One more than the least number of bytes in `limits`.
    above_least: usize,
    /// A message is refused, because its client has sent too many.
    pub(super) refuses_messages: bool,
    /// The limits of pings and pongs, if there are any.
    pub(super) controls: Option<Box<Controls>>,
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
        let above_least = above_least(&limits);
        let controls = Controls::of(&config);
        Self {
            config,
            buffers,
            discarded,
            deflate,
            work,
            ledger,
            queued,
            counts,
            by_route: RouteCounts::default(),
            answered,
            said: Said::default(),
            limits,
            looked_at_from: above_least,
            above_least,
            refuses_messages: false,
            controls,
        }
    }

    /// From now on these settings hold, but for the level of compression: compressors of another
    /// one would have to be made anew.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        self.limits = limits(&config);
        self.above_least = above_least(&self.limits);
        self.looked_at_from = self.above_least;
        self.controls = match self.controls.take() {
            Some(controls) => Some(Box::new(controls.with_limits(&config))),
            None => Controls::of(&config),
        };
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
    pub(super) fn note_answered(
        &mut self,
        id: ConnectionId,
        line: Option<RequestLine>,
        status: u16,
    ) {
        if let Some(line) = line {
            self.answered.push(Answered { id, line, status });
        }
    }

    /// From now on a session handles one frame of what it is given, and refuses it if it is a
    /// message and they are `refused`. Returns what work was allowed before.
    pub fn begin_frame(&mut self, refused: bool) -> u64 {
        (self.looked_at_from, self.refuses_messages) = (0, refused);
        self.work.stop()
    }

    /// Sessions handle all that they are given again, and `allowed` of work.
    pub const fn end_frame(&mut self, allowed: u64) {
        (self.looked_at_from, self.refuses_messages) = (self.above_least, false);
        self.work.restore(allowed);
    }

    /// Whether messages of so many bytes, or some shorter ones, have to be looked at one by one.
    #[inline]
    pub(super) fn looks_at(&self, bytes: usize, route: RouteId) -> bool {
        let is_single = || self.looked_at_from == 0;
        self.looked_at_from <= bytes && (is_single() || self.message_limits(route).bytes < bytes)
    }

    /// Looks at a message of so many bytes that came by this route.
    #[cold]
    pub(super) fn look_at(&self, bytes: usize, route: RouteId) -> Result<(), Violation> {
        match () {
            () if bytes > self.message_limits(route).bytes => Err(Violation::MessageTooBig),
            () if self.refuses_messages => Err(Violation::MessageRate),
            () => Ok(()),
        }
    }

    /// The limits of the messages of a client that came by this route.
    pub(super) fn message_limits(&self, route: RouteId) -> MessageLimits {
        const NONE: MessageLimits = MessageLimits { bytes: 0, fragments: 0 };
        self.limits.get(route.index()).copied().unwrap_or(NONE)
    }
}

/// One more than the least number of bytes in `limits`.
fn above_least(limits: &[MessageLimits]) -> usize {
    let least = limits.iter().map(|limits| limits.bytes).min().unwrap_or_default();
    least.saturating_add(1)
}

fn limits(config: &Config) -> Box<[MessageLimits]> {
    let fragments = config.limits.max_fragments;
    let own = config.routes.ids().map(|route| config.max_message_of(route));
    let all = std::iter::once(config.limits.max_message).chain(own);
    all.map(|bytes| MessageLimits { bytes, fragments }).collect()
}
