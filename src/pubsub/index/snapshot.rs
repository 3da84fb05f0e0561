//! A list of subscribers at one moment, and the lists that a message is for.

use std::cell::Cell;
use std::ops::Deref;
use std::rc::Rc;

use crate::base::ConnectionId;
use crate::pubsub::encoding::Form;

/// So many lists at most are compared to see whether two messages go out together, and messages to
/// more subscribers do not: there are too many deliveries of each for one turn.
const MAX_COMPARED: usize = 16;
const MAX_TOGETHER: usize = 64;

/// One connection's subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::pubsub) struct Subscriber {
    pub(in crate::pubsub) id: ConnectionId,
    /// The form that it is sent.
    pub(in crate::pubsub) form: Form,
    /// Whether it is sent its own messages.
    pub(in crate::pubsub) echo: bool,
}

/// The subscribers of one filter at one moment. Deliveries share it: taking one copies a pointer,
/// and a later change of the list copies the list only while a delivery holds it.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Snapshot {
    subscribers: Vec<Subscriber>,
    /// The number of waiting messages that hold it, for the account of their memory.
    deliveries: Cell<u32>,
}

impl Snapshot {
    /// Counts a message that waits with this list. Returns the bytes to account for the list: 0 if
    /// it is accounted for already.
    fn begin_delivery(&self) -> usize {
        let before = self.deliveries.replace(self.deliveries.get() + 1);
        if before == 0 { self.size() } else { 0 }
    }

    /// A message that waited with this list does not any more. Returns the bytes that were
    /// accounted for the list: 0 if another message still waits with it.
    fn end_delivery(&self) -> usize {
        let after = self.deliveries.get() - 1;
        self.deliveries.set(after);
        if after == 0 { self.size() } else { 0 }
    }

    fn size(&self) -> usize {
        self.subscribers.len() * size_of::<Subscriber>() + size_of::<Self>()
    }

    /// The list, to be changed.
    pub(super) const fn subscribers(&mut self) -> &mut Vec<Subscriber> {
        &mut self.subscribers
    }
}

impl Clone for Snapshot {
    /// The copy belongs to no delivery.
    fn clone(&self) -> Self {
        Self { subscribers: self.subscribers.clone(), deliveries: Cell::new(0) }
    }
}

impl Deref for Snapshot {
    type Target = Vec<Subscriber>;

    #[inline]
    fn deref(&self) -> &Vec<Subscriber> {
        &self.subscribers
    }
}

#[cfg(test)]
impl FromIterator<Subscriber> for Snapshot {
    fn from_iter<I: IntoIterator<Item = Subscriber>>(subscribers: I) -> Self {
        Self { subscribers: subscribers.into_iter().collect(), deliveries: Cell::new(0) }
    }
}

/// The lists of subscribers that a message is for, one for each filter that matches. A connection
/// may be in several.
///
/// Each list is counted once, however many messages wait for it. The owner of the lists adds
/// [`bytes`](Self::bytes) to its account when it takes them, and subtracts what
/// [`pop`](Self::pop) and [`release`](Self::release) return.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Lists {
    lists: Vec<Rc<Snapshot>>,
    /// The bytes of the lists that no message waited with before.
    counted: usize,
    /// The subscribers in all lists.
    subscribers: usize,
}

impl Lists {
    pub(super) fn push(&mut self, list: &Rc<Snapshot>) {
        self.counted += list.begin_delivery();
        self.subscribers += list.len();
        self.lists.push(Rc::clone(list));
    }

    /// The bytes to account for these lists.
    pub(in crate::pubsub) const fn bytes(&self) -> usize {
        self.counted + self.lists.capacity() * size_of::<Rc<Snapshot>>()
    }

    /// The subscribers in all these lists. One that is in several counts for each.
    pub(in crate::pubsub) const fn subscribers(&self) -> usize {
        self.subscribers
    }

    /// Takes the last list out. Returns the bytes that were accounted for it.
    pub(in crate::pubsub) fn pop(&mut self) -> usize {
        let Some(list) = self.lists.pop() else { return 0 };
        self.subscribers -= list.len();
        let own = if self.lists.is_empty() {
            std::mem::take(&mut self.lists).capacity() * size_of::<Rc<Snapshot>>()
        } else {
            0
        };
        own + list.end_delivery()
    }

    /// Takes all lists out. Returns the bytes that were accounted for them.
    pub(in crate::pubsub) fn release(&mut self) -> usize {
        let lists = std::mem::take(&mut self.lists);
        (self.counted, self.subscribers) = (0, 0);
        let own = lists.capacity() * size_of::<Rc<Snapshot>>();
        own + lists.into_iter().map(|list| list.end_delivery()).sum::<usize>()
    }

    /// Whether a message for these subscribers goes out together with the one before it, which is
    /// for the same. They do not if they are many.
    pub(in crate::pubsub) fn go_with(&self, before: &Self) -> bool {
        self.subscribers <= MAX_TOGETHER && self.lists.len() <= MAX_COMPARED && self.is_same(before)
    }

    /// Whether both are exactly the same lists. A list that a message waits with is never changed
    /// in place, so the same list means the same subscribers.
    pub(in crate::pubsub) fn is_same(&self, other: &Self) -> bool {
        self.lists.len() == other.lists.len()
            && self.lists.iter().zip(&other.lists).all(|(ours, theirs)| Rc::ptr_eq(ours, theirs))
    }
}

impl Deref for Lists {
    type Target = [Rc<Snapshot>];

    #[inline]
    fn deref(&self) -> &[Rc<Snapshot>] {
        &self.lists
    }
}

#[cfg(test)]
impl From<&[Rc<Snapshot>]> for Lists {
    fn from(lists: &[Rc<Snapshot>]) -> Self {
        let mut all = Self::default();
        lists.iter().for_each(|list| all.push(list));
        all
    }
}
