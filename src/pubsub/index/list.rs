//! The local subscribers of one filter.

use std::rc::Rc;

use super::snapshot::{Snapshot, Subscriber};
use crate::base::ConnectionId;
use crate::base::sharded::{ShardedMap, is_sparse};
use crate::pubsub::encoding::{Form, Forms};

/// A longer list has a table of the positions by slot. A shorter one is searched as fast.
const LARGE: usize = 64;
/// A list that becomes shorter than this drops its table. The distance to [`LARGE`] keeps a list at
/// the limit from building and dropping its table again and again.
const SMALL: usize = LARGE / 2;

/// A list without an order, with at most one entry for each connection.
#[derive(Debug, Default)]
pub(super) struct Members {
    /// None if there are no subscribers, as in most entries for filters of other cores.
    list: Option<Rc<Snapshot>>,
    /// The forms that the subscribers want.
    forms: Forms,
    large: Option<Box<Large>>,
}

/// Keeps large lists from being searched.
#[derive(Debug, Default)]
struct Large {
    /// Positions in the list by slot.
    positions: ShardedMap<u32, u32>,
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
        let count = &mut self.counts[subscriber.form.index()];
        *count -= 1;
        *count == 0
    }
}

impl Members {
    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_none()
    }

    pub(super) fn len(&self) -> usize {
        self.list().len()
    }

    /// The list as it is now, if there are subscribers.
    pub(super) const fn snapshot(&self) -> Option<&Rc<Snapshot>> {
        self.list.as_ref()
    }

    fn list(&self) -> &[Subscriber] {
        self.list.as_deref().map_or(&[], |list| list)
    }

    pub(super) const fn forms(&self) -> Forms {
        self.forms
    }

    /// Returns false if the connection is in the list already. It takes the place of an earlier
    /// connection of its slot, which has ended.
    pub(super) fn add(&mut self, subscriber: Subscriber) -> bool {
        if let Some(position) = self.position(subscriber.id.slot) {
            let earlier = self.list()[position].id;
            if earlier == subscriber.id {
                return false;
            }
            self.remove(earlier);
        }
        let list = Rc::make_mut(self.list.get_or_insert_default()).subscribers();
        if list.is_empty() {
            list.reserve_exact(1);
        }
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
        let found = self.position(id.slot).filter(|position| self.list()[*position].id == id);
        let (Some(position), Some(list)) = (found, &mut self.list) else { return false };
        if list.len() == 1 {
            *self = Self::default();
            return true;
        }
        let list = Rc::make_mut(list).subscribers();
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
            None => self.list().iter().position(|subscriber| subscriber.id.slot == slot),
        }
    }
}
