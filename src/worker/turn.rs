//! What a turn has for its connections: an entry for each that has something of its own to say, and
//! for those who are only sent what others are sent as well, just their names.

use std::rc::Rc;

use bytes::Bytes;

use super::slots::Slot;
use crate::base::ConnectionId;
use crate::io::Buffer;
use crate::session::Output;

/// Set in [`Slot::turn`]: the place is one among the sharing, not among the entries.
const SHARING: u32 = 1 << 31;
/// Stands where a connection has left the sharing for an entry. There is no such slot.
const NOBODY: ConnectionId = ConnectionId { slot: u32::MAX, generation: 0 };

/// One connection in one turn.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: ConnectionId,
    pub(super) output: Output,
    /// The receive buffer in which the output stands in place.
    pub(super) buffer: Option<Buffer>,
    /// The bytes that were delivered in this turn.
    pub(super) delivered: usize,
}

/// The connections that this turn has touched, each once; its slot knows where.
#[derive(Debug, Default)]
pub(super) struct Turn {
    pub(super) entries: Vec<Entry>,
    sharing: Vec<ConnectionId>,
    shared: Vec<Share>,
    /// Some have left the sharing.
    parted: bool,
}

/// The bytes for the connections up to `end` among the sharing, from where the last share ends.
#[derive(Debug)]
struct Share {
    bytes: Rc<Bytes>,
    end: usize,
}

impl Turn {
    pub(super) const fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.sharing.is_empty()
    }

    /// The entry of the connection in `slot`, a new one if it has none.
    #[inline]
    pub(super) fn entry(&mut self, slot: &mut Slot) -> Option<&mut Entry> {
        if slot.turn == 0 {
            self.push(slot, Output::default(), 0);
            return self.entries.last_mut();
        }
        if slot.turn & SHARING != 0 {
            self.part(slot);
        }
        self.entries.get_mut(slot.turn as usize - 1)
    }

    #[inline]
    fn push(&mut self, slot: &mut Slot, output: Output, delivered: usize) {
        self.entries.push(Entry { id: slot.id(), output, buffer: None, delivered });
        slot.turn = place(self.entries.len());
    }

    /// Sends `bytes` to a connection that has nothing else in this turn, so far.
    #[inline]
    pub(super) fn share(&mut self, slot: &mut Slot, bytes: &Rc<Bytes>) {
        self.sharing.push(slot.id());
        let end = self.sharing.len();
        slot.turn = SHARING | place(end);
        match self.shared.last_mut() {
            Some(last) if Rc::ptr_eq(&last.bytes, bytes) => last.end = end,
            _ => self.shared.push(Share { bytes: Rc::clone(bytes), end }),
        }
    }

    /// Moves a connection from the sharing to the entries, so that more may be added.
    #[cold]
    fn part(&mut self, slot: &mut Slot) {
        let at = (slot.turn & !SHARING) as usize - 1;
        let share = self.shared.partition_point(|share| share.end <= at);
        let (Some(id), Some(share)) = (self.sharing.get_mut(at), self.shared.get(share)) else {
            return;
        };
        *id = NOBODY;
        self.parted = true;
        let (output, delivered) = (Output::of_shared(&share.bytes), share.bytes.len());
        self.push(slot, output, delivered);
    }

    /// Takes out all who share, and has them sent what they share.
    #[inline]
    pub(super) fn send(&mut self, mut send: impl FnMut(&[ConnectionId], &Rc<Bytes>)) {
        let mut from = 0;
        for share in self.shared.drain(..) {
            let tokens = self.sharing.get(from..share.end).unwrap_or_default();
            from = share.end;
            if self.parted {
                tokens.split(|id| *id == NOBODY).for_each(|part| send(part, &share.bytes));
            } else {
                send(tokens, &share.bytes);
            }
        }
        self.sharing.clear();
        self.parted = false;
    }
}

/// A place as slots know it: counted from 1.
#[inline]
#[allow(clippy::cast_possible_truncation, reason = "one for each slot, and these are 2^20 at most")]
const fn place(len: usize) -> u32 {
    len as u32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Millis;
    use crate::config::Config;
    use crate::session::Connection;

    fn slot(number: u32) -> Slot {
        let id = ConnectionId { slot: number, generation: 7 };
        Slot::new(Connection::new(id, Millis::default(), &Config::default(), false))
    }

    fn sent(turn: &mut Turn) -> Vec<(Vec<u32>, Bytes)> {
        let mut sent = Vec::new();
        turn.send(|tokens, bytes| {
            if !tokens.is_empty() {
                let numbers = tokens.iter().map(|id| id.slot).collect();
                sent.push((numbers, Bytes::clone(bytes)));
            }
        });
        sent
    }

    #[test]
    fn each_share_goes_to_those_who_were_given_it() {
        let (a, b) = (Rc::new(Bytes::from("a")), Rc::new(Bytes::from("b")));
        let mut slots: Vec<Slot> = (0..5).map(slot).collect();
        let mut turn = Turn::default();
        for (slot, bytes) in slots.iter_mut().zip([&a, &a, &b, &a, &a]) {
            turn.share(slot, bytes);
        }
        assert!(!turn.is_empty());
        let expected = [(vec![0, 1], "a".into()), (vec![2], "b".into()), (vec![3, 4], "a".into())];
        assert_eq!(sent(&mut turn), expected);
        assert!(turn.is_empty());
        assert_eq!((Rc::strong_count(&a), Rc::strong_count(&b)), (1, 1), "nothing is held");
        assert_eq!(sent(&mut turn), []);
    }

    /// Whoever is to be sent more leaves the sharing, and takes along what it was given; the others
    /// are sent theirs as before.
    #[test]
    fn who_gets_more_leaves_the_sharing() {
        let (a, b) = (Rc::new(Bytes::from("aa")), Rc::new(Bytes::from("b")));
        for leaving in 0..5 {
            let mut slots: Vec<Slot> = (0..5).map(slot).collect();
            let mut turn = Turn::default();
            for (slot, bytes) in slots.iter_mut().zip([&a, &a, &b, &a, &a]) {
                turn.share(slot, bytes);
            }
            let entry = turn.entry(&mut slots[leaving]).expect("an entry");
            assert_eq!(entry.id.slot as usize, leaving);
            let given = if leaving == 2 { &b } else { &a };
            assert_eq!((entry.output.len(), entry.delivered), (given.len(), given.len()));
            entry.delivered = 9;
            let again = turn.entry(&mut slots[leaving]).expect("the same entry");
            assert_eq!(again.delivered, 9);
            assert_eq!(turn.entries.len(), 1);
            let rest: Vec<u32> =
                sent(&mut turn).into_iter().flat_map(|(tokens, _)| tokens).collect();
            let expected: Vec<u32> = (0..5).filter(|at| *at as usize != leaving).collect();
            assert_eq!(rest, expected);
        }
    }
}
