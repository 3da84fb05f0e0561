//! The connections of one core, by the slot number that the kernel chose for each.

use crate::connection::{Connection, ConnectionId, Millis, SendQueue};
use crate::ring::Token;

/// Slots are allocated in blocks, so that growing never moves a connection.
const BLOCK: usize = 1024;
const BLOCK_BITS: u32 = 10;

/// One connection and what the worker knows of its operations.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) generation: u32,
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
    /// When the queue is given up if nothing of it moves.
    pub(super) stall: Millis,
    pub(super) queue: Option<Box<SendQueue>>,
    pub(super) connection: Connection,
}

impl Slot {
    pub(super) fn new(generation: u32, connection: Connection) -> Self {
        Self {
            generation,
            turn: 0,
            receiving: false,
            cancelling: false,
            paused: false,
            withheld: false,
            starved: false,
            ended: false,
            aborted: false,
            half_closing: false,
            half_closed: false,
            leaving: false,
            timer: Millis::NEVER,
            stall: Millis::NEVER,
            queue: None,
            connection,
        }
    }

    /// Whether earlier replies still wait to be sent.
    pub(super) fn is_congested(&self) -> bool {
        self.queue.is_some()
    }

    /// Bytes of replies that wait.
    pub(super) fn owed(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.owed())
    }
}

/// All slots. A slot in use is `Some`; generations survive in their own table.
#[derive(Debug, Default)]
pub(super) struct Slots {
    blocks: Vec<Box<[Option<Slot>]>>,
    generations: Vec<u32>,
    used: usize,
}

impl Slots {
    /// Connections that are open.
    pub(super) const fn len(&self) -> usize {
        self.used
    }

    /// The next generation of slot `index`, for a new connection.
    pub(super) fn next_id(&mut self, index: u32) -> ConnectionId {
        let at = index as usize;
        if self.generations.len() <= at {
            self.generations.resize(at + 1, 0);
        }
        let generation = self.generations[at].wrapping_add(1) & Token::GENERATION_MASK;
        self.generations[at] = generation;
        ConnectionId { slot: index, generation }
    }

    pub(super) fn insert(&mut self, index: u32, slot: Slot) {
        let block = (index >> BLOCK_BITS) as usize;
        while self.blocks.len() <= block {
            self.blocks.push((0..BLOCK).map(|_| None).collect());
        }
        let place = &mut self.blocks[block][index as usize % BLOCK];
        debug_assert!(place.is_none(), "the kernel gave a slot twice");
        *place = Some(slot);
        self.used += 1;
    }

    /// The connection that `token` names, if it still lives.
    #[inline]
    pub(super) fn get(&mut self, token: Token) -> Option<&mut Slot> {
        self.at(token.slot).filter(|slot| slot.generation == token.generation)
    }

    /// The connection in slot `index`.
    #[inline]
    pub(super) fn at(&mut self, index: u32) -> Option<&mut Slot> {
        self.blocks
            .get_mut((index >> BLOCK_BITS) as usize)
            .and_then(|block| block[index as usize % BLOCK].as_mut())
    }

    pub(super) fn remove(&mut self, index: u32) -> Option<Slot> {
        let block = self.blocks.get_mut((index >> BLOCK_BITS) as usize)?;
        let slot = block[index as usize % BLOCK].take();
        self.used -= usize::from(slot.is_some());
        slot
    }

    /// The slot numbers in use, from `start` on, at most `most` of them; and where to go on.
    pub(super) fn used_from(&self, start: u32, most: usize) -> (Vec<u32>, Option<u32>) {
        let mut found = Vec::new();
        let end = u32::try_from(self.blocks.len() * BLOCK).unwrap_or(u32::MAX);
        for index in start..end {
            if found.len() == most {
                return (found, Some(index));
            }
            let block = &self.blocks[(index >> BLOCK_BITS) as usize];
            if block[index as usize % BLOCK].is_some() {
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
        assert!(size_of::<Option<Slot>>() <= 144, "{}", size_of::<Option<Slot>>());
    }
}
