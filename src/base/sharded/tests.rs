//! Goal: a map is right while it grows and shrinks, no change moves many entries, and its memory is
//! that of its entries.
//! Method: a map of the standard library beside it; the entries that each change moves are counted.

use std::collections::HashMap;
use std::sync::Arc;

use fastrand::Rng;

use super::*;

/// More entries than one change may move: a shard that is divided, both halves of it if they grow,
/// and the shard of the new entry if it grows. Some 490 + 2 * 225 + 448, of all 200,000.
const MOST: usize = 1500;

impl<K: Eq + Hash, V> ShardedMap<K, V> {
    /// Checks the sums, and that each entry is in its shard.
    fn check(&self) {
        let tables: usize = self.shards.iter().map(memory).sum();
        assert_eq!((self.tables, self.iter().count()), (tables, self.len));
        assert_eq!(self.mask, self.shards.len().next_power_of_two() - 1);
        for (at, shard) in self.shards.iter().enumerate() {
            assert!(shard.iter().all(|(key, _)| self.shard(self.hasher.hash_one(key)) == at));
        }
    }
}

fn name(number: u32) -> Arc<str> {
    format!("some/{number}").into()
}

#[test]
fn no_change_moves_many_entries_and_memory_comes_back() {
    const COUNT: u32 = 200_000;
    let mut map = ShardedMap::<Arc<str>, u32>::default();
    let (mut most, mut moved) = (0, 0);
    let place = size_of::<(Arc<str>, u32)>() + 1;
    for number in 0..COUNT {
        map.insert(name(number), number);
        most = most.max(map.moved());
        moved += map.moved();
        let least = map.len() * place;
        assert!(map.memory() < 4 * least + 1024, "{} for {number}", map.memory());
    }
    assert!(moved < 6 * COUNT as usize, "{moved} moved while it grew");
    assert!(map.shards.len() > 900, "{} shards", map.shards.len());
    map.check();
    assert!((0..COUNT).all(|number| map.get(&*name(number)) == Some(&number)));
    moved = 0;
    for number in 0..COUNT {
        assert_eq!(map.remove(&*name(number)), Some(number));
        most = most.max(map.moved());
        moved += map.moved();
        let least = map.len() * place;
        assert!(map.memory() < 8 * least + 4096, "{} for {}", map.memory(), map.len());
        if number % 50_000 == 7 {
            map.check();
            assert!((0..=number).all(|gone| map.get(&*name(gone)).is_none()));
            assert!(
                (number + 1..COUNT).all(|left| map.get_mut(&*name(left)) == Some(&mut { left }))
            );
        }
    }
    assert!(moved < 6 * COUNT as usize, "{moved} moved while it shrank");
    assert!((100..MOST).contains(&most), "one change moved {most} entries");
    assert_eq!((map.len(), map.shards.len()), (0, 1));
    assert!(map.memory() < 4096, "{} bytes are left", map.memory());
}

#[test]
fn it_is_a_map() {
    for seed in 0..8 {
        let (mut rng, mut model) = (Rng::with_seed(seed), HashMap::new());
        let mut map = ShardedMap::<u64, u32>::default();
        // Up and down through the numbers at which shards are added and removed.
        let keys = 1_500 << (seed % 3);
        for n in 0..20_000 {
            let (key, value) = (rng.u64(..keys), rng.u32(..));
            let is_growing = n / 5_000 % 2 == 0;
            match rng.u8(..8) {
                0 => assert_eq!(map.get(&key), model.get(&key)),
                1 => assert_eq!(map.get_mut(&key), model.get_mut(&key)),
                2 => {
                    let ours = *map.or_insert_with(key, || value);
                    assert_eq!(ours, *model.entry(key).or_insert(value));
                }
                roll if (roll < 7) == is_growing => {
                    map.insert(key, value);
                    model.insert(key, value);
                }
                _ => assert_eq!(map.remove(&key), model.remove(&key)),
            }
            assert_eq!(map.len(), model.len());
        }
        map.check();
        assert!(model.iter().all(|(key, value)| map.get(key) == Some(value)));
        let all: HashMap<_, _> = map.drain().collect();
        assert_eq!((all, map.len(), map.get(&0)), (model, 0, None));
    }
}
