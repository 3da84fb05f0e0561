//! The local subscribers of one filter.

use std::cell::Cell;
use std::collections::HashMap;
use std::ops::Deref;
use std::rc::Rc;

use super::shrink::{is_sparse, shrink_if_sparse};
use crate::base::ConnectionId;
use crate::pubsub::encoding::{Form, Forms};

/// A longer list has a table of the positions by slot. A shorter one is searched as fast.
const LARGE: usize = 64;
/// A list that becomes shorter than this drops its table. The distance to [`LARGE`] keeps a list at
/// the limit from building and dropping its table again and again.
const SMALL: usize = LARGE / 2;

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
    /// The number of waiting deliveries that hold it, for the account of their memory.
    deliveries: Cell<u32>,
}

impl Snapshot {
    /// Counts a delivery that waits with this list. Returns the bytes to account for the list: 0 if
    /// it is accounted for already.
    pub(in crate::pubsub) fn begin_delivery(&self) -> usize {
        let before = self.deliveries.replace(self.deliveries.get() + 1);
        if before == 0 { self.size() } else { 0 }
    }

    /// A delivery that waited with this list has ended. Returns the bytes that were accounted for
    /// the list: 0 if another delivery still waits with it.
    pub(in crate::pubsub) fn end_delivery(&self) -> usize {
        let after = self.deliveries.get() - 1;
        self.deliveries.set(after);
        if after == 0 { self.size() } else { 0 }
    }

    fn size(&self) -> usize {
        self.subscribers.len() * size_of::<Subscriber>()
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

/// A list without an order, with at most one entry for each connection.
#[derive(Debug, Default)]
pub(super) struct Members {
    list: Rc<Snapshot>,
    /// The forms that the subscribers want.
    forms: Forms,
    large: Option<Box<Large>>,
}

/// Keeps large lists from being searched.
#[derive(Debug, Default)]
struct Large {
    /// Positions in the list by slot.
    positions: HashMap<u32, u32>,
    /// The number of subscribers by form.
    counts: [u32; Form::COUNT],
}

impl Large {
    fn of(list: &[Subscriber]) -> Box<Self> {
        let mut large = Box::<Self>::default();
        for (position, subscriber) in list.iter().enumerate() {
            large.add(position, subscriber);
        }
        large
    }

    fn add(&mut self, position: usize, subscriber: &Subscriber) {
        self.set_position(position, subscriber);
        self.counts[subscriber.form.index()] += 1;
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most one position for each slot, a u32")]
    fn set_position(&mut self, position: usize, subscriber: &Subscriber) {
        self.positions.insert(subscriber.id.slot, position as u32);
    }

    /// Returns whether no subscriber with its form is left.
    fn remove(&mut self, subscriber: &Subscriber) -> bool {
        self.positions.remove(&subscriber.id.slot);
        shrink_if_sparse(&mut self.positions);
        let count = &mut self.counts[subscriber.form.index()];
        *count -= 1;
        *count == 0
    }
}

impl Members {
    pub(super) fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The list as it is now.
    pub(super) fn snapshot(&self) -> Rc<Snapshot> {
        Rc::clone(&self.list)
    }

    pub(super) const fn forms(&self) -> Forms {
        self.forms
    }

    /// Returns false if the connection is in the list already.
    pub(super) fn add(&mut self, subscriber: Subscriber) -> bool {
        if let Some(position) = self.position(subscriber.id.slot) {
            debug_assert_eq!(self.list[position].id, subscriber.id, "an earlier connection");
            return false;
        }
        let list = &mut Rc::make_mut(&mut self.list).subscribers;
        list.push(subscriber);
        self.forms = self.forms.with(subscriber.form);
        match &mut self.large {
            Some(large) => large.add(list.len() - 1, &subscriber),
            None if list.len() > LARGE => self.large = Some(Large::of(list)),
            None => {}
        }
        true
    }

    /// Returns false if the connection is not in the list.
    pub(super) fn remove(&mut self, id: ConnectionId) -> bool {
        let found = self.position(id.slot).filter(|position| self.list[*position].id == id);
        let Some(position) = found else { return false };
        let list = &mut Rc::make_mut(&mut self.list).subscribers;
        let removed = list.swap_remove(position);
        if is_sparse(list.len(), list.capacity()) {
            list.shrink_to(2 * list.len());
        }
        match &mut self.large {
            Some(large) => {
                if large.remove(&removed) {
                    self.forms = self.forms.without(removed.form);
                }
                if let Some(moved) = list.get(position) {
                    large.set_position(position, moved);
                }
                if list.len() < SMALL {
                    self.large = None;
                }
            }
            None => {
                self.forms = list.iter().fold(Forms::EMPTY, |forms, s| forms.with(s.form));
            }
        }
        true
    }

    fn position(&self, slot: u32) -> Option<usize> {
        match &self.large {
            Some(large) => large.positions.get(&slot).map(|position| *position as usize),
            None => self.list.iter().position(|subscriber| subscriber.id.slot == slot),
        }
    }
}
