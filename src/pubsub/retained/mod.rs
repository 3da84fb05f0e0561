//! The retained value of each topic: the replica of one core.
//!
//! Changes reach the replicas in different orders. The highest version wins everywhere, so all
//! replicas converge. The version of a cleared topic is kept for a while; otherwise a value that
//! was set earlier and arrives later would be stored again.

mod totals;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::name::{Filter, Topic};
pub(crate) use totals::RetainLimit;
pub use totals::Totals;

/// How long the version of a cleared topic is kept: far longer than a change takes to reach a core.
const TOMBSTONE_MS: u64 = 60_000;

/// The most tombstones that one change drops, of those that are too old and of those that are too
/// many. It adds one at most, so their number does not grow, and no change takes long.
const MOST_DROPPED: usize = 4;

/// The bytes that a value counts for besides its payload and its topic.
const OVERHEAD: usize = 64;
/// The memory that it takes besides, and that of a tombstone: places in trees whose nodes are not
/// full, and the headers of allocations.
const VALUE: usize = 288;
const TOMBSTONE: usize = 144;

/// Orders two changes: by Lamport clock, and for equal clocks by core.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct Version {
    /// The clock of the core that publishes, see [`Retained::clock`].
    pub(crate) clock: u64,
    /// The core's number.
    pub(crate) core: u16,
}

/// The result of [`Retained::next`].
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next<'a, V> {
    /// A topic and its value.
    Value(&'a Topic, &'a V),
    /// None so far; continue after this topic.
    Continue(Topic),
    /// There are no more values.
    End,
}

/// The replica of one core.
#[derive(Debug)]
pub(crate) struct Retained<V> {
    values: BTreeMap<Key, Value<V>>,
    /// For each topic cleared lately, the version and the number of the change.
    tombstones: BTreeMap<Key, (Version, u64)>,
    /// By these numbers, and so in order of age: the topic and the time when it was cleared.
    ages: BTreeMap<u64, (Topic, u64)>,
    /// The bytes that all values count for, and those of the topics with a tombstone.
    bytes: usize,
    cleared: usize,
    /// The totals of all cores.
    totals: Totals,
    /// This core, which counts in the totals the values that it has accepted itself.
    core: u16,
    clock: u64,
    /// By core, the clock that all changes made there and still to come are above. Empty if there
    /// is one core.
    behind: Vec<u64>,
    sequence: u64,
}

#[derive(Debug)]
struct Value<V> {
    version: Version,
    /// The number of the change that set it.
    sequence: u64,
    /// All bytes that it counts for.
    bytes: usize,
    value: V,
}

/// A topic, ordered and looked up by its text.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Topic);

impl Borrow<str> for Key {
    fn borrow(&self) -> &str {
        self.0.as_str()
    }
}

/// The bytes that a payload counts for under this topic.
fn cost(topic: &Topic, payload: usize) -> usize {
    payload.saturating_add(topic.as_str().len()).saturating_add(OVERHEAD)
}

impl<V> Retained<V> {
    /// An empty replica for the core of this number. [`Self::reserve`] enforces the limits of
    /// `totals`; [`Self::apply`] does not.
    pub(crate) fn new(totals: Totals, core: u16) -> Self {
        Self {
            values: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            ages: BTreeMap::new(),
            bytes: 0,
            cleared: 0,
            totals,
            core,
            clock: 0,
            behind: Vec::new(),
            sequence: 0,
        }
    }

    /// Changes come from `cores` cores, each in the order of its clock; [`passed`](Self::passed)
    /// says how far. Until a tombstone is passed by all of them it is kept, however many there are.
    pub(crate) fn set_cores(&mut self, cores: usize) {
        self.behind = vec![0; cores];
        self.passed(usize::from(self.core), u64::MAX);
    }

    /// All further changes made on another core are above this clock.
    pub(crate) fn passed(&mut self, core: usize, clock: u64) {
        if let Some(behind) = self.behind.get_mut(core) {
            *behind = (*behind).max(clock);
        }
    }

    /// Counts a payload of `bytes` for `topic` in the totals, in place of an earlier one. The
    /// caller has to apply the value at once, with the next version of this core.
    ///
    /// # Errors
    /// The limit that would be exceeded.
    pub(crate) fn reserve(&self, topic: &Topic, bytes: usize) -> Result<(), RetainLimit> {
        // The core that accepted the earlier value subtracts it once it has applied this one.
        let earlier = self.values.get(topic.as_str()).map_or(0, |earlier| earlier.bytes);
        self.totals.take(cost(topic, bytes), earlier)
    }

