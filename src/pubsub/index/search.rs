//! A search of the trie, kept between its steps.

/// The number of a node.
pub(super) type NodeId = usize;

/// The node of no level. It is no node's child, so as a child it means that there is none.
pub(super) const ROOT: NodeId = 0;

/// A search of a trie, which may be continued as long as the trie does not change. Kept for its
/// memory, so that a search does not allocate.
#[derive(Debug, Default)]
pub(super) struct Search {
    /// Nodes to be visited, each with the offset in the topic where the level after the first of
    /// the node's run begins. The offset is one beyond the topic's end if no level is left.
    pub(super) stack: Vec<(NodeId, usize)>,
}

impl Search {
    /// Begins a search.
    pub(super) fn begin(&mut self) {
        self.stack.clear();
        self.stack.push((ROOT, 0));
    }

    /// Ends a search, complete or not.
    pub(super) fn end(&mut self) {
        self.stack.clear();
    }
}
