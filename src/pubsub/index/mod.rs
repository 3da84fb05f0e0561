//! The subscribers of one core, and the interest of other cores, by topic filter. Sans-IO.
//!
//! Filters without a wildcard are in a hash table, filters with one are in a trie by level. A core
//! without wildcard filters never searches the trie. A filter is removed with its last subscriber,
//! and memory shrinks with the number of filters.

mod entry;
mod list;
mod shrink;
mod table;
#[cfg(test)]
mod tests;
mod trie;

pub(super) use entry::Matches;
pub(super) use list::{Snapshot, Subscriber};
pub(super) use table::Index;
