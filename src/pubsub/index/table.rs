//! The index: filters by name, and a search by topic.

use std::collections::HashMap;
use std::sync::Arc;

use super::entry::{Entry, Matches};
use super::list::Subscriber;
use super::shrink::shrink_if_sparse;
use super::trie::Trie;
use crate::base::ConnectionId;
use crate::pubsub::encoding::Forms;
use crate::pubsub::name::{Filter, Topic};

/// The subscriptions of one core.
#[derive(Debug)]
pub(in crate::pubsub) struct Index {
    cores: usize,
    /// Hashed with the random keys of the standard library: clients choose the names, and must not
    /// be able to choose names that collide.
    pub(super) exact: HashMap<Arc<str>, Entry>,
    pub(super) wild: Trie,
    version: u64,
}

impl Index {
    /// An empty index of one of `cores` cores.
    #[must_use]
    pub(in crate::pubsub) fn new(cores: usize) -> Self {
        Self { cores, exact: HashMap::new(), wild: Trie::default(), version: 0 }
    }

    /// Adds a subscriber. Returns false, and changes nothing, if the connection already has this
    /// filter.
    ///
    /// Within a filter a connection is known by its slot alone, so an earlier connection in that
    /// slot must have been removed.
    pub(in crate::pubsub) fn subscribe(&mut self, filter: &Filter, subscriber: Subscriber) -> bool {
        let added = self.entry(filter).local.add(subscriber);
        self.version += u64::from(added);
        added
    }

    /// Removes a connection's subscription. Returns false if it had none with this filter.
    pub(in crate::pubsub) fn unsubscribe(&mut self, filter: &Filter, id: ConnectionId) -> bool {
        let Some(entry) = self.get_mut(filter) else { return false };
        let removed = entry.local.remove(id);
        let is_empty = entry.is_empty();
        if is_empty {
            self.remove(filter);
        }
        self.version += u64::from(removed);
        removed
    }

    /// The forms that local subscribers with exactly this filter want.
    #[must_use]
    #[cfg(test)]
    pub(in crate::pubsub) fn local_forms(&self, filter: &Filter) -> Forms {
        let entry = if filter.has_wildcard() {
            self.wild.get(filter.as_str())
        } else {
            self.exact.get(filter.as_str())
        };
        entry.map_or(Forms::EMPTY, |entry| entry.local.forms())
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
        let changed = entry.set_remote(core, cores, forms);
        let is_empty = entry.is_empty();
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

    /// Replaces `into` with everything that matches `topic`.
    ///
    /// A connection is in one list for each of its filters that match.
    pub(in crate::pubsub) fn find(&self, topic: &Topic, into: &mut Matches) {
        into.clear();
        into.remote.resize(self.cores, Forms::EMPTY);
        if let Some(entry) = self.exact.get(topic.as_str()) {
            into.add(entry);
        }
        if !self.wild.is_empty() {
            self.wild.find(topic, |entry| into.add(entry));
        }
    }

    /// The number of filters that have a local subscriber or that another core wants.
    #[must_use]
    pub(in crate::pubsub) fn filters(&self) -> usize {
        self.exact.len() + self.wild.len()
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
            self.exact.entry(Arc::clone(filter.shared())).or_default()
        }
    }

    fn remove(&mut self, filter: &Filter) {
        if filter.has_wildcard() {
            self.wild.remove(filter.as_str());
        } else {
            self.exact.remove(filter.as_str());
            shrink_if_sparse(&mut self.exact);
        }
    }
}
