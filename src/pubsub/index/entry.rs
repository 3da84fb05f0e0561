//! What the index holds for one filter, and what a search collects from the filters that match.

use super::list::Members;
use super::search::Search;
use super::snapshot::Lists;
use crate::pubsub::encoding::Forms;

/// One filter: its local subscribers and the interest of other cores. A single lookup serves a
/// publication.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) local: Members,
    /// The forms that other cores want, by core. Empty if no core wants any.
    remote: Box<[Forms]>,
}

impl Entry {
    pub(super) fn is_empty(&self) -> bool {
        self.local.is_empty() && self.remote.is_empty()
    }

    /// Whether another core wants it.
    pub(super) fn is_wanted_elsewhere(&self) -> bool {
        !self.remote.is_empty()
    }

    /// Sets the forms that `core` wants. Returns whether they changed.
    pub(super) fn set_remote(&mut self, core: usize, cores: usize, forms: Forms) -> bool {
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

/// Those whom a message is for.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Recipients {
    /// The local subscribers of each matching filter that has some.
    pub(in crate::pubsub) lists: Lists,
    /// The forms that these want.
    pub(in crate::pubsub) local: Forms,
    /// The forms that other cores want, by core. After a search it has an entry for each core.
    pub(in crate::pubsub) remote: Vec<Forms>,
}

impl Recipients {
    /// Whether another core wants the message.
    #[must_use]
    pub(in crate::pubsub) fn has_remote(&self) -> bool {
        self.remote.iter().any(|forms| !forms.is_empty())
    }

    /// Whether the message has no subscriber on any core.
    #[must_use]
    pub(in crate::pubsub) fn is_empty(&self) -> bool {
        self.lists.is_empty() && !self.has_remote()
    }

    /// The forms that anybody wants.
    pub(in crate::pubsub) fn forms(&self) -> Forms {
        self.remote.iter().fold(self.local, |all, forms| all.union(*forms))
    }

    pub(super) fn add(&mut self, entry: &Entry) {
        if let Some(list) = entry.local.snapshot() {
            self.lists.push(list);
            self.local = self.local.union(entry.local.forms());
        }
        for (sum, forms) in self.remote.iter_mut().zip(&entry.remote) {
            *sum = sum.union(*forms);
        }
    }
}

/// A search of an index, and what it has found so far. It is reused, so that a search does not
/// allocate.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Matches {
    pub(super) search: Search,
    pub(in crate::pubsub) found: Recipients,
}

impl Matches {
    /// Drops the result and its references to lists. Keeps the memory.
    pub(in crate::pubsub) fn clear(&mut self) {
        self.search.end();
        self.found.lists.release();
        self.found.local = Forms::EMPTY;
        self.found.remote.clear();
    }

    /// Takes the result of a search that is complete.
    pub(in crate::pubsub) fn take(&mut self) -> Recipients {
        std::mem::take(&mut self.found)
    }
}
