//! The index: filters by name, and a search by topic.

use std::sync::Arc;

use super::entry::{Entry, Matches};
use super::listed::Listed;
use super::snapshot::{Snapshot, Subscriber};
use super::trie::Trie;
use crate::base::ConnectionId;
use crate::base::ledger::block;
use crate::base::sharded::ShardedMap;
use crate::pubsub::encoding::Forms;
use crate::pubsub::name::{Filter, Topic};

/// The bytes of an entry with its list of subscribers, and of its place in a table.
const ENTRY: usize = 160;
/// The bytes of a place in a list of subscribers, and of room to grow.
const PLACE: usize = 2 * size_of::<Subscriber>();

/// The memory of a list with one subscriber, and of each further place in it: lists have room to
/// grow, and long ones a table.
const LIST: usize =
    block(2 * size_of::<usize>() + size_of::<Snapshot>()) + block(size_of::<Subscriber>());
const OTHER_PLACE: usize = 40;

/// The subscriptions of one core.
#[derive(Debug)]
pub(in crate::pubsub) struct Index {
    cores: usize,
    pub(super) exact: ShardedMap<Arc<str>, Entry>,
    pub(super) wild: Trie,
    /// The filters that have local subscribers, if they are listed.
    pub(super) listed: Option<Listed>,
    version: u64,
    /// The bytes of the filters in `exact`.
    text: usize,
    /// The places in all lists of subscribers.
    places: usize,
    /// The filters that have local subscribers, and those that other cores want.
    lists: usize,
    remotes: usize,
}

impl Index {
    /// An empty index of one of `cores` cores.
    #[must_use]
    pub(in crate::pubsub) fn new(cores: usize) -> Self {
        let (exact, wild) = (ShardedMap::default(), Trie::default());
        let (listed, version, text, places, lists, remotes) = (None, 0, 0, 0, 0, 0);
        Self { cores, exact, wild, listed, version, text, places, lists, remotes }
    }

    /// Has it know the order of the filters that have local subscribers, of which there are none.
    pub(in crate::pubsub) fn list_filters(&mut self) {
        debug_assert_eq!(self.places, 0, "there are subscribers");
        self.listed = Some(Listed::default());
    }

    /// The filters behind `after` that have local subscribers, in order, with the numbers of these,
    /// if it [knows](Self::list_filters) the order.
    pub(in crate::pubsub) fn filters_after(
        &self,
        after: Option<&str>,
    ) -> impl Iterator<Item = (&str, usize)> {
        let names = self.listed.iter().flat_map(move |listed| listed.after(after));
        names.map(|name| (name, self.get(name).map_or(0, |entry| entry.local.len())))
    }

    /// Adds a subscriber. Returns false, and changes nothing, if the connection already has this
    /// filter.
    ///
    /// Within a filter a connection is known by its slot alone, so it takes the place of an earlier
    /// connection of that slot, which has ended and of which the removal may still be to come.
    pub(in crate::pubsub) fn subscribe(&mut self, filter: &Filter, subscriber: Subscriber) -> bool {
        let members = &mut self.entry(filter).local;
        let before = members.len();
        let added = members.add(subscriber);
        let more = members.len() - before;
        self.places += more;
        self.version += u64::from(added);
        if before == 0 {
            self.lists += 1;
            if let Some(listed) = &mut self.listed {
                listed.add(filter);
            }
        }
        added
    }

    /// Removes a connection's subscription. Returns false if it had none with this filter.
    pub(in crate::pubsub) fn unsubscribe(&mut self, filter: &Filter, id: ConnectionId) -> bool {
        let Some(entry) = self.get_mut(filter) else { return false };
        let removed = entry.local.remove(id);
        let (has_nobody, is_empty) = (entry.local.is_empty(), entry.is_empty());
        if has_nobody && let Some(listed) = &mut self.listed {
            listed.remove(filter);
        }
        if is_empty {
            self.remove(filter);
        }
        self.places -= usize::from(removed);
        self.lists -= usize::from(removed && has_nobody);
        self.version += u64::from(removed);
        removed
    }

    /// The forms that local subscribers with exactly this filter want.
    #[must_use]
    #[cfg(test)]
    pub(in crate::pubsub) fn local_forms(&self, filter: &Filter) -> Forms {
        self.get(filter.as_str()).map_or(Forms::EMPTY, |entry| entry.local.forms())
    }

