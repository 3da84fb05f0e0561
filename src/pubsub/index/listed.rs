//! The filters of one core in the order of their names, for those who list them by pages: a page
//! begins at a name, and costs the same wherever that is.

use std::collections::BTreeSet;
use std::ops::Bound;
use std::sync::Arc;

use crate::pubsub::name::Filter;

/// The memory of a place in the tree, whose nodes are not full.
const PLACE: usize = 32;

/// The names of filters, which are shared with the connections that have the filters.
#[derive(Debug, Default)]
pub(super) struct Listed {
    names: BTreeSet<Arc<str>>,
}

impl Listed {
    /// Adds a filter that was not there.
    pub(super) fn add(&mut self, filter: &Filter) {
        self.names.insert(Arc::clone(filter.shared()));
    }

    pub(super) fn remove(&mut self, filter: &Filter) {
        self.names.remove(filter.as_str());
    }

    /// The names behind `after`, in order.
    pub(super) fn after(&self, after: Option<&str>) -> impl Iterator<Item = &str> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        self.names.range::<str, _>((from, Bound::Unbounded)).map(|name| &**name)
    }

    /// The memory that it takes, approximately.
    pub(super) fn memory(&self) -> usize {
        self.names.len() * PLACE
    }
}
