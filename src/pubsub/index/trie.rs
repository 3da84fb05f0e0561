//! Filters with wildcards, as a trie with a node for each level.
//!
//! Nodes are in one vector and refer to each other by index, so that neither dropping a trie nor
//! searching it recurses, however many levels a filter has.

use std::cell::RefCell;
use std::collections::HashMap;

use super::entry::Entry;
use super::shrink::{is_sparse, shrink_if_sparse};
use crate::pubsub::name::Topic;

/// The index of a node in the vector.
type NodeId = usize;

/// The node of no level. It is no node's child, so as a child it means that there is none.
const ROOT: NodeId = 0;

/// A node with more children has a hash table of them; up to this number they are searched one by
/// one.
const MAX_LISTED: usize = 8;

#[derive(Debug, Default)]
struct Node {
    children: Children,
    /// The child for `+`, or `ROOT`.
    plus: NodeId,
    /// The filter that ends here.
    here: Option<Box<Entry>>,
    /// The filter that ends here with `#` as one more level.
    hash: Option<Box<Entry>>,
}

impl Node {
    fn child(&self, level: &str) -> Option<NodeId> {
        match level {
            "+" => Some(self.plus).filter(|node_id| *node_id != ROOT),
            _ => self.children.get(level),
        }
    }

    fn link(&mut self, level: &str, child: NodeId) {
        match level {
            "+" => self.plus = child,
            _ => self.children.insert(level.into(), child),
        }
    }

    fn unlink(&mut self, level: &str) {
        match level {
            "+" => self.plus = ROOT,
            _ => self.children.remove(level),
        }
    }

    fn entry_mut(&mut self, is_hash: bool) -> &mut Option<Box<Entry>> {
        if is_hash { &mut self.hash } else { &mut self.here }
    }

    fn is_empty(&self) -> bool {
        self.plus == ROOT && self.here.is_none() && self.hash.is_none() && self.children.is_empty()
    }
}

/// Children by the text of their level. Most nodes have one child, so that case has to be small.
#[derive(Debug)]
enum Children {
    Listed(Vec<(Box<str>, NodeId)>),
    #[expect(clippy::box_collection, reason = "without it, every node would be twice the size")]
    Hashed(Box<HashMap<Box<str>, NodeId>>),
}

impl Default for Children {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Children {
    fn is_empty(&self) -> bool {
        match self {
            Self::Listed(few) => few.is_empty(),
            Self::Hashed(many) => many.is_empty(),
        }
    }

    fn get(&self, level: &str) -> Option<NodeId> {
        match self {
            Self::Listed(few) => few.iter().find(|(name, _)| **name == *level).map(|(_, at)| *at),
            Self::Hashed(many) => many.get(level).copied(),
        }
    }

    /// Adds a child. No other child has its text.
    fn insert(&mut self, level: Box<str>, child: NodeId) {
        match self {
            Self::Listed(few) if few.len() < MAX_LISTED => {
                if few.is_empty() {
                    few.reserve_exact(1);
                }
                few.push((level, child));
            }
            Self::Listed(few) => {
                let all = few.drain(..).chain([(level, child)]).collect();
                *self = Self::Hashed(Box::new(all));
            }
            Self::Hashed(many) => {
                many.insert(level, child);
            }
        }
    }

    fn remove(&mut self, level: &str) {
        match self {
            Self::Listed(few) => few.retain(|(name, _)| **name != *level),
            Self::Hashed(many) => {
                many.remove(level);
                shrink_if_sparse(many);
                if many.len() <= MAX_LISTED / 2 {
                    *self = Self::Listed(many.drain().collect());
                }
            }
        }
    }

    fn for_each(&mut self, mut visit: impl FnMut(&mut NodeId)) {
        match self {
            Self::Listed(few) => few.iter_mut().for_each(|(_, node_id)| visit(node_id)),
            Self::Hashed(many) => many.values_mut().for_each(visit),
        }
    }
}

/// Filters with wildcards, each with its entry.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// Nodes that are not in use.
    free: Vec<NodeId>,
    filters: usize,
    /// The stack of searches; kept, so that a search does not allocate.
    stack: RefCell<Vec<Step>>,
}

