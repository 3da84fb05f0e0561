//! The nodes of the trie.

use super::entry::Entry;
use super::search::{NodeId, ROOT};
use crate::base::sharded::ShardedMap;

/// A node with more children has a hash table of them; up to this number they are searched one by
/// one.
pub(super) const MAX_LISTED: usize = 8;

/// A place where filters part or end. Between a node and its parent is a run of one or more levels,
/// all that the filters below have in common. The parent knows the first of them; the node holds
/// the others.
#[derive(Debug, Default)]
pub(super) struct Node {
    /// The levels of the run after the first, each with a `/` before it. `+` is among them.
    pub(super) rest: Box<str>,
    pub(super) children: Children,
    /// The child whose run begins with `+`, or `ROOT`.
    pub(super) plus: NodeId,
    /// The filter that ends here.
    pub(super) here: Option<Box<Entry>>,
    /// The filter that ends here with `#` as one more level.
    pub(super) hash: Option<Box<Entry>>,
}

impl Node {
    pub(super) fn child(&self, level: &str) -> Option<NodeId> {
        match level {
            "+" => Some(self.plus).filter(|node_id| *node_id != ROOT),
            _ => self.children.get(level),
        }
    }

    pub(super) fn link(&mut self, level: &str, child: NodeId) {
        match level {
            "+" => self.plus = child,
            _ => self.children.insert(level.into(), child),
        }
    }

    pub(super) fn unlink(&mut self, level: &str) {
        match level {
            "+" => self.plus = ROOT,
            _ => self.children.remove(level),
        }
    }

    pub(super) fn entry_mut(&mut self, is_hash: bool) -> &mut Option<Box<Entry>> {
        if is_hash { &mut self.hash } else { &mut self.here }
    }

    pub(super) fn has_entry(&self) -> bool {
        self.here.is_some() || self.hash.is_some()
    }

    /// The number of children.
    pub(super) fn links(&self) -> usize {
        self.children.len() + usize::from(self.plus != ROOT)
    }

    /// One of the children, with the first level of its run; the only one if there is one.
    pub(super) fn any_child(&self) -> Option<(&str, NodeId)> {
        if self.plus != ROOT { Some(("+", self.plus)) } else { self.children.any() }
    }
}

/// Children by the text of the first level of their runs. Most nodes have few, so that case has to
/// be small.
#[derive(Debug)]
pub(super) enum Children {
    Listed(Vec<(Box<str>, NodeId)>),
    /// Boxed, or every node would be far larger.
    Hashed(Box<ShardedMap<Box<str>, NodeId>>),
}

impl Default for Children {
    fn default() -> Self {
        Self::Listed(Vec::new())
    }
}

impl Children {
    pub(super) fn len(&self) -> usize {
        match self {
            Self::Listed(few) => few.len(),
            Self::Hashed(many) => many.len(),
        }
    }

    fn any(&self) -> Option<(&str, NodeId)> {
        match self {
            Self::Listed(few) => few.first().map(|(name, at)| (&**name, *at)),
            Self::Hashed(many) => many.iter().next().map(|(name, at)| (&**name, *at)),
        }
    }

    pub(super) fn get(&self, level: &str) -> Option<NodeId> {
        match self {
            Self::Listed(few) => few.iter().find(|(name, _)| **name == *level).map(|(_, at)| *at),
            Self::Hashed(many) => many.get(level).copied(),
        }
    }

    /// Adds a child. No other child has its text.
    pub(super) fn insert(&mut self, level: Box<str>, child: NodeId) {
        match self {
            Self::Listed(few) if few.len() < MAX_LISTED => {
                if few.is_empty() {
                    few.reserve_exact(1);
                }
                few.push((level, child));
            }
            Self::Listed(few) => {
                let mut many = Box::<ShardedMap<_, _>>::default();
                few.drain(..).for_each(|(level, child)| many.insert(level, child));
                many.insert(level, child);
                *self = Self::Hashed(many);
            }
            Self::Hashed(many) => many.insert(level, child),
        }
    }

    pub(super) fn remove(&mut self, level: &str) {
        match self {
            Self::Listed(few) => {
                few.retain(|(name, _)| **name != *level);
                if few.is_empty() {
                    *few = Vec::new();
                }
            }
            Self::Hashed(many) => {
                many.remove(level);
                if many.len() <= MAX_LISTED / 2 {
                    *self = Self::Listed(many.drain().collect());
                }
            }
        }
    }

    /// All children, each with the first level of its run.
    #[cfg(test)]
    pub(super) fn all(&self) -> Vec<(&str, NodeId)> {
        match self {
            Self::Listed(few) => few.iter().map(|(name, at)| (&**name, *at)).collect(),
            Self::Hashed(many) => many.iter().map(|(name, at)| (&**name, *at)).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!(children.len(), 101 - n);
            children.remove(&name(n));
            assert!((1..=n).all(|n| children.get(&name(n)).is_none()));
            assert!((n + 1..=100).all(|n| children.get(&name(n)) == Some(n)));
            let mut node_ids: Vec<_> = children.all().into_iter().map(|(_, at)| at).collect();
            node_ids.sort_unstable();
            assert!(node_ids.into_iter().eq(n + 1..=100));
            assert_eq!(matches!(children, Children::Hashed(_)), 100 - n > MAX_LISTED / 2);
        }
        assert!(children.len() == 0 && children.any().is_none());
    }
}
