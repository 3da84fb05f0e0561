//! The filters of one connection.

use std::collections::{BTreeMap, HashSet};

use crate::base::ledger::block;
use crate::base::sharded::ShardedMap;
use crate::pubsub::name::Filter;

/// So many filters are searched one by one: that takes about as long as one hash.
const FEW: usize = 32;
/// The memory of an entry of the map by number, of which about half the places are used.
const NUMBERED: usize = 52;

/// Filters in the order in which they were subscribed to. A few are a plain list. More are found by
/// their hash, so that a request takes no longer the more the connection has.
#[derive(Debug)]
pub(in crate::pubsub) enum Filters {
    Few(Vec<Filter>),
    Many(Box<Many>),
}

#[derive(Debug, Default)]
pub(in crate::pubsub) struct Many {
    /// The number of each filter.
    numbers: ShardedMap<Filter, u64>,
    /// The filters by their numbers, which ascend.
    ordered: BTreeMap<u64, Filter>,
    /// The bytes of their text, and the memory of it.
    text: usize,
    names: usize,
}

impl Default for Filters {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Filters {
    pub(in crate::pubsub) fn len(&self) -> usize {
        match self {
            Self::Few(list) => list.len(),
            Self::Many(many) => many.ordered.len(),
        }
    }

    pub(in crate::pubsub) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of their text.
    pub(in crate::pubsub) fn text(&self) -> usize {
        match self {
            Self::Few(list) => list.iter().map(|filter| filter.as_str().len()).sum(),
            Self::Many(many) => many.text,
        }
    }

    /// The memory of all, with that of their text.
    pub(in crate::pubsub) fn memory(&self) -> usize {
        match self {
            Self::Few(list) => {
                block(list.capacity() * size_of::<Filter>()) + list.iter().map(name).sum::<usize>()
            }
            Self::Many(many) => {
                let ordered = many.ordered.len() * NUMBERED;
                block(size_of::<Many>()) + many.numbers.memory() + ordered + many.names
            }
        }
    }

    /// The filter with the same text.
    pub(in crate::pubsub) fn get(&self, filter: &Filter) -> Option<&Filter> {
        match self {
            Self::Few(list) => list.iter().find(|own| looked_at(own) == filter),
            Self::Many(many) => many.ordered.get(many.numbers.get(filter)?),
        }
    }

    /// Adds a filter, which it does not have.
    pub(in crate::pubsub) fn push(&mut self, filter: Filter) {
        if let Self::Few(list) = self {
            if list.len() < FEW {
                return list.push(filter);
            }
            let mut many = Box::<Many>::default();
            std::mem::take(list).into_iter().for_each(|filter| many.push(filter));
            *self = Self::Many(many);
        }
        if let Self::Many(many) = self {
            many.push(filter);
        }
    }

    /// Removes the filter with the same text, and returns it.
    pub(in crate::pubsub) fn remove(&mut self, filter: &Filter) -> Option<Filter> {
        let removed = match self {
            Self::Few(list) => {
                let at = list.iter().position(|own| looked_at(own) == filter)?;
                return Some(list.remove(at));
            }
            Self::Many(many) => many.remove(filter)?,
        };
        self.become_few();
        Some(removed)
    }

    /// Removes the first, and returns it.
    pub(in crate::pubsub) fn pop_first(&mut self) -> Option<Filter> {
        let first = self.iter().next()?.clone();
        self.remove(&first)
    }

    /// A few that were many are a plain list again, but not at once: filters may come and go.
    fn become_few(&mut self) {
        if let Self::Many(many) = self
            && many.ordered.len() <= FEW / 2
        {
            *self = Self::Few(std::mem::take(&mut many.ordered).into_values().collect());
        }
    }

    /// All, in their order.
    pub(in crate::pubsub) fn iter(&self) -> impl Iterator<Item = &Filter> {
        let (few, many) = match self {
            Self::Few(list) => (Some(list.iter()), None),
            Self::Many(many) => (None, Some(many.ordered.values())),
        };
        few.into_iter().flatten().chain(many.into_iter().flatten()).inspect(|own| {
            looked_at(own);
        })
    }

    /// Those before `end`, each with the place behind it. Of many, those before `place` are left
    /// out; the first place is 0.
    pub(in crate::pubsub) fn before(
        &self,
        end: &Filter,
        place: u64,
    ) -> impl Iterator<Item = (u64, &Filter)> {
        let (few, many) = match self {
            Self::Few(list) => {
                let before = list.iter().take_while(move |own| looked_at(own) != end);
                (Some(before.map(|own| (0, own))), None)
            }
            Self::Many(many) => {
                let end = many.numbers.get(end).copied().unwrap_or(u64::MAX);
                let range = many.ordered.range(place.min(end)..end);
                (None, Some(range.map(|(number, filter)| (number + 1, filter))))
            }
        };
        few.into_iter().flatten().chain(many.into_iter().flatten())
    }

    /// Those of `wanted` that it does not have, each once, in their order.
    pub(in crate::pubsub) fn lacking<'f>(&self, wanted: &'f [Filter]) -> Vec<&'f Filter> {
        let mut known = HashSet::new();
        let once = wanted.iter().filter(|filter| known.insert(filter.as_str()));
        once.filter(|filter| self.get(filter).is_none()).collect()
    }
}

impl Many {
    fn push(&mut self, filter: Filter) {
        let number = self.ordered.last_key_value().map_or(0, |(last, _)| last + 1);
        self.text += filter.as_str().len();
        self.names += name(&filter);
        self.numbers.insert(filter.clone(), number);
        self.ordered.insert(number, filter);
    }

    fn remove(&mut self, filter: &Filter) -> Option<Filter> {
        let number = self.numbers.remove(filter)?;
        self.text -= filter.as_str().len();
        self.names -= name(filter);
        self.ordered.remove(&number)
    }
}

/// The memory of the text, which has two counters of references before it.
fn name(filter: &Filter) -> usize {
    block(2 * size_of::<usize>() + filter.as_str().len())
}

/// In tests it counts the filters that are looked at one by one.
#[inline]
fn looked_at(filter: &Filter) -> &Filter {
    #[cfg(test)]
    LOOKED_AT.set(LOOKED_AT.get() + 1);
    filter
}

#[cfg(test)]
thread_local! {
    static LOOKED_AT: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

#[cfg(test)]
impl Filters {
    /// The filters that this thread has looked at one by one since the last call.
    pub(in crate::pubsub) fn take_looked_at() -> usize {
        LOOKED_AT.take()
    }
}
