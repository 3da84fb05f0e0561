//! The subscribers of one core, and the interest of other cores, by topic filter. Sans-IO.
//!
//! Filters without a wildcard are in a hash table, filters with one are in a trie. A core
//! without wildcard filters never searches the trie. A filter is removed with its last subscriber,
//! and memory shrinks with the number of filters.

mod entry;
mod list;
mod listed;
mod node;
mod nodes;
mod search;
mod snapshot;
mod table;
#[cfg(test)]
mod tests;
mod trie;

pub(super) use entry::{Matches, Recipients};
#[cfg(test)]
pub(super) use snapshot::Snapshot;
pub(super) use snapshot::{Lists, Subscriber};
pub(super) use table::Index;
