//! When to free memory that a table or list does not use any more.

use std::collections::HashMap;
use std::hash::Hash;

/// Frees memory of a table that is far larger than its entries need. Entries are moved only after
/// at least as many have been removed.
pub(super) fn shrink_if_sparse<K: Eq + Hash, V>(map: &mut HashMap<K, V>) {
    if is_sparse(map.len(), map.capacity()) {
        map.shrink_to(2 * map.len());
    }
}

/// Whether so little of a capacity is used that the rest is worth freeing.
pub(super) const fn is_sparse(used: usize, capacity: usize) -> bool {
    capacity > 32 && used < capacity / 4
}
