//! Filters with wildcards, as a trie with compressed paths: a node for each place where filters
//! part or end, so at most two for each filter, however many levels the filters have.
//!
//! Nodes refer to each other by number, so that neither dropping a trie nor searching it recurses.

#[cfg(test)]
mod tests;

use super::entry::Entry;
use super::node::Node;
use super::nodes::Nodes;
use super::search::{NodeId, ROOT, Search};
use crate::base::Work;
use crate::pubsub::name::Topic;

/// Filters with wildcards, each with its entry.
///
/// Every node but the root has an entry or at least two children, which is what bounds their
/// number.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Nodes,
    filters: usize,
    /// The bytes of text in all nodes.
    text: usize,
}

/// The memory of the place of a node in its parent, without its text.
const LINK: usize = 44;

impl Default for Trie {
    fn default() -> Self {
        let mut nodes = Nodes::default();
        let root = nodes.add();
        debug_assert_eq!(root, ROOT);
        Self { nodes, filters: 0, text: 0 }
    }
}

impl Trie {
    /// The bytes of a node without its text, of its place in its parent, and of room to grow.
    pub(super) const NODE: usize = size_of::<Node>() * 3 / 2 + 48;

    pub(super) const fn len(&self) -> usize {
        self.filters
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filters == 0
    }

    /// The bytes that the nodes take, without their entries.
    pub(super) const fn bytes(&self) -> usize {
        (self.nodes.len() - 1) * Self::NODE + self.text
    }

    /// The memory that the nodes take, with the capacity of their tables.
    pub(super) const fn memory(&self) -> usize {
        self.nodes.memory() + (self.nodes.len() - 1) * LINK + self.text
    }

    pub(super) fn get(&self, filter: &str) -> Option<&Entry> {
        let (path, is_hash) = path(filter);
        let node = &self.nodes[self.descend(path)?.node_id];
        if is_hash { node.hash.as_deref() } else { node.here.as_deref() }
    }

    pub(super) fn get_mut(&mut self, filter: &str) -> Option<&mut Entry> {
        let (path, is_hash) = path(filter);
        let node_id = self.descend(path)?.node_id;
        self.nodes[node_id].entry_mut(is_hash).as_deref_mut()
    }

    /// The filter's entry, an empty one if it is new.
    pub(super) fn entry(&mut self, filter: &str) -> &mut Entry {
        let (mut left, is_hash) = path(filter);
        let mut node_id = ROOT;
        while let Some(text) = left {
            let (level, behind) = split_first(text);
            let Some(child) = self.nodes[node_id].child(level) else {
                let child = self.nodes.add();
                self.nodes[child].rest = behind.into();
                self.nodes[node_id].link(level, child);
                self.text += text.len();
                node_id = child;
                break;
            };
            let common = common_levels(&self.nodes[child].rest, behind);
            if common < self.nodes[child].rest.len() {
                self.split(child, common);
            }
            node_id = child;
            left = behind[common..].strip_prefix('/');
        }
        let entry = self.nodes[node_id].entry_mut(is_hash);
        self.filters += usize::from(entry.is_none());
        entry.get_or_insert_default()
    }

    /// Removes a filter, and every node that no other filter needs.
    pub(super) fn remove(&mut self, filter: &str) {
        let (path, is_hash) = path(filter);
        let Some(Place { node_id, parent, level }) = self.descend(path) else { return };
        let node = &mut self.nodes[node_id];
        if node.entry_mut(is_hash).take().is_none() {
            return;
        }
        self.filters -= 1;
        if node_id == ROOT || node.has_entry() {
            return;
        }
        match node.links() {
            0 => {
                self.text -= level.len() + node.rest.len();
                self.nodes.remove(node_id);
                let parent_node = &mut self.nodes[parent];
                parent_node.unlink(level);
                let is_needed = parent == ROOT || parent_node.has_entry();
                if !is_needed && parent_node.links() == 1 {
                    self.merge(parent);
                }
            }
            1 => self.merge(node_id),
            _ => {}
        }
        self.nodes.shrink();
    }

