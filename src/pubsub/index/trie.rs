//! Filters with wildcards, as a trie with a node for each level.
//!
//! Nodes stand in one vector and name each other by place, so that neither dropping a trie nor
//! searching it recurses, however many levels a filter has.

use std::cell::RefCell;
use std::collections::HashMap;

use super::{Entry, give_back, is_slack};
use crate::pubsub::name::Topic;

/// A node's place in the vector.
type Place = usize;

/// The node of no level. It is nobody's child, so where a child is named it means that there is
/// none.
const ROOT: Place = 0;

/// A node with more children has a table of them; fewer are looked through.
const FEW: usize = 8;

#[derive(Debug, Default)]
struct Node {
    children: Children,
    /// The child for `+`, or `ROOT`.
    plus: Place,
    /// The filter that ends here.
    here: Option<Box<Entry>>,
    /// The filter that ends here with `#` as one more level.
    hash: Option<Box<Entry>>,
}

impl Node {
    fn child(&self, level: &str) -> Option<Place> {
        match level {
            "+" => Some(self.plus).filter(|place| *place != ROOT),
            _ => self.children.get(level),
        }
    }

    fn link(&mut self, level: &str, child: Place) {
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

/// Children by the text of their level. Most nodes have one, so it is worth being small there.
#[derive(Debug)]
enum Children {
    Few(Vec<(Box<str>, Place)>),
    #[expect(clippy::box_collection, reason = "without it, every node would be twice the size")]
    Many(Box<HashMap<Box<str>, Place>>),
}

impl Default for Children {
    fn default() -> Self {
        Self::Few(Vec::new())
    }
}

impl Children {
    fn is_empty(&self) -> bool {
        match self {
            Self::Few(few) => few.is_empty(),
            Self::Many(many) => many.is_empty(),
        }
    }

    fn get(&self, level: &str) -> Option<Place> {
        match self {
            Self::Few(few) => few.iter().find(|(name, _)| **name == *level).map(|(_, at)| *at),
            Self::Many(many) => many.get(level).copied(),
        }
    }

    /// Adds a child of a name that no other has.
    fn insert(&mut self, level: Box<str>, child: Place) {
        match self {
            Self::Few(few) if few.len() < FEW => {
                if few.is_empty() {
                    few.reserve_exact(1);
                }
                few.push((level, child));
            }
            Self::Few(few) => {
                let all = few.drain(..).chain([(level, child)]).collect();
                *self = Self::Many(Box::new(all));
            }
            Self::Many(many) => {
                many.insert(level, child);
            }
        }
    }

    fn remove(&mut self, level: &str) {
        match self {
            Self::Few(few) => few.retain(|(name, _)| **name != *level),
            Self::Many(many) => {
                many.remove(level);
                give_back(many);
                if many.len() <= FEW / 2 {
                    *self = Self::Few(many.drain().collect());
                }
            }
        }
    }

    fn for_each(&mut self, mut visit: impl FnMut(&mut Place)) {
        match self {
            Self::Few(few) => few.iter_mut().for_each(|(_, place)| visit(place)),
            Self::Many(many) => many.values_mut().for_each(visit),
        }
    }
}

/// Wildcard filters and what is known of each.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
    /// Nodes out of use.
    free: Vec<Place>,
    filters: usize,
    /// Used by searches; kept, so that they need not allocate.
    stack: RefCell<Vec<Step>>,
}

/// A node yet to be looked at, and where in the topic the level begins that comes next. One beyond
/// the topic's end, there is none left.
type Step = (Place, usize);

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
        let place = self.descend(levels)?;
        self.nodes[place].entry_mut(is_hash).as_deref_mut()
    }

    /// The filter's entry, empty if it is new.
    pub(super) fn entry(&mut self, filter: &str) -> &mut Entry {
        let (levels, is_hash) = levels(filter);
        let mut place = ROOT;
        for level in levels {
            place = match self.nodes[place].child(level) {
                Some(child) => child,
                None => {
                    let child = self.node();
                    self.nodes[place].link(level, child);
                    child
                }
            };
        }
        let entry = self.nodes[place].entry_mut(is_hash);
        self.filters += usize::from(entry.is_none());
        entry.get_or_insert_default()
    }

    /// Forgets a filter, and every node that no other needs.
    pub(super) fn remove(&mut self, filter: &str) {
        let (levels, is_hash) = levels(filter);
        let mut path = Vec::new();
        let mut place = ROOT;
        for level in levels {
            let Some(child) = self.nodes[place].child(level) else { return };
            path.push((place, level));
            place = child;
        }
        let entry = self.nodes[place].entry_mut(is_hash).take();
        self.filters -= usize::from(entry.is_some());
        while let Some((parent, level)) = path.pop() {
            if !self.nodes[place].is_empty() {
                break;
            }
            self.nodes[place] = Node::default();
            self.free.push(place);
            self.nodes[parent].unlink(level);
            place = parent;
        }
        if is_slack(self.nodes.len() - self.free.len(), self.nodes.len()) {
            self.compact();
        }
    }

    /// Shows `found` the entry of every filter that matches `topic`; each once. Returns how many
    /// nodes it looked at.
    ///
    /// A node stands for a fixed number of levels, so it can be reached with one beginning of the
    /// topic only, and on one way, the one from its parent. Hence no node is looked at twice, and
    /// a search costs at most the nodes that there are, whatever the wildcards (`+/+/+/...`); and
    /// since every node leads to at most two more, the stack holds at most a step for each level
    /// of the topic, and one more.
    pub(super) fn find(&self, topic: &Topic, mut found: impl FnMut(&Entry)) -> usize {
        let name = topic.as_str();
        let mut looked_at = 0;
        let mut stack = self.stack.take();
        stack.push((ROOT, 0));
        while let Some((place, start)) = stack.pop() {
            looked_at += 1;
            let node = &self.nodes[place];
            let is_passed_over = place == ROOT && topic.is_hidden();
            if let Some(entry) = node.hash.as_deref().filter(|_| !is_passed_over) {
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
            if node.plus != ROOT && !is_passed_over {
                stack.push((node.plus, next));
            }
            if let Some(child) = node.children.get(level) {
                stack.push((child, next));
            }
        }
        self.stack.replace(stack);
        looked_at
    }

    fn descend<'a>(&self, mut levels: impl Iterator<Item = &'a str>) -> Option<Place> {
        levels.try_fold(ROOT, |place, level| self.nodes[place].child(level))
    }

    /// The place of an empty node.
    fn node(&mut self) -> Place {
        self.free.pop().unwrap_or_else(|| {
            self.nodes.push(Node::default());
            self.nodes.len() - 1
        })
    }

    /// Moves all nodes in use together, from the root down. As it waits until most are out of use,
    /// it costs no more than removing them did.
    fn compact(&mut self) {
        let mut nodes = Vec::with_capacity(2 * (self.nodes.len() - self.free.len()));
        nodes.push(std::mem::take(&mut self.nodes[ROOT]));
        let mut parent = ROOT;
        while parent < nodes.len() {
            let mut node = std::mem::take(&mut nodes[parent]);
            let mut shift = |place: &mut Place| {
                nodes.push(std::mem::take(&mut self.nodes[*place]));
                *place = nodes.len() - 1;
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

    /// Nodes in use, and nodes that there is memory for.
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
        let looked_at = trie.find(&Topic::new(name, 255).unwrap(), |_| found += 1);
        (looked_at, found)
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
            let (looked_at, found) = finds(&trie, name);
            assert_eq!(found, expected);
            assert!(looked_at <= nodes, "looked at {looked_at} of {nodes} nodes");
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
            assert_eq!(matches!(children, Children::Many(_)), n > FEW);
        }
        for n in 1..=100 {
            assert!(!children.is_empty());
            children.remove(&name(n));
            assert!((1..=n).all(|n| children.get(&name(n)).is_none()));
            assert!((n + 1..=100).all(|n| children.get(&name(n)) == Some(n)));
            let mut places = Vec::new();
            children.for_each(|place| places.push(*place));
            places.sort_unstable();
            assert!(places.into_iter().eq(n + 1..=100));
            assert_eq!(matches!(children, Children::Many(_)), 100 - n > FEW / 2);
        }
        assert!(children.is_empty());
    }
}