/// A node to be visited, and the offset in the topic where the next level begins. The offset is one
/// beyond the topic's end if no level is left.
type Step = (NodeId, usize);

impl Default for Trie {
    fn default() -> Self {
        Self {
            nodes: vec![Node::default()],
            free: Vec::new(),
            filters: 0,
            stack: RefCell::default(),
        }
    }
}

impl Trie {
    pub(super) const fn len(&self) -> usize {
        self.filters
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.filters == 0
    }

    #[cfg(test)]
    pub(super) fn get(&self, filter: &str) -> Option<&Entry> {
        let (levels, is_hash) = levels(filter);
        let node = &self.nodes[self.descend(levels)?];
        if is_hash { node.hash.as_deref() } else { node.here.as_deref() }
    }

    pub(super) fn get_mut(&mut self, filter: &str) -> Option<&mut Entry> {
        let (levels, is_hash) = levels(filter);
        let node_id = self.descend(levels)?;
        self.nodes[node_id].entry_mut(is_hash).as_deref_mut()
    }

    /// The filter's entry, an empty one if it is new.
    pub(super) fn entry(&mut self, filter: &str) -> &mut Entry {
        let (levels, is_hash) = levels(filter);
        let mut node_id = ROOT;
        for level in levels {
            node_id = match self.nodes[node_id].child(level) {
                Some(child) => child,
                None => {
                    let child = self.node();
                    self.nodes[node_id].link(level, child);
                    child
                }
            };
        }
        let entry = self.nodes[node_id].entry_mut(is_hash);
        self.filters += usize::from(entry.is_none());
        entry.get_or_insert_default()
    }

    /// Removes a filter, and every node that no other filter needs.
    pub(super) fn remove(&mut self, filter: &str) {
        let (levels, is_hash) = levels(filter);
        let mut path = Vec::new();
        let mut node_id = ROOT;
        for level in levels {
            let Some(child) = self.nodes[node_id].child(level) else { return };
            path.push((node_id, level));
            node_id = child;
        }
        let entry = self.nodes[node_id].entry_mut(is_hash).take();
        self.filters -= usize::from(entry.is_some());
        while let Some((parent, level)) = path.pop() {
            if !self.nodes[node_id].is_empty() {
                break;
            }
            self.nodes[node_id] = Node::default();
            self.free.push(node_id);
            self.nodes[parent].unlink(level);
            node_id = parent;
        }
        if is_sparse(self.nodes.len() - self.free.len(), self.nodes.len()) {
            self.compact();
        }
    }

    /// Calls `found` once with the entry of every filter that matches `topic`. Returns the number
    /// of nodes visited.
    ///
    /// A node is a fixed number of levels deep, so it is reached with one prefix of the topic only,
    /// and from its parent only. Hence no node is visited twice, and a search costs at most the
    /// number of nodes, whatever the wildcards (`+/+/+/...`). Every node leads to at most two more,
    /// so the stack holds at most one step more than the topic has levels.
    pub(super) fn find(&self, topic: &Topic, mut found: impl FnMut(&Entry)) -> usize {
        let name = topic.as_str();
        let mut visited = 0;
        let mut stack = self.stack.take();
        stack.push((ROOT, 0));
        while let Some((node_id, start)) = stack.pop() {
            visited += 1;
            let node = &self.nodes[node_id];
            let is_hidden = node_id == ROOT && topic.is_hidden();
            if let Some(entry) = node.hash.as_deref().filter(|_| !is_hidden) {
                found(entry);
            }
            let Some(rest) = name.get(start..) else {
                if let Some(entry) = node.here.as_deref() {
                    found(entry);
                }
                continue;
            };
            let level = rest.split('/').next().unwrap_or_default();
            let next = start + level.len() + 1;
            if node.plus != ROOT && !is_hidden {
                stack.push((node.plus, next));
            }
            if let Some(child) = node.children.get(level) {
                stack.push((child, next));
            }
        }
        self.stack.replace(stack);
        visited
    }

