//! The connections of one core, by the slot number that the kernel chose for each.

use std::ops::{Deref, DerefMut};

use crate::base::blocks::Blocks;
use crate::base::{ConnectionId, Millis};
use crate::session::{Connection, SendQueue};

/// One connection and what the worker knows of its operations.
#[derive(Debug)]
pub(super) struct Slot {
    /// Its entry in the turn's list of outputs, from 1; 0 if it has none.
    pub(super) turn: u32,
    /// The multishot receive is with the kernel.
    pub(super) receiving: bool,
    /// It has been asked back.
    pub(super) cancelling: bool,
    /// Not to be armed until the queue is shorter.
    pub(super) paused: bool,
    /// Not to be armed until the handler says so.
    pub(super) withheld: bool,
    /// So many events of its receive are put off. Not to be armed until there are none.
    pub(super) put_off: u16,
    /// Waits in the list of those for whom no buffer was free.
    pub(super) starved: bool,
    /// The peer has sent FIN, or TCP is broken: nothing more will be received.
    pub(super) ended: bool,
    /// Given up: what waits to be sent is dropped.
    pub(super) aborted: bool,
    /// FIN is being sent.
    pub(super) half_closing: bool,
    /// FIN has been sent.
    pub(super) half_closed: bool,
    /// Waits in the list of those to be looked at for their end.
    pub(super) leaving: bool,
    /// The timer set in the wheel.
    pub(super) timer: Millis,
    /// What waits to be sent.
    pub(super) queue: Option<Box<Waiting>>,
    pub(super) connection: Connection,
}

/// A queue, and how long it may wait.
#[derive(Debug)]
pub(super) struct Waiting {
    queue: SendQueue,
    /// When it is given up if nothing of it moves.
    pub(super) stall: Millis,
}

impl Default for Waiting {
    fn default() -> Self {
        Self { queue: SendQueue::default(), stall: Millis::NEVER }
    }
}

impl Deref for Waiting {
    type Target = SendQueue;

    fn deref(&self) -> &SendQueue {
        &self.queue
    }
}

impl DerefMut for Waiting {
    fn deref_mut(&mut self) -> &mut SendQueue {
        &mut self.queue
    }
}

impl Slot {
    pub(super) fn new(connection: Connection) -> Self {
        Self {
            turn: 0,
            receiving: false,
            cancelling: false,
            paused: false,
            withheld: false,
            put_off: 0,
            starved: false,
            ended: false,
            aborted: false,
            half_closing: false,
            half_closed: false,
            leaving: false,
            timer: Millis::NEVER,
            queue: None,
            connection,
        }
    }

    /// Whether earlier replies still wait to be sent.
    pub(super) fn is_congested(&self) -> bool {
        self.queue.is_some()
    }

    /// When what waits to be sent is given up.
    pub(super) fn stall(&self) -> Millis {
        self.queue.as_ref().map_or(Millis::NEVER, |queue| queue.stall)
    }

    /// Its name for the ring.
    pub(super) const fn id(&self) -> ConnectionId {
        let id = self.connection.id();
        ConnectionId { slot: id.slot, generation: id.generation }
    }

    /// Bytes of replies that wait.
    pub(super) fn owed(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.owed())
    }
}

/// All slots. A slot in use is `Some`; generations survive in their own table.
#[derive(Debug, Default)]
pub(super) struct Slots {
    slots: Blocks<Option<Slot>>,
    generations: Blocks<u32>,
    used: usize,
}

impl Slots {
    /// Connections that are open.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// The next generation of slot `index`, for a new connection.
    pub(super) fn next_id(&mut self, index: u32) -> ConnectionId {
        let generation = self.generations.reach(index, || 0);
        *generation = generation.wrapping_add(1) & ConnectionId::GENERATION_MASK;
        ConnectionId { slot: index, generation: *generation }
    }

    pub(super) fn insert(&mut self, index: u32, slot: Slot) {
        let place = self.slots.reach(index, || None);
        debug_assert!(place.is_none(), "the kernel gave a slot twice");
        *place = Some(slot);
        self.used += 1;
    }

    /// The connection that `id` names, if it still lives.
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Slot> {
        self.at(id.slot).filter(|slot| slot.connection.id().generation == id.generation)
    }

    /// The connection in slot `index`.
    #[inline]
    pub(super) fn at(&mut self, index: u32) -> Option<&mut Slot> {
        self.slots.get_mut(index)?.as_mut()
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Slot> {
        let slot = self.slots.get_mut(index)?.take();
        self.used -= usize::from(slot.is_some());
        slot
    }

    /// The slot numbers in use, from `start` on, at most `most` of them; and where to go on.
    pub(super) fn used_from(&self, start: u32, most: usize) -> (Vec<u32>, Option<u32>) {
        let mut found = Vec::new();
        let end = u32::try_from(self.slots.len()).unwrap_or(u32::MAX);
        for index in start..end {
            if found.len() == most {
                return (found, Some(index));
            }
            if self.slots.get(index).is_some_and(Option::is_some) {
                found.push(index);
            }
        }
        (found, None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_idle_connection_is_small() {
        assert!(size_of::<Option<Slot>>() <= 112, "{}", size_of::<Option<Slot>>());
    }
}
