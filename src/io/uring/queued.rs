//! Queued sends: each is tried when it is submitted, and without room waits until the kernel tells
//! of some. This is what is kept of them; `resend` does it.

use std::collections::{HashMap, VecDeque};

use crate::base::{Chunk, ConnectionId};
use crate::io::{Errno, Event};

/// Who has a queued send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The kernel, which reads the bytes until the completion.
    Tried,
    /// Nobody: the kernel polls the socket.
    Waits,
    /// Nobody: its connection is in `with_room`.
    HasRoom,
}

/// A queued send.
#[derive(Debug)]
pub(super) struct Queued {
    pub(super) chunk: Chunk,
    /// The most bytes of it that are sent at once.
    pub(super) max: usize,
    pub(super) stage: Stage,
    pub(super) is_cancelled: bool,
}

/// The queued sends of a ring.
#[derive(Default)]
pub(super) struct QueuedSends {
    pub(super) sends: HashMap<ConnectionId, Queued>,
    /// The connections of those that got room.
    pub(super) with_room: VecDeque<ConnectionId>,
    /// The bytes of new sends, since sends with room were tried.
    pub(super) new: usize,
}

impl QueuedSends {
    pub(super) fn len(&self) -> usize {
        self.sends.len()
    }

    /// A send has ended.
    pub(super) fn end(&mut self, id: ConnectionId, result: Result<usize, Errno>) -> Option<Event> {
        self.sends.remove(&id).map(|Queued { chunk, .. }| Event::Sent { id, chunk, result })
    }
}
