//! Who on one core, and which other cores, want messages of a topic. Sans-IO.
//!
//! Filters without a wildcard stand in a table by name, the others in a trie by level; a core
//! without wildcard filters never looks at the trie. What nobody wants any more is forgotten at
//! once, and memory follows.

mod list;
mod trie;

#[cfg(test)]
mod tests;

use crate::base::ConnectionId;
use std::collections::HashMap;
use std::hash::Hash;
use std::rc::Rc;
use std::sync::Arc;

use self::list::Members;
use self::trie::Trie;
use super::encoding::{Form, Forms};
use super::name::{Filter, Topic};

/// One connection's subscription.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Subscriber {
    /// Who.
    pub id: ConnectionId,
    /// In which bytes.
    pub form: Form,
    /// Whether it gets what it publishes itself.
    pub echo: bool,
}

/// The subscribers of one filter as they were when the list was taken. Taking one copies a
/// pointer; a change copies the list, but only while someone holds it.
pub(super) type List = Rc<Vec<Subscriber>>;

/// What is known of one filter: one look serves a publication.
#[derive(Debug, Default)]
struct Entry {
    local: Members,
    /// What other cores want, by core; of no length if none wants anything.
    remote: Box<[Forms]>,
}

impl Entry {
    fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty()
    }

    /// Whether it was a change.
    fn set_remote(&mut self, core: usize, cores: usize, forms: Forms) -> bool {
        if self.remote.is_empty() && !forms.is_empty() {
            self.remote = vec![Forms::EMPTY; cores].into();
        }
        let Some(place) = self.remote.get_mut(core) else { return false };
        let changed = std::mem::replace(place, forms) != forms;
        if self.remote.iter().all(|forms| forms.is_empty()) {
            self.remote = Box::default();
        }
        changed
    }
}

/// The subscriptions of one core.
#[derive(Debug)]
pub(super) struct Index {
    cores: usize,
    /// With the standard library's hasher: clients choose the names, and must not be able to
    /// choose such as collide.
    exact: HashMap<Arc<str>, Entry>,
    wild: Trie,
    version: u64,
}

impl Index {
    /// An empty index of one of `cores` cores.
    #[must_use]
    pub(super) fn new(cores: usize) -> Self {
        Self { cores, exact: HashMap::new(), wild: Trie::default(), version: 0 }
    }

    /// Adds a subscriber. False, and nothing changes, if this connection already has this very
    /// filter.
    ///
    /// Within a filter a connection is known by its slot alone: who had the slot before must have
    /// unsubscribed.
    pub(super) fn subscribe(&mut self, filter: &Filter, subscriber: Subscriber) -> bool {
        let added = self.entry(filter).local.add(subscriber);
        self.version += u64::from(added);
        added
    }

    /// Takes a connection's subscription away. False if it had none of this filter.
    pub(super) fn unsubscribe(&mut self, filter: &Filter, id: ConnectionId) -> bool {
        let Some(entry) = self.get_mut(filter) else { return false };
        let removed = entry.local.remove(id);
        let is_empty = entry.is_empty();
        if is_empty {
            self.forget(filter);
        }
        self.version += u64::from(removed);
        removed
    }

    /// The forms that local subscribers of this very filter want.
    #[must_use]
    #[cfg(test)]
    pub(super) fn local_forms(&self, filter: &Filter) -> Forms {
        let entry = if filter.has_wildcard() {
            self.wild.get(filter.as_str())
        } else {
            self.exact.get(filter.as_str())
        };
        entry.map_or(Forms::EMPTY, |entry| entry.local.forms())
    }

    /// Takes note of what the subscribers of another core want of this filter; `EMPTY` withdraws.
    pub(super) fn set_remote(&mut self, filter: &Filter, core: usize, forms: Forms) {
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
        let changed = entry.set_remote(core, cores, forms);
        let is_empty = entry.is_empty();
        if is_empty {
            self.forget(filter);
        }
        self.version += u64::from(changed);
    }

    /// Counted up with every change of a local list or of another core's interest: what was found
    /// at this version still holds.
    #[must_use]
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// Finds everything that matches `topic`; what `into` held before is dropped.
    ///
    /// A connection stands in as many lists as it has filters that match.
    pub(super) fn find(&self, topic: &Topic, into: &mut Matches) {
        into.clear();
        into.remote.resize(self.cores, Forms::EMPTY);
        if let Some(entry) = self.exact.get(topic.as_str()) {
            into.add(entry);
        }
        if !self.wild.is_empty() {
            self.wild.find(topic, |entry| into.add(entry));
        }
    }

    /// Filters that have a local subscriber or interest another core.
    #[must_use]
    pub(super) fn filters(&self) -> usize {
        self.exact.len() + self.wild.len()
    }

    fn get_mut(&mut self, filter: &Filter) -> Option<&mut Entry> {
        if filter.has_wildcard() {
            self.wild.get_mut(filter.as_str())
        } else {
            self.exact.get_mut(filter.as_str())
        }
    }

    /// The filter's entry, empty if it is new.
    fn entry(&mut self, filter: &Filter) -> &mut Entry {
        if filter.has_wildcard() {
            self.wild.entry(filter.as_str())
        } else {
            self.exact.entry(Arc::clone(filter.shared())).or_default()
        }
    }

    fn forget(&mut self, filter: &Filter) {
        if filter.has_wildcard() {
            self.wild.remove(filter.as_str());
        } else {
            self.exact.remove(filter.as_str());
            give_back(&mut self.exact);
        }
    }
}

/// Frees what a table holds far beyond its need. Each time, at least as many removals have gone
/// before as entries are moved.
fn give_back<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if is_slack(map.len(), map.capacity()) {
        map.shrink_to(2 * map.len());
    }
}

/// Whether so little of a capacity is in use that the rest is worth freeing.
const fn is_slack(used: usize, capacity: usize) -> bool {
    capacity > 32 && used < capacity / 4
}

/// What [`Index::find`] found. To be reused, so that finding does not allocate.
#[derive(Clone, Debug, Default)]
pub(super) struct Matches {
    /// The local subscribers of each filter that matches and has some.
    pub lists: Vec<List>,
    /// The forms that these want.
    pub local: Forms,
    /// The forms that other cores want, by core: one for each core after a search.
    pub remote: Vec<Forms>,
}

impl Matches {
    /// Drops what was found, and with it the hold on the lists; keeps the memory.
    pub(super) fn clear(&mut self) {
        self.lists.clear();
        self.local = Forms::EMPTY;
        self.remote.clear();
    }

    /// Whether another core wants something.
    #[must_use]
    pub(super) fn has_remote(&self) -> bool {
        self.remote.iter().any(|forms| !forms.is_empty())
    }

    /// Whether nobody wants anything.
    #[must_use]
    pub(super) fn is_empty(&self) -> bool {
        self.lists.is_empty() && !self.has_remote()
    }

    fn add(&mut self, entry: &Entry) {
        if !entry.local.is_empty() {
            self.lists.push(entry.local.list());
            self.local = self.local.union(entry.local.forms());
        }
        for (sum, forms) in self.remote.iter_mut().zip(&entry.remote) {
            *sum = sum.union(*forms);
        }
    }
}