    /// Calls `found` once with the entry of each filter that matches `topic`, until all are found
    /// or about `budget` of work is done, which is subtracted from it. Returns whether all are
    /// found.
    ///
    /// The run of a node has a fixed number of levels, so the node is reached with one prefix of
    /// the topic only, and from its parent only. Hence no node is visited twice and none of its
    /// levels compared twice, and a search costs at most the size of the trie, whatever the
    /// wildcards (`+/+/+/...`). Every node leads to at most two more, so the stack holds at most
    /// one step more than the topic has levels.
    pub(super) fn find(
        &self,
        topic: &Topic,
        search: &mut Search,
        budget: &mut u64,
        mut found: impl FnMut(&Entry),
    ) -> bool {
        let name = topic.as_str();
        while *budget > 0 {
            let Some((node_id, start)) = search.stack.pop() else { return true };
            let Some(node) = self.nodes.get(node_id) else { continue };
            let (levels, start) = match_rest(&node.rest, name, start);
            *budget = budget.saturating_sub(Work::NODE + levels * Work::LEVEL);
            let Some(start) = start else { continue };
            let is_hidden = node_id == ROOT && topic.is_hidden();
            if let Some(entry) = node.hash.as_deref().filter(|_| !is_hidden) {
                *budget = budget.saturating_sub(Work::FILTER);
                found(entry);
            }
            let Some(rest) = name.get(start..) else {
                if let Some(entry) = node.here.as_deref() {
                    *budget = budget.saturating_sub(Work::FILTER);
                    found(entry);
                }
                continue;
            };
            let level = rest.split('/').next().unwrap_or_default();
            let next = start + level.len() + 1;
            if node.plus != ROOT && !is_hidden {
                search.stack.push((node.plus, next));
            }
            if let Some(child) = node.children.get(level) {
                search.stack.push((child, next));
            }
        }
        search.stack.is_empty()
    }

    /// The node that a path leads to exactly.
    fn descend<'a>(&self, mut left: Option<&'a str>) -> Option<Place<'a>> {
        let mut place = Place { node_id: ROOT, parent: ROOT, level: "" };
        while let Some(text) = left {
            let (level, behind) = split_first(text);
            let child = self.nodes[place.node_id].child(level)?;
            place = Place { node_id: child, parent: place.node_id, level };
            let behind = behind.strip_prefix(&*self.nodes[child].rest)?;
            left = behind.strip_prefix('/');
            if left.is_none() && !behind.is_empty() {
                return None;
            }
        }
        Some(place)
    }

    /// Makes a node of its own of what is behind the first `common` bytes of a run.
    fn split(&mut self, upper: NodeId, common: usize) {
        let lower = self.nodes.add();
        let mut node = std::mem::take(&mut self.nodes[upper]);
        let run = std::mem::take(&mut node.rest);
        let (kept, moved) = run.split_at(common);
        let (level, rest) = split_first(moved.strip_prefix('/').unwrap_or(moved));
        node.rest = rest.into();
        self.nodes[lower] = node;
        self.nodes[upper].rest = kept.into();
        self.nodes[upper].link(level, lower);
        self.text -= 1;
    }

    /// Joins a node without an entry with its only child.
    fn merge(&mut self, upper: NodeId) {
        let Some((level, lower)) = self.nodes[upper].any_child() else { return };
        let run = [&self.nodes[upper].rest, "/", level, &self.nodes[lower].rest].concat();
        let mut node = self.nodes.remove(lower);
        node.rest = run.into();
        self.nodes[upper] = node;
        self.text += 1;
    }

    /// The nodes, and the memory that is held for them.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> (usize, usize) {
        (self.nodes.len(), self.nodes.memory())
    }
}

/// A node, its parent, and the first level of the run between them.
struct Place<'a> {
    node_id: NodeId,
    parent: NodeId,
    level: &'a str,
}

/// The levels of a filter that lead to a node, none for `#` alone, and whether a `#` follows them.
fn path(filter: &str) -> (Option<&str>, bool) {
    match filter.strip_suffix('#') {
        Some(path) => (path.strip_suffix('/'), true),
        None => (Some(filter), false),
    }
}

/// The first level, and the others with a `/` before each.
fn split_first(text: &str) -> (&str, &str) {
    text.split_at(text.find('/').unwrap_or(text.len()))
}

/// The length of the longest run of levels with which both begin. Each level has a `/` before it.
fn common_levels(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let same = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let is_end = |text: &[u8]| text.get(same).is_none_or(|byte| *byte == b'/');
    if is_end(one) && is_end(other) {
        return same;
    }
    one[..same].iter().rposition(|byte| *byte == b'/').unwrap_or(0)
}

/// Compares the further levels of a run with the levels of the topic `name` from `start` on.
/// Returns the number of levels compared, and, if they match, where the next level of the topic
/// begins.
#[inline]
fn match_rest(rest: &str, name: &str, mut start: usize) -> (u64, Option<usize>) {
    let mut compared = 0;
    if rest.is_empty() {
        return (compared, Some(start));
    }
    // What is before the first `/` is empty.
    for wanted in rest.split('/').skip(1) {
        compared += 1;
        let Some(left) = name.get(start..) else { return (compared, None) };
        let level = left.split('/').next().unwrap_or_default();
        if wanted != "+" && wanted != level {
            return (compared, None);
        }
        start += level.len() + 1;
    }
    (compared, Some(start))
}
