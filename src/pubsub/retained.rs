//! The last value of each topic, as one core knows it.
//!
//! Each core has a replica, and changes reach the replicas in different orders. The highest version
//! wins everywhere, so that they come to the same. A cleared topic leaves its version behind for a
//! while, or a value set earlier that arrives later would be back.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::name::{Filter, Topic};

/// How long the version of a cleared topic is known: far longer than a change travels.
const TOMBSTONE_MS: u64 = 60_000;

/// What a value costs beside its payload and its topic.
const OVERHEAD: usize = 64;

/// Which of two changes is the later one: Lamport's clock, and between equal ones the core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Version {
    /// The clock of the core that publishes, see [`Retained::clock`].
    pub(crate) clock: u64,
    /// The core's number.
    pub(crate) core: u16,
}

/// What [`Retained::next`] found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a, V> {
    /// A topic and its value.
    Value(&'a Topic, &'a V),
    /// Nothing so far; go on behind this topic.
    Looked(Topic),
    /// There is no more.
    End,
}

/// The replica of one core.
#[derive(Debug)]
pub(crate) struct Retained<V> {
    values: BTreeMap<Key, Value<V>>,
    /// Of each topic cleared lately the version, and the number of the change.
    tombstones: BTreeMap<Key, (Version, u64)>,
    /// By these numbers, so in order of age: the topic, and when it was cleared.
    ages: BTreeMap<u64, (Topic, u64)>,
    max_count: usize,
    max_bytes: usize,
    bytes: usize,
    clock: u64,
    sequence: u64,
}

#[derive(Debug)]
struct Value<V> {
    version: Version,
    /// The number of the change that brought it.
    sequence: u64,
    /// All that it costs.
    bytes: usize,
    value: V,
}

/// A topic, which is ordered by its text and here also found by it.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Topic);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

/// What a payload of so many bytes costs under this topic.
fn cost(topic: &Topic, payload: usize) -> usize {
    payload.saturating_add(topic.as_str().len()).saturating_add(OVERHEAD)
}

impl<V> Retained<V> {
    /// Nothing retained. The limits are kept by [`Self::fits`], not by [`Self::apply`].
    pub(crate) fn new(max_count: usize, max_bytes: usize) -> Self {
        Self {
            values: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            ages: BTreeMap::new(),
            max_count,
            max_bytes,
            bytes: 0,
            clock: 0,
            sequence: 0,
        }
    }

    /// Whether a payload of `bytes` for `topic`, in place of an earlier one, keeps the limits. The
    /// core asks where it is published. The others follow, or replicas would differ; so the limits
    /// can be passed by what several cores accept at the same time.
    pub(crate) fn fits(&self, topic: &Topic, bytes: usize) -> bool {
        let earlier = self.values.get(topic.as_str());
        let others = self.values.len() - usize::from(earlier.is_some());
        let their_bytes = self.bytes - earlier.map_or(0, |earlier| earlier.bytes);
        others < self.max_count && their_bytes.saturating_add(cost(topic, bytes)) <= self.max_bytes
    }

    /// Sets a value, given with the bytes of its payload, or clears it. `false` if this version or
    /// a newer one is there already: then nothing changes.
    pub(crate) fn apply(
        &mut self,
        topic: &Topic,
        version: Version,
        value: Option<(V, usize)>,
        now_ms: u64,
    ) -> bool {
        self.observe(version.clock);
        self.forget_old(now_ms);
        let name = topic.as_str();
        let set = self.values.get(name).map(|value| value.version);
        let cleared = self.tombstones.get(name).map(|(version, _)| *version);
        if set.max(cleared) >= Some(version) {
            return false;
        }
        if let Some(earlier) = self.values.remove(name) {
            self.bytes -= earlier.bytes;
        }
        if let Some((_, earlier)) = self.tombstones.remove(name) {
            self.ages.remove(&earlier);
        }
        self.sequence += 1;
        let (key, sequence) = (Key(topic.clone()), self.sequence);
        match value {
            Some((value, payload)) => {
                let bytes = cost(topic, payload);
                self.bytes = self.bytes.saturating_add(bytes);
                self.values.insert(key, Value { version, sequence, bytes, value });
            }
            None => {
                self.tombstones.insert(key, (version, sequence));
                self.ages.insert(sequence, (topic.clone(), now_ms));
                if self.ages.len() > self.max_count {
                    self.forget_oldest();
                }
            }
        }
        true
    }