    /// Sets the forms that the subscribers of another core want of this filter; `EMPTY` withdraws.
    pub(in crate::pubsub) fn set_remote(&mut self, filter: &Filter, core: usize, forms: Forms) {
        let cores = self.cores;
        if core >= cores {
            debug_assert!(false, "core {core} of {cores}");
            return;
        }
        let entry = if forms.is_empty() {
            let Some(entry) = self.get_mut(filter) else { return };
            entry
        } else {
            self.entry(filter)
        };
        let was_wanted = entry.is_wanted_elsewhere();
        let changed = entry.set_remote(core, cores, forms);
        let (is_wanted, is_empty) = (entry.is_wanted_elsewhere(), entry.is_empty());
        self.remotes = self.remotes + usize::from(is_wanted) - usize::from(was_wanted);
        if is_empty {
            self.remove(filter);
        }
        self.version += u64::from(changed);
    }

    /// Counted up with every change of a local list or of another core's interest. The result of a
    /// search is valid as long as the version is the same.
    #[must_use]
    pub(in crate::pubsub) const fn version(&self) -> u64 {
        self.version
    }

    /// Begins to replace `into` with everything that matches `topic`; [`resume`](Self::resume) goes
    /// on.
    ///
    /// A connection is in one list for each of its filters that match.
    pub(in crate::pubsub) fn begin(&self, topic: &Topic, into: &mut Matches) {
        into.clear();
        into.found.remote.resize(self.cores, Forms::EMPTY);
        if let Some(entry) = self.exact.get(topic.as_str()) {
            into.found.add(entry);
        }
        if !self.wild.is_empty() {
            into.search.begin();
        }
    }

    /// Goes on with a search since which the index has not changed, until it is complete or about
    /// `budget` of work is done, which is subtracted from it. Returns whether it is complete.
    pub(in crate::pubsub) fn resume(
        &self,
        topic: &Topic,
        into: &mut Matches,
        budget: &mut u64,
    ) -> bool {
        let Matches { search, found } = into;
        self.wild.is_empty() || self.wild.find(topic, search, budget, |entry| found.add(entry))
    }

    /// The bytes that it takes, approximately: nodes, entries and lists of subscribers.
    #[must_use]
    pub(in crate::pubsub) fn bytes(&self) -> usize {
        let filters = self.exact.len() + self.wild.len();
        filters * ENTRY + self.text + self.wild.bytes() + self.places * PLACE
    }

    /// The memory that it takes, approximately, for the ledger: with the capacity of its tables,
    /// and without the names, which it shares with the connections that have the filters, here or
    /// on other cores.
    #[must_use]
    pub(in crate::pubsub) fn memory(&self) -> usize {
        let wild = self.wild.len() * block(size_of::<Entry>()) + self.wild.memory();
        let lists = self.lists * LIST + (self.places - self.lists) * OTHER_PLACE;
        let remotes = self.remotes * block(self.cores * size_of::<Forms>());
        let listed = self.listed.as_ref().map_or(0, Listed::memory);
        self.exact.memory() + wild + lists + remotes + listed
    }

    /// The bytes that a new filter adds at most, approximately.
    #[must_use]
    pub(in crate::pubsub) fn cost(filter: &Filter) -> usize {
        Self::cost_of(1, filter.as_str().len())
    }

    /// The same of so many filters with so much text.
    pub(in crate::pubsub) const fn cost_of(filters: usize, text: usize) -> usize {
        filters * (ENTRY + PLACE + 2 * Trie::NODE) + text
    }

    /// The number of filters that have a local subscriber or that another core wants.
    #[must_use]
    pub(in crate::pubsub) fn filters(&self) -> usize {
        self.exact.len() + self.wild.len()
    }

    /// The entry of the filter of this name.
    fn get(&self, name: &str) -> Option<&Entry> {
        self.exact.get(name).or_else(|| self.wild.get(name))
    }

    fn get_mut(&mut self, filter: &Filter) -> Option<&mut Entry> {
        if filter.has_wildcard() {
            self.wild.get_mut(filter.as_str())
        } else {
            self.exact.get_mut(filter.as_str())
        }
    }

    /// The filter's entry, an empty one if it is new.
    fn entry(&mut self, filter: &Filter) -> &mut Entry {
        if filter.has_wildcard() {
            self.wild.entry(filter.as_str())
        } else {
            let text = &mut self.text;
            self.exact.or_insert_with(Arc::clone(filter.shared()), || {
                *text += filter.as_str().len();
                Entry::default()
            })
        }
    }

    fn remove(&mut self, filter: &Filter) {
        if filter.has_wildcard() {
            self.wild.remove(filter.as_str());
        } else if self.exact.remove(filter.as_str()).is_some() {
            self.text -= filter.as_str().len();
        }
    }
}
