//! The nodes of the trie by number.

use std::ops::{Index, IndexMut};

use super::node::Node;
use super::search::NodeId;

/// The places of a block.
const BLOCK: usize = u64::BITS as usize;

/// Nodes that never move: the memory of each is allocated and freed by itself. The places that
/// refer to them are in blocks, so that no change costs more with many nodes. A place is used
/// again, and a block is freed with its last node.
#[derive(Debug, Default)]
pub(super) struct Nodes {
    blocks: Vec<Block>,
    /// The blocks that have a free place.
    with_room: Vec<usize>,
    len: usize,
    /// The blocks that memory is held for.
    held: usize,
}

#[derive(Debug)]
struct Block {
    /// A bit for each free place.
    free: u64,
    /// No places if none is used.
    places: Box<[Option<Box<Node>>]>,
}

impl Block {
    const EMPTY: u64 = u64::MAX;
}

impl Nodes {
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    /// The memory of the nodes and their places, without what nodes refer to.
    pub(super) const fn memory(&self) -> usize {
        let places = self.held * BLOCK * size_of::<Option<Box<Node>>>();
        let tables = self.blocks.capacity() * size_of::<Block>() + self.with_room.capacity() * 8;
        self.len * size_of::<Node>() + places + tables
    }

    #[inline]
    pub(super) fn get(&self, node_id: NodeId) -> Option<&Node> {
        self.blocks.get(node_id / BLOCK)?.places.get(node_id % BLOCK)?.as_deref()
    }

    /// Adds an empty node.
    pub(super) fn add(&mut self) -> NodeId {
        let at = self.with_room.last().copied().unwrap_or_else(|| {
            self.blocks.push(Block { free: Block::EMPTY, places: Box::default() });
            self.with_room.push(self.blocks.len() - 1);
            self.blocks.len() - 1
        });
        let block = &mut self.blocks[at];
        if block.free == Block::EMPTY {
            block.places = (0..BLOCK).map(|_| None).collect();
            self.held += 1;
        }
        let place = block.free.trailing_zeros() as usize;
        block.places[place] = Some(Box::default());
        block.free &= block.free - 1;
        if block.free == 0 {
            self.with_room.pop();
        }
        self.len += 1;
        at * BLOCK + place
    }

    /// Takes a node out.
    pub(super) fn remove(&mut self, node_id: NodeId) -> Node {
        let (at, place) = (node_id / BLOCK, node_id % BLOCK);
        let block = &mut self.blocks[at];
        let Some(node) = block.places[place].take() else { return Node::default() };
        if block.free == 0 {
            self.with_room.push(at);
        }
        block.free |= 1 << place;
        if block.free == Block::EMPTY {
            block.places = Box::default();
            self.held -= 1;
        }
        self.len -= 1;
        *node
    }

    /// Frees the tables of blocks if all nodes are in the first block, as that of the root is.
    pub(super) fn shrink(&mut self) {
        if self.held == 1 && self.blocks.len() > 1 && self.blocks[0].free != Block::EMPTY {
            self.blocks.truncate(1);
            self.blocks.shrink_to_fit();
            self.with_room = if self.len < BLOCK { vec![0] } else { Vec::new() };
        }
    }
}

impl Index<NodeId> for Nodes {
    type Output = Node;

    #[inline]
    fn index(&self, node_id: NodeId) -> &Node {
        let Some(node) = self.get(node_id) else { panic!("node {node_id} is not in use") };
        node
    }
}

impl IndexMut<NodeId> for Nodes {
    #[inline]
    fn index_mut(&mut self, node_id: NodeId) -> &mut Node {
        let place = &mut self.blocks[node_id / BLOCK].places[node_id % BLOCK];
        let Some(node) = place else { panic!("node {node_id} is not in use") };
        node
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_used_again_and_empty_blocks_freed() {
        let mut nodes = Nodes::default();
        let all: Vec<NodeId> = (0..10 * BLOCK).map(|_| nodes.add()).collect();
        assert!(all.iter().copied().eq(0..10 * BLOCK));
        let full = nodes.memory();
        // One node is left in every second block.
        let is_left = |node_id: NodeId| node_id % (2 * BLOCK) == 5;
        for node_id in all.iter().copied().filter(|node_id| !is_left(*node_id)) {
            nodes.remove(node_id);
            nodes.shrink();
        }
        assert_eq!((nodes.len(), nodes.held), (5, 5));
        assert!(nodes.memory() < full / 8, "{} of {full}", nodes.memory());
        assert!(all.iter().all(|node_id| nodes.get(*node_id).is_some() == is_left(*node_id)));
        let mut again: Vec<NodeId> = (5..10 * BLOCK).map(|_| nodes.add()).collect();
        again.sort_unstable();
        assert!(again.into_iter().eq(all.iter().copied().filter(|node_id| !is_left(*node_id))));
        assert!(nodes.memory().abs_diff(full) < 256 && nodes.held == 10, "{}", nodes.memory());
        for node_id in all.into_iter().filter(|node_id| *node_id >= 3) {
            nodes.remove(node_id);
            nodes.shrink();
        }
        assert_eq!((nodes.len(), nodes.held, nodes.blocks.len(), nodes.add()), (3, 1, 1, 3));
        assert!(nodes.get(4).is_none() && nodes.get(BLOCK).is_none());
    }
}