    /// The clock for the next change made on this core.
    pub(crate) fn clock(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Takes note of the clock of another core; [`Self::apply`] does so by itself.
    pub(crate) fn observe(&mut self, clock: u64) {
        self.clock = self.clock.max(clock);
    }

    /// The number of changes so far. Who subscribes now gets what is stored up to here by
    /// [`Self::next`], and what comes later as it is published.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The first value behind the topic `after` that `filter` matches and that is in place since
    /// the change number `until` or before. Looks at `most_looked` topics, but at least at one.
    pub(crate) fn next(
        &self,
        filter: &Filter,
        after: Option<&Topic>,
        until: u64,
        most_looked: usize,
    ) -> Next<'_, V> {
        let prefix = filter.literal_prefix();
        let after = after.map(Topic::as_str);
        // Found by its name: the filter itself if it is a plain topic, and `a` for `a/#`, which
        // does not begin with the prefix.
        let wildcard = filter.has_wildcard();
        let alone = if wildcard { prefix.strip_suffix('/') } else { Some(prefix) };
        let alone = alone.filter(|name| after.is_none_or(|after| after < *name));
        let alone = alone.and_then(|name| self.values.get_key_value(name));
        let start = match after {
            Some(after) if after >= prefix => Bound::Excluded(after),
            _ => Bound::Included(prefix),
        };
        let rest = self
            .values
            .range::<str, _>((start, Bound::Unbounded))
            .take_while(|(key, _)| wildcard && key.0.as_str().starts_with(prefix));
        for (looked, (key, value)) in (1..).zip(alone.into_iter().chain(rest)) {
            if value.sequence <= until && filter.matches(&key.0) {
                return Next::Value(&key.0, &value.value);
            }
            if looked >= most_looked {
                return Next::Looked(key.0.clone());
            }
        }
        Next::End
    }