    fn descend<'a>(&self, mut levels: impl Iterator<Item = &'a str>) -> Option<NodeId> {
        levels.try_fold(ROOT, |node_id, level| self.nodes[node_id].child(level))
    }

    /// The index of an empty node.
    fn node(&mut self) -> NodeId {
        self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() - 1
        })
    }

    /// Moves all nodes in use together, from the root down. That is done only once most nodes are
    /// not in use, so it costs no more than removing them did.
    fn compact(&mut self) {
        let mut nodes = Vec::with_capacity(2 * (self.nodes.len() - self.free.len()));
        nodes.push(std::mem::take(&mut self.nodes[ROOT]));
        let mut parent = ROOT;
        while parent < nodes.len() {
            let mut node = std::mem::take(&mut nodes[parent]);
            let mut shift = |node_id: &mut NodeId| {
                nodes.push(std::mem::take(&mut self.nodes[*node_id]));
                *node_id = nodes.len() - 1;
            };
            node.children.for_each(&mut shift);
            if node.plus != ROOT {
                shift(&mut node.plus);
            }
            nodes[parent] = node;
            parent += 1;
        }
        self.nodes = nodes;
        self.free = Vec::new();
    }

    /// The nodes in use, and the nodes that memory is held for.
    #[cfg(test)]
    pub(super) fn nodes(&self) -> (usize, usize) {
        (self.nodes.len() - self.free.len(), self.nodes.capacity() + self.free.capacity())
    }
}

/// The levels that have nodes, and whether a `#` follows them.
fn levels(filter: &str) -> (impl Iterator<Item = &str>, bool) {
    let (rest, is_hash) = match filter.strip_suffix('#') {
        Some(rest) => (rest.strip_suffix('/'), true),
        None => (Some(filter), false),
    };
    (rest.into_iter().flat_map(|rest| rest.split('/')), is_hash)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finds(trie: &Trie, name: &str) -> (usize, usize) {
        let mut found = 0;
        let visited = trie.find(&Topic::new(name, 255).unwrap(), |_| found += 1);
        (visited, found)
    }

    #[test]
    fn a_search_costs_no_more_than_the_nodes() {
        let mut trie = Trie::default();
        // Every mixture of `a` and `+` in twelve levels, and long runs of `+` that fail at their
        // end.
        for bits in 1_u32..1 << 12 {
            let levels = (0..12).map(|n| if bits >> n & 1 == 1 { "+" } else { "a" });
            trie.entry(&levels.collect::<Vec<_>>().join("/"));
        }
        for length in 1..=127 {
            trie.entry(&format!("{}x", "+/".repeat(length)));
        }
        let deep = vec!["a"; 128].join("/");
        let nodes = trie.nodes().0;
        for (name, expected) in [(&deep[..], 0), (&deep[..23], (1 << 12) - 1)] {
            let (visited, found) = finds(&trie, name);
            assert_eq!(found, expected);
            assert!(visited <= nodes, "visited {visited} of {nodes} nodes");
        }
        assert_eq!(finds(&trie, "b/b"), (3, 0), "the root, `+` and `+/+`");
        assert_eq!(finds(&trie, "$/b"), (1, 0), "the root only");
    }

    #[test]
    fn children_are_found_in_lists_and_tables() {
        let mut children = Children::default();
        let name = |n: usize| format!("level {n}");
        for n in 1..=100 {
            children.insert(name(n).into(), n);
            assert!((1..=n).all(|n| children.get(&name(n)) == Some(n)));
            assert_eq!(matches!(children, Children::Hashed(_)), n > MAX_LISTED);
        }
        for n in 1..=100 {
            assert!(!children.is_empty());
            children.remove(&name(n));
            assert!((1..=n).all(|n| children.get(&name(n)).is_none()));
            assert!((n + 1..=100).all(|n| children.get(&name(n)) == Some(n)));
            let mut node_ids = Vec::new();
            children.for_each(|node_id| node_ids.push(*node_id));
            node_ids.sort_unstable();
            assert!(node_ids.into_iter().eq(n + 1..=100));
            assert_eq!(matches!(children, Children::Hashed(_)), 100 - n > MAX_LISTED / 2);
        }
        assert!(children.is_empty());
    }
}
