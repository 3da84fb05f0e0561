//! Tries queued sends, and again once their sockets have got room.
//!
//! The kernel could wait and send by itself. But then the call in which many peers begin to read
//! copies what all of them are sent, however many there are. So the kernel only polls, and the
//! sends that got room are submitted again for so many bytes between two calls of `enter`.

use std::time::Duration;

use io_uring::opcode;
use io_uring::types::Fixed;

use super::UringRing;
use super::queued::{Queued, Stage};
use super::submit::QUEUED;
use super::tag::{Kind, Tag};
use crate::base::{Chunk, ConnectionId};
use crate::io::{Errno, Event, RESENT};

/// What a send counts for at least of [`RESENT`]: to make one of few bytes takes about as long as
/// to copy these.
const LEAST: usize = 8 << 10;
/// What is tried of those that have got room, however much is new in the turn.
const RESENT_ALWAYS: usize = RESENT / 4;

impl UringRing {
    pub(super) fn begin_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        let id = id.masked();
        // The kernel reads the earlier bytes still, so they must not make room for these.
        let free = !self.queued.sends.contains_key(&id);
        assert!(free, "one queued send for a connection at a time");
        let queued = Queued { chunk, max, stage: Stage::HasRoom, is_cancelled: false };
        self.queued.sends.insert(id, queued);
        let bytes = self.try_queued(id);
        self.queued.new = self.queued.new.saturating_add(bytes.max(LEAST));
    }

    /// Submits a queued send that the kernel does not have. Returns how many bytes it asks for.
    fn try_queued(&mut self, id: ConnectionId) -> usize {
        let Some(queued) = self.queued.sends.get_mut(&id) else { return 0 };
        queued.stage = Stage::Tried;
        // The bytes stay where they are when their owner moves, and it is kept until the
        // completion.
        let bytes = queued.chunk.rest();
        let len = u32::try_from(bytes.len().min(queued.max)).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fixed(id.slot), bytes.as_ptr(), len)
            .flags(QUEUED)
            .build()
            .user_data(Tag::new(Kind::SendQueued, id, 0).0);
        self.push(entry);
        len as usize
    }

    /// A queued send was tried.
    #[cold]
    pub(super) fn queued_tried(
        &mut self,
        id: ConnectionId,
        result: Result<u32, Errno>,
    ) -> Option<Event> {
        const WRITABLE: u32 = 4;
        let queued = self.queued.sends.get_mut(&id)?;
        if !matches!(result, Err(Errno::AGAIN | Errno::INTR)) {
            return self.queued.end(id, result.map(|sent| sent as usize));
        }
        if queued.is_cancelled {
            return self.queued.end(id, Err(Errno::CANCELED));
        }
        queued.stage = Stage::Waits;
        let entry = opcode::PollAdd::new(Fixed(id.slot), WRITABLE)
            .build()
            .user_data(Tag::new(Kind::Writable, id, 0).0);
        self.push(entry);
        None
    }

    /// The poll for a queued send has ended: there is room, or an error that the send will meet.
    #[cold]
    pub(super) fn queued_has_room(&mut self, id: ConnectionId) -> Option<Event> {
        let queued = self.queued.sends.get_mut(&id)?;
        if queued.is_cancelled {
            return self.queued.end(id, Err(Errno::CANCELED));
        }
        queued.stage = Stage::HasRoom;
        self.queued.with_room.push_back(id);
        self.is_due = true;
        None
    }

    pub(super) fn cancel_queued(&mut self, id: ConnectionId) {
        let Some(queued) = self.queued.sends.get_mut(&id.masked()) else { return };
        queued.is_cancelled = true;
        if queued.stage == Stage::Waits {
            self.cancel(Tag::new(Kind::Writable, id, 0), Tag::plain(Kind::Ignore, 0));
        }
    }

    /// A call of `enter` with what waits for it. If sends have got room, others may have it too:
    /// the kernel tells of 20 to 40 of them at a time, and what was received after that would
    /// stand behind all of them, with a turn for each of these parts. So all is collected.
    #[cold]
    #[inline(never)]
    pub(super) fn enter_with_due(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        self.rearm_accepts();
        let collects = !self.queued.with_room.is_empty();
        self.try_those_with_room();
        self.is_due = !self.queued.with_room.is_empty();
        self.enter_ring(wait.filter(|_| !self.is_due))?;
        if collects {
            self.collect_ready();
        }
        Ok(())
    }

    /// Tries sends that have got room, so many that these and the new ones of the turn are
    /// [`RESENT`] bytes together.
    fn try_those_with_room(&mut self) {
        let new = std::mem::take(&mut self.queued.new);
        let mut left = RESENT.saturating_sub(new).max(RESENT_ALWAYS);
        while left > 0
            && let Some(id) = self.queued.with_room.pop_front()
        {
            let is_cancelled = |queued: &Queued| queued.is_cancelled;
            if self.queued.sends.get(&id).is_some_and(is_cancelled) {
                self.own_events.extend(self.queued.end(id, Err(Errno::CANCELED)));
            } else {
                left = left.saturating_sub(self.try_queued(id).max(LEAST));
            }
        }
    }
}