    /// How many values there are.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    fn forget_old(&mut self, now_ms: u64) {
        while let Some((_, (_, made))) = self.ages.first_key_value()
            && now_ms.saturating_sub(*made) >= TOMBSTONE_MS
        {
            self.forget_oldest();
        }
    }

    fn forget_oldest(&mut self) {
        if let Some((_, (topic, _))) = self.ages.pop_first() {
            self.tombstones.remove(topic.as_str());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: [&str; 10] = ["a", "a b", "a/", "a/b", "a/b/c", "a/c", "a0", "b", "b/\u{e9}", "$s/a"];

    fn topic(name: &str) -> Topic {
        Topic::new(name, 64).unwrap()
    }

    fn v(clock: u64) -> Version {
        Version { clock, core: 0 }
    }

    fn all(retained: &Retained<u32>) -> Vec<(String, u32)> {
        retained.values.iter().map(|(key, v)| (key.0.as_str().to_owned(), v.value)).collect()
    }

    #[test]
    fn the_highest_version_wins() {
        let mut retained = Retained::new(9, 999);
        let mut set = |clock, core, value| {
            retained.apply(&topic("a"), Version { clock, core }, Some((value, 0)), 0)
        };
        assert!(set(5, 1, 1));
        assert!(!set(5, 1, 2), "the same change");
        assert!(!set(5, 0, 2));
        assert!(!set(4, 9, 2));
        assert!(set(5, 2, 3));
        assert!(set(6, 0, 4));
        assert_eq!(all(&retained), [("a".to_owned(), 4)]);
        assert_eq!((retained.sequence(), retained.len(), retained.bytes), (3, 1, 65));
    }

    #[test]
    fn clocks_run_ahead_of_all_that_was_seen() {
        let mut retained = Retained::new(9, 999);
        assert_eq!((retained.clock(), retained.clock()), (1, 2));
        retained.observe(7);
        assert_eq!(retained.clock(), 8);
        assert!(retained.apply(&topic("a"), v(20), Some((1, 0)), 0));
        assert!(!retained.apply(&topic("a"), v(15), Some((1, 0)), 0));
        assert_eq!(retained.clock(), 21);
    }

    #[test]
    fn what_was_cleared_does_not_come_back_for_a_minute() {
        let mut retained = Retained::new(9, 999);
        assert!(retained.apply(&topic("a"), v(3), None, 1000), "even before it was set");
        assert!(!retained.apply(&topic("a"), v(2), Some((1, 0)), 1000 + TOMBSTONE_MS - 1));
        assert!(!retained.apply(&topic("a"), v(3), Some((1, 0)), 1000));
        assert_eq!((retained.len(), retained.bytes, retained.sequence()), (0, 0, 1));
        assert!(retained.apply(&topic("a"), v(4), Some((1, 0)), 1000), "a later one does");
        assert_eq!((retained.tombstones.len(), retained.ages.len()), (0, 0));
        assert!(retained.apply(&topic("a"), v(5), None, 2000));
        assert_eq!((retained.len(), retained.bytes), (0, 0));
        assert!(retained.apply(&topic("a"), v(1), Some((2, 0)), 2000 + TOMBSTONE_MS));
        assert_eq!((retained.tombstones.len(), retained.ages.len()), (0, 0));
    }

    #[test]
    fn tombstones_are_few() {
        let mut retained = Retained::new(2, 999);
        for (name, clock) in [("a", 10), ("b", 11), ("a", 12)] {
            assert!(retained.apply(&topic(name), v(clock), None, 0));
        }
        assert!(!retained.apply(&topic("b"), v(1), Some((1, 0)), 0), "two topics, two tombstones");
        assert!(retained.apply(&topic("c"), v(13), None, 0));
        assert_eq!((retained.tombstones.len(), retained.ages.len()), (2, 2));
        assert!(!retained.apply(&topic("a"), v(1), Some((1, 0)), 0));
        assert!(!retained.apply(&topic("c"), v(1), Some((1, 0)), 0));
        assert!(retained.apply(&topic("b"), v(1), Some((1, 0)), 0), "the oldest was forgotten");
    }

    #[test]
    fn limits_are_asked_for() {
        let mut retained = Retained::new(2, 200);
        assert!(retained.fits(&topic("a"), 135));
        assert!(!retained.fits(&topic("a"), 136));
        assert!(!retained.fits(&topic("ab"), 135));
        assert!(!retained.fits(&topic("a"), usize::MAX));
        assert!(retained.apply(&topic("a"), v(1), Some((1, 35)), 0));
        assert_eq!(retained.bytes, 100);
        assert!(retained.fits(&topic("b"), 35));
        assert!(!retained.fits(&topic("b"), 36));
        assert!(retained.fits(&topic("a"), 135), "in place of the earlier one");
        assert!(retained.apply(&topic("b"), v(2), Some((2, 0)), 0));
        assert!(!retained.fits(&topic("c"), 0), "a third");
        assert!(retained.apply(&topic("c"), v(3), Some((3, 500)), 0), "another core took it");
        assert!(!retained.fits(&topic("b"), 0));
        assert!(retained.apply(&topic("c"), v(4), None, 0));
        assert_eq!((retained.len(), retained.bytes), (2, 165));
        assert!(!Retained::<u32>::new(0, 999).fits(&topic("a"), 0));
    }

    #[test]
    fn replicas_come_to_the_same() {
        let mut random = fastrand::Rng::with_seed(1);
        for _ in 0..500 {
            let mut newest = BTreeMap::new();
            let mut changes = Vec::new();
            for value in 0..random.u32(1..60) {
                let version = Version { clock: random.u64(1..30), core: random.u16(0..3) };
                if changes.iter().any(|(_, other, _)| *other == version) {
                    continue;
                }
                let (name, value) = (*random.choice(&AT).unwrap(), random.bool().then_some(value));
                changes.push((name, version, value));
                let best = newest.entry(name).or_insert((version, value));
                *best = (*best).max((version, value));
            }
            let values = newest.iter().filter_map(|(name, (_, value))| Some((*name, (*value)?)));
            let expected: Vec<_> = values.map(|(name, value)| (name.to_owned(), value)).collect();
            let cost = |(name, value): &(String, u32)| *value as usize + name.len() + OVERHEAD;
            for _ in 0..3 {
                random.shuffle(&mut changes);
                let mut replica = Retained::new(AT.len(), 0);
                for (now, (name, version, value)) in (0..).zip(&changes) {
                    let value = value.map(|value| (value, value as usize));
                    replica.apply(&topic(name), *version, value, now);
                }
                assert_eq!(all(&replica), expected, "{changes:?}");
                assert_eq!(replica.bytes, expected.iter().map(cost).sum::<usize>());
                assert_eq!(replica.len() + replica.tombstones.len(), newest.len());
            }
        }
    }

    #[test]
    fn replays_are_in_order_and_complete() {
        let filters = ["#", "+", "a", "a/#", "a/+", "+/b", "a/b/#", "a//#", "b/+/c", "$s/#", "z/#"];
        let mut random = fastrand::Rng::with_seed(2);
        for _ in 0..3000 {
            let mut retained = Retained::new(99, 0);
            let mut stored = BTreeMap::new();
            let until = random.u64(0..30);
            for clock in 1..30 {
                let (name, set) = (*random.choice(&AT).unwrap(), random.u8(..) > 60);
                assert!(retained.apply(&topic(name), v(clock), set.then_some((clock, 0)), 0));
                stored.remove(name);
                if set {
                    stored.insert(name, clock);
                }
            }
            let filter = Filter::new(random.choice(&filters).unwrap(), 64).unwrap();
            let first = random.bool().then(|| topic(random.choice(&AT).unwrap()));
            let most = random.usize(0..5);
            let expected = stored.iter().filter(|(name, clock)| {
                **clock <= until
                    && filter.matches(&topic(name))
                    && first.as_ref().is_none_or(|first| first.as_str() < **name)
            });
            let expected: Vec<_> = expected.map(|(name, clock)| (topic(name), *clock)).collect();
            let (mut found, mut after) = (Vec::new(), first);
            loop {
                let next = retained.next(&filter, after.as_ref(), until, most);
                let to = match next {
                    Next::Value(topic, clock) => {
                        found.push((topic.clone(), *clock));
                        topic.clone()
                    }
                    Next::Looked(topic) => topic,
                    Next::End => break,
                };
                assert!(after.as_ref().is_none_or(|after| after < &to), "no way back");
                let looked = stored.keys().filter(|name| {
                    **name <= to.as_str()
                        && name.starts_with(filter.literal_prefix())
                        && after.as_ref().is_none_or(|after| after.as_str() < **name)
                });
                assert!(looked.count() <= most.max(1));
                after = Some(to);
            }
            assert_eq!(found, expected, "{filter:?} {until}");
        }
    }
}