    /// Sets a value, given with the length of its payload, or clears it. Returns false, and changes
    /// nothing, if this version or a newer one is stored already.
    pub(crate) fn apply(
        &mut self,
        topic: &Topic,
        version: Version,
        value: Option<(V, usize)>,
        now_ms: u64,
    ) -> bool {
        self.observe(version.clock);
        self.passed(usize::from(version.core), version.clock);
        self.expire_tombstones(now_ms);
        let name = topic.as_str();
        let set = self.values.get(name).map(|value| value.version);
        let cleared = self.tombstones.get(name).map(|(version, _)| *version);
        if set.max(cleared) >= Some(version) {
            return false;
        }
        if let Some(earlier) = self.values.remove(name) {
            self.bytes -= earlier.bytes;
            if earlier.version.core == self.core {
                self.totals.give(earlier.bytes);
            }
        }
        if let Some((_, earlier)) = self.tombstones.remove(name) {
            self.cleared -= name.len();
            self.ages.remove(&earlier);
        }
        self.sequence += 1;
        let (key, sequence) = (Key(topic.clone()), self.sequence);
        match value {
            Some((value, payload)) => {
                let bytes = cost(topic, payload);
                self.bytes += bytes;
                self.values.insert(key, Value { version, sequence, bytes, value });
            }
            None => {
                self.cleared += name.len();
                self.tombstones.insert(key, (version, sequence));
                self.ages.insert(sequence, (topic.clone(), now_ms));
                self.limit_tombstones();
            }
        }
        true
    }

    /// The clock for the next change made on this core.
    pub(crate) fn clock(&mut self) -> u64 {
        self.clock = self.totals.next_clock(self.clock);
        self.clock
    }

    /// The clock of the last change that is known.
    pub(crate) const fn last_clock(&self) -> u64 {
        self.clock
    }

    /// Advances the clock to that of another core. [`Self::apply`] does so as well.
    pub(crate) fn observe(&mut self, clock: u64) {
        self.clock = self.clock.max(clock);
    }

    /// The number of changes so far. A new subscriber is sent the values up to this change by
    /// [`Self::next`], and later ones as they are published.
    pub(crate) fn sequence(&self) -> u64 {
        self.sequence
    }

    /// The first value after the topic `after` that `filter` matches and that was set by the change
    /// number `until` or before. Looks at `left` topics at most, but at least at one, and subtracts
    /// those that it has looked at.
    pub(crate) fn next(
        &self,
        filter: &Filter,
        after: Option<&Topic>,
        until: u64,
        left: &mut usize,
    ) -> Next<'_, V> {
        let prefix = filter.literal_prefix();
        let after = after.map(Topic::as_str);
        // Looked up by name: the filter itself if it has no wildcard, and `a` for `a/#`, because
        // `a` does not begin with the prefix `a/`.
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
        for (key, value) in alone.into_iter().chain(rest) {
            *left = left.saturating_sub(1);
            if value.sequence <= until && filter.matches(&key.0) {
                return Next::Value(&key.0, &value.value);
            }
            if *left == 0 {
                return Next::Continue(key.0.clone());
            }
        }
        Next::End
    }

    /// The topics behind `after` that have a value, in order, and the bytes that each counts for.
    pub(crate) fn after(&self, after: Option<&str>) -> impl Iterator<Item = (&Topic, usize)> {
        let start = after.map_or(Bound::Unbounded, Bound::Excluded);
        let rest = self.values.range::<str, _>((start, Bound::Unbounded));
        rest.map(|(key, value)| (&key.0, value.bytes))
    }

    /// The memory that values and tombstones take, approximately.
    pub(crate) fn memory(&self) -> usize {
        let values = self.bytes + self.values.len() * (VALUE - OVERHEAD);
        values + self.cleared + self.tombstones.len() * TOMBSTONE
    }

    /// The memory that a payload of `bytes` for `topic` takes in addition: less than nothing if it
    /// replaces a longer one.
    pub(crate) fn growth(&self, topic: &Topic, bytes: usize) -> isize {
        let new = cost(topic, bytes) + VALUE - OVERHEAD;
        let earlier = self.values.get(topic.as_str());
        let earlier = earlier.map_or(0, |earlier| earlier.bytes + VALUE - OVERHEAD);
        new.cast_signed() - earlier.cast_signed()
    }

    /// The number of values.
    pub(crate) fn len(&self) -> usize {
        self.values.len()
    }

    fn expire_tombstones(&mut self, now_ms: u64) {
        for _ in 0..MOST_DROPPED {
            let Some((_, (_, made))) = self.ages.first_key_value() else { return };
            if now_ms.saturating_sub(*made) < TOMBSTONE_MS {
                return;
            }
            self.drop_oldest_tombstone();
        }
    }

    /// Drops the oldest tombstones beyond the limit, as far as no change that they are for can come
    /// any more. How many are kept beyond it is limited by the changes that can be on their way.
    fn limit_tombstones(&mut self) {
        let passed = self.behind.iter().min().copied().unwrap_or(u64::MAX);
        for _ in 0..MOST_DROPPED {
            if self.ages.len() <= self.totals.max_count() {
                return;
            }
            let Some((_, (topic, _))) = self.ages.first_key_value() else { return };
            let Some((version, _)) = self.tombstones.get(topic.as_str()) else { return };
            if version.clock > passed {
                return;
            }
            self.drop_oldest_tombstone();
        }
    }

    fn drop_oldest_tombstone(&mut self) {
        if let Some((_, (topic, _))) = self.ages.pop_first() {
            self.cleared -= topic.as_str().len();
            self.tombstones.remove(topic.as_str());
        }
    }
}

#[cfg(test)]
mod tests;
