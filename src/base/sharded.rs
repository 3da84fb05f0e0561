//! A hash map that grows and shrinks in small steps, so that no change of it takes long.
//!
//! Its entries are in shards, each a hash table of some hundred entries. As entries are added, one
//! shard after the other is divided into itself and a new one; as entries are removed, the last
//! shard is joined with the one that it was divided from. This is linear hashing, with a hash table
//! for each bucket. A small map is one table.

use std::borrow::Borrow;
use std::hash::{BuildHasher, Hash, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

use super::ledger::block;

/// With more entries for each shard a shard is added. Shards that have not been divided yet since
/// their number was a power of two have up to twice as many, which fit in a table of 512 places.
const FULL: usize = 208;
/// With fewer entries for each shard a shard is removed.
const SPARSE: usize = FULL / 2;

/// Whether so little of a capacity is used that the rest is worth freeing.
pub(crate) const fn is_sparse(used: usize, capacity: usize) -> bool {
    capacity > 32 && used < capacity / 4
}

/// A hash map of which each change moves at most some hundred entries. It is hashed with the random
/// keys of the standard library: clients choose the names, and must not be able to choose names
/// that collide.
#[derive(Debug)]
pub(crate) struct ShardedMap<K, V> {
    hasher: RandomState,
    /// At least one.
    shards: Vec<HashTable<(K, V)>>,
    /// The lowest power of two that is not below the number of shards, less one.
    mask: usize,
    len: usize,
    /// The memory of all tables.
    tables: usize,
    moved: Moved,
}

impl<K, V> Default for ShardedMap<K, V> {
    fn default() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: vec![HashTable::new()],
            mask: 0,
            len: 0,
            tables: 0,
            moved: Moved::default(),
        }
    }
}

impl<K, V> ShardedMap<K, V> {
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// The memory that it takes, without that which its keys and values refer to.
    pub(crate) const fn memory(&self) -> usize {
        self.tables + block(self.shards.capacity() * size_of::<HashTable<(K, V)>>())
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.shards.iter().flatten().map(|(key, value)| (key, value))
    }

    /// Takes all entries out.
    pub(crate) fn drain(&mut self) -> impl Iterator<Item = (K, V)> + use<K, V> {
        std::mem::take(self).shards.into_iter().flatten()
    }

    /// The shard in which the entries of this hash are. The tables use its lowest and its highest
    /// bits, so it is chosen by others.
    #[inline]
    #[allow(clippy::cast_possible_truncation, reason = "the bits that are needed are left")]
    const fn shard(&self, hash: u64) -> usize {
        let shard = (hash >> 32) as usize & self.mask;
        if shard < self.shards.len() { shard } else { shard & (self.mask >> 1) }
    }
}

