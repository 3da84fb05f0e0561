//! The local subscribers of one filter.

use std::collections::HashMap;
use std::rc::Rc;

use super::{List, Subscriber, give_back, is_slack};
use crate::base::ConnectionId;
use crate::pubsub::encoding::{Form, Forms};

/// A longer list knows where each subscriber stands; in a shorter one looking is as quick.
const LARGE: usize = 64;
/// A large list that gets shorter than this is a small one again; the distance keeps lists at the
/// edge from changing to and fro.
const SMALL: usize = LARGE / 2;

/// A list in no order, at most one entry for each connection.
#[derive(Debug, Default)]
pub(super) struct Members {
    list: List,
    /// What those in the list want.
    forms: Forms,
    large: Option<Box<Large>>,
}

/// What saves large lists from being searched.
#[derive(Debug, Default)]
struct Large {
    /// Places in the list by slot.
    places: HashMap<u32, u32>,
    /// How many want each form.
    counts: [u32; Form::COUNT],
}

impl Large {
    fn of(list: &[Subscriber]) -> Box<Self> {
        let mut large = Box::<Self>::default();
        for (place, subscriber) in list.iter().enumerate() {
            large.add(place, subscriber);
        }
        large
    }

    fn add(&mut self, place: usize, subscriber: &Subscriber) {
        self.set_place(place, subscriber);
        self.counts[subscriber.form.index()] += 1;
    }

    #[allow(clippy::cast_possible_truncation, reason = "at most one place for each slot, a u32")]
    fn set_place(&mut self, place: usize, subscriber: &Subscriber) {
        self.places.insert(subscriber.id.slot, place as u32);
    }

    /// Whether it was the last that wanted its form.
    fn remove(&mut self, subscriber: &Subscriber) -> bool {
        self.places.remove(&subscriber.id.slot);
        give_back(&mut self.places);
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
    pub(super) fn list(&self) -> List {
        Rc::clone(&self.list)
    }

    pub(super) const fn forms(&self) -> Forms {
        self.forms
    }

    /// False if the connection is in the list already.
    pub(super) fn add(&mut self, subscriber: Subscriber) -> bool {
        if let Some(place) = self.place(subscriber.id.slot) {
            debug_assert_eq!(self.list[place].id, subscriber.id, "a slot's earlier connection");
            return false;
        }
        let list = Rc::make_mut(&mut self.list);
        list.push(subscriber);
        self.forms = self.forms.with(subscriber.form);
        match &mut self.large {
            Some(large) => large.add(list.len() - 1, &subscriber),
            None if list.len() > LARGE => self.large = Some(Large::of(list)),
            None => {}
        }
        true
    }

    /// False if the connection is not in the list.
    pub(super) fn remove(&mut self, id: ConnectionId) -> bool {
        let Some(place) = self.place(id.slot).filter(|place| self.list[*place].id == id) else {
            return false;
        };
        let list = Rc::make_mut(&mut self.list);
        let removed = list.swap_remove(place);
        if is_slack(list.len(), list.capacity()) {
            list.shrink_to(2 * list.len());
        }
        match &mut self.large {
            Some(large) => {
                if large.remove(&removed) {
                    self.forms = self.forms.without(removed.form);
                }
                if let Some(moved) = list.get(place) {
                    large.set_place(place, moved);
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

    fn place(&self, slot: u32) -> Option<usize> {
        match &self.large {
            Some(large) => large.places.get(&slot).map(|place| *place as usize),
            None => self.list.iter().position(|subscriber| subscriber.id.slot == slot),
        }
    }
}
