//! The output of a turn: an entry for each connection with output of its own. Connections that are
//! sent a broadcast and nothing else are recorded by id only.

use std::rc::Rc;

use super::slots::{OutboxIndex, Queue, Slot};
use crate::base::{ConnectionId, Shared};
use crate::io::Buffer;
use crate::session::{Output, Pools};

/// Recorded in the place of a connection that has left a broadcast for an entry. There is no such
/// slot.
const TOMBSTONE: ConnectionId = ConnectionId { slot: u32::MAX, generation: 0 };

/// The output of one connection in one turn.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ConnectionId,
    pub(super) output: Output,
    /// The receive buffer in which the output stands in place.
    pub(super) buffer: Option<Buffer>,
    /// The bytes that were delivered in this turn.
    pub(super) delivered: usize,
}

/// The connections with output in this turn, each once.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    pub(super) entries: Vec<Entry>,
    recipients: Vec<ConnectionId>,
    broadcasts: Vec<Broadcast>,
    /// Some recipients have been replaced by tombstones.
    has_tombstones: bool,
}

/// The bytes for the recipients up to `end`, from where the last broadcast ends.
#[derive(Debug)]
struct Broadcast {
    bytes: Rc<Shared>,
    end: usize,
}

impl Outbox {
    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.recipients.is_empty()
    }

    /// The entry of the connection in `slot`, a new one if it has none.
    #[inline]
    pub(super) fn entry(&mut self, slot: &mut Slot) -> Option<&mut Entry> {
        if slot.outbox.is_none() {
            self.push(slot, Output::default(), 0);
            return self.entries.last_mut();
        }
        if slot.outbox.is_recipient() {
            self.promote(slot);
        }
        self.entries.get_mut(slot.outbox.index())
    }

    #[inline]
    fn push(&mut self, slot: &mut Slot, output: Output, delivered: usize) {
        self.entries.push(Entry { id: slot.id(), output, buffer: None, delivered });
        slot.outbox = OutboxIndex::entry(self.entries.len());
    }

    /// Sends `bytes` to a connection that has no other output in this turn so far.
    #[inline]
    pub(super) fn broadcast(&mut self, slot: &mut Slot, bytes: &Rc<Shared>) {
        self.recipients.push(slot.id());
        let end = self.recipients.len();
        slot.outbox = OutboxIndex::recipient(end);
        match self.broadcasts.last_mut() {
            Some(last) if Rc::ptr_eq(&last.bytes, bytes) => last.end = end,
            _ => self.broadcasts.push(Broadcast { bytes: Rc::clone(bytes), end }),
        }
    }

    /// Moves a connection from the recipients to the entries, so that more may be added.
    #[cold]
    fn promote(&mut self, slot: &mut Slot) {
        let at = slot.outbox.index();
        let broadcast = self.broadcasts.partition_point(|broadcast| broadcast.end <= at);
        let (Some(id), Some(broadcast)) =
            (self.recipients.get_mut(at), self.broadcasts.get(broadcast))
        else {
            return;
        };
        *id = TOMBSTONE;
        self.has_tombstones = true;
        let (output, delivered) = (Output::of_shared(&broadcast.bytes), broadcast.bytes.len());
        self.push(slot, output, delivered);
    }

    /// Takes out all recipients, and has them sent their broadcasts.
    #[inline]
    pub(super) fn take_broadcasts(&mut self, mut send: impl FnMut(&[ConnectionId], &Rc<Shared>)) {
        let mut from = 0;
        for broadcast in self.broadcasts.drain(..) {
            let ids = self.recipients.get(from..broadcast.end).unwrap_or_default();
            from = broadcast.end;
            if self.has_tombstones {
                ids.split(|id| *id == TOMBSTONE).for_each(|part| send(part, &broadcast.bytes));
            } else {
                send(ids, &broadcast.bytes);
            }
        }
        self.recipients.clear();
        self.has_tombstones = false;
    }
}

/// Moves the output of a connection to its queue.
#[cold]
pub(super) fn queue_output(entry: &mut Entry, slot: &mut Slot, pools: &mut Pools) {
    let Slot { queue, session, .. } = slot;
    let queue =
        queue.get_or_insert_with(|| Queue::new(&pools.config, &pools.ledger, session.route()));
    queue.queue.push_output(&mut entry.output, |copied| pools.buffers.give(copied));
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::base::Millis;
    use crate::config::Config;
    use crate::session::Session;

    fn slot(number: u32) -> Slot {
        let id = ConnectionId { slot: number, generation: 7 };
        Slot::new(Session::new(id, Millis::default(), &Config::default(), false))
    }

    fn shared(text: &'static str) -> Rc<Shared> {
        Rc::new(Bytes::from(text).into())
    }

    fn sent(outbox: &mut Outbox) -> Vec<(Vec<u32>, Bytes)> {
        let mut sent = Vec::new();
        outbox.take_broadcasts(|ids, bytes| {
            if !ids.is_empty() {
                let numbers = ids.iter().map(|id| id.slot).collect();
                sent.push((numbers, Bytes::clone(bytes)));
            }
        });
        sent
    }

    #[test]
    fn each_share_goes_to_those_who_were_given_it() {
        let (a, b) = (shared("a"), shared("b"));
        let mut slots: Vec<Slot> = (0..5).map(slot).collect();
        let mut outbox = Outbox::default();
        for (slot, bytes) in slots.iter_mut().zip([&a, &a, &b, &a, &a]) {
            outbox.broadcast(slot, bytes);
        }
        assert!(!outbox.is_empty());
        let expected = [(vec![0, 1], "a".into()), (vec![2], "b".into()), (vec![3, 4], "a".into())];
        assert_eq!(sent(&mut outbox), expected);
        assert!(outbox.is_empty());
        assert_eq!((Rc::strong_count(&a), Rc::strong_count(&b)), (1, 1), "nothing is held");
        assert_eq!(sent(&mut outbox), []);
    }

    /// A connection that gets more output than the broadcast has an entry of its own, which begins
    /// with the bytes of the broadcast. The others are sent the shared bytes as before.
    #[test]
    fn a_connection_with_more_output_leaves_the_broadcast() {
        let (a, b) = (shared("aa"), shared("b"));
        for leaving in 0..5 {
            let mut slots: Vec<Slot> = (0..5).map(slot).collect();
            let mut outbox = Outbox::default();
            for (slot, bytes) in slots.iter_mut().zip([&a, &a, &b, &a, &a]) {
                outbox.broadcast(slot, bytes);
            }
            let entry = outbox.entry(&mut slots[leaving]).expect("an entry");
            assert_eq!(entry.id.slot as usize, leaving);
            let given = if leaving == 2 { &b } else { &a };
            assert_eq!((entry.output.len(), entry.delivered), (given.len(), given.len()));
            entry.delivered = 9;
            let again = outbox.entry(&mut slots[leaving]).expect("the same entry");
            assert_eq!(again.delivered, 9);
            assert_eq!(outbox.entries.len(), 1);
            let rest: Vec<u32> = sent(&mut outbox).into_iter().flat_map(|(ids, _)| ids).collect();
            let expected: Vec<u32> = (0..5).filter(|at| *at as usize != leaving).collect();
            assert_eq!(rest, expected);
        }
    }
}