impl<K: Eq + Hash, V> ShardedMap<K, V> {
    #[inline]
    pub(crate) fn get<Q: Eq + Hash + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        if self.len == 0 {
            return None;
        }
        let hash = self.hasher.hash_one(key);
        let shard = self.shards.get(self.shard(hash))?;
        shard.find(hash, |(own, _)| own.borrow() == key).map(|(_, value)| value)
    }

    pub(crate) fn get_mut<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let hash = self.hasher.hash_one(key);
        let at = self.shard(hash);
        let shard = self.shards.get_mut(at)?;
        shard.find_mut(hash, |(own, _)| own.borrow() == key).map(|(_, value)| value)
    }

    /// The value of this key, which is added with the value that `make` returns if it is not there.
    pub(crate) fn or_insert_with(&mut self, key: K, make: impl FnOnce() -> V) -> &mut V {
        self.moved.start();
        if self.len >= FULL * self.shards.len() {
            self.divide();
        }
        let hash = self.hasher.hash_one(&key);
        let at = self.shard(hash);
        let Self { hasher, shards, len, tables, moved, .. } = self;
        let rehash = |(own, _): &(K, V)| moved.counted(hasher.hash_one(own));
        let shard = &mut shards[at];
        *tables -= memory(shard);
        shard.reserve(1, rehash);
        *tables += memory(shard);
        match shard.entry(hash, |(own, _)| *own == key, rehash) {
            Entry::Occupied(entry) => &mut entry.into_mut().1,
            Entry::Vacant(place) => {
                *len += 1;
                &mut place.insert((key, make())).into_mut().1
            }
        }
    }

    /// Sets the value of this key.
    pub(crate) fn insert(&mut self, key: K, value: V)
    where
        V: Copy,
    {
        *self.or_insert_with(key, || value) = value;
    }

    pub(crate) fn remove<Q: Eq + Hash + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        self.moved.start();
        let hash = self.hasher.hash_one(key);
        let at = self.shard(hash);
        let Self { hasher, shards, len, tables, moved, .. } = self;
        let shard = shards.get_mut(at)?;
        let entry = shard.find_entry(hash, |(own, _)| own.borrow() == key).ok()?;
        let ((_, value), _) = entry.remove();
        *len -= 1;
        // A shard that was just divided has a fifth of its places in use.
        if is_sparse(shard.len(), shard.num_buckets() / 2) {
            *tables -= memory(shard);
            shard.shrink_to(2 * shard.len(), |(own, _)| moved.counted(hasher.hash_one(own)));
            *tables += memory(shard);
        }
        if self.shards.len() > 1 && self.len < SPARSE * self.shards.len() {
            self.join();
        }
        Some(value)
    }

    /// Adds a shard, and moves there what belongs in it of the shard that is to be divided next.
    /// Both have room for all that comes until they are divided: tables of one size take the place
    /// of each other. If they began small and grew, an allocator would keep the memory of tables of
    /// each size.
    fn divide(&mut self) {
        let new = self.shards.len();
        self.mask = (new + 1).next_power_of_two() - 1;
        let place = &mut self.shards[new & (self.mask >> 1)];
        let room = place.capacity().min(2 * FULL);
        let divided = std::mem::replace(place, HashTable::with_capacity(room));
        let added = HashTable::with_capacity(room);
        self.tables += memory(place) + memory(&added);
        self.tables -= memory(&divided);
        self.shards.push(added);
        for (key, value) in divided {
            self.put(key, value);
        }
    }

    /// Removes the last shard, and moves what is in it to the shard that it was divided from.
    fn join(&mut self) {
        let Some(last) = self.shards.pop() else { return };
        self.tables -= memory(&last);
        self.mask = self.shards.len().next_power_of_two() - 1;
        for (key, value) in last {
            self.put(key, value);
        }
        if is_sparse(self.shards.len(), self.shards.capacity()) {
            self.shards.shrink_to(2 * self.shards.len());
        }
    }

    /// Puts an entry that was taken out where it belongs now.
    fn put(&mut self, key: K, value: V) {
        let hash = self.moved.counted(self.hasher.hash_one(&key));
        let at = self.shard(hash);
        let Self { hasher, shards, tables, moved, .. } = self;
        let shard = &mut shards[at];
        *tables -= memory(shard);
        shard.insert_unique(hash, (key, value), |(own, _)| moved.counted(hasher.hash_one(own)));
        *tables += memory(shard);
    }
}

/// The memory of a table.
fn memory<T>(table: &HashTable<T>) -> usize {
    block(table.allocation_size())
}

/// In tests it counts the entries that a change moves, once for each time that one is hashed again.
#[derive(Debug, Default)]
struct Moved(#[cfg(test)] std::cell::Cell<usize>);

impl Moved {
    #[inline]
    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "it counts in tests only"))]
    fn start(&self) {
        #[cfg(test)]
        self.0.replace(0);
    }

    #[inline]
    #[cfg_attr(not(test), allow(clippy::unused_self, reason = "it counts in tests only"))]
    fn counted(&self, hash: u64) -> u64 {
        #[cfg(test)]
        self.0.set(self.0.get() + 1);
        hash
    }
}

#[cfg(test)]
impl<K, V> ShardedMap<K, V> {
    /// The entries that the last change moved.
    pub(crate) fn moved(&self) -> usize {
        self.moved.0.get()
    }
}

#[cfg(test)]
mod tests;
