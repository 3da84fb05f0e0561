//! The last value of each topic, as one core knows it.
//!
//! Each core has a replica, and changes reach the replicas in different orders. The highest version
//! wins everywhere, so that they come to the same. A cleared topic leaves its version behind for a
//! while, or a value set earlier that arrives later would be back.

mod totals;

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::ops::Bound;

use super::name::{Filter, Topic};
pub(crate) use totals::RetainLimit;
pub use totals::Totals;

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
    /// What all cores together have accepted.
    totals: Totals,
    /// This core, which counts in the totals what it has accepted itself.
    core: u16,
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
    /// Nothing retained, on the core of this number. The limits of `totals` are kept by
    /// [`Self::reserve`], not by [`Self::apply`].
    pub(crate) fn new(totals: Totals, core: u16) -> Self {
        Self {
            values: BTreeMap::new(),
            tombstones: BTreeMap::new(),
            ages: BTreeMap::new(),
            totals,
            core,
            clock: 0,
            sequence: 0,
        }
    }

    /// Makes room in the totals for a payload of `bytes` for `topic`, in place of an earlier one.
    /// To be applied at once, with the next version of this core.
    ///
    /// # Errors
    /// The limit that does not allow it.
    pub(crate) fn reserve(&self, topic: &Topic, bytes: usize) -> Result<(), RetainLimit> {
        // The core that accepted the earlier value gives its part back once it knows of this one.
        let earlier = self.values.get(topic.as_str()).map_or(0, |earlier| earlier.bytes);
        self.totals.take(cost(topic, bytes), earlier)
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
        if let Some(earlier) = self.values.remove(name)
            && earlier.version.core == self.core
        {
            self.totals.give(earlier.bytes);
        }
        if let Some((_, earlier)) = self.tombstones.remove(name) {
            self.ages.remove(&earlier);
        }
        self.sequence += 1;
        let (key, sequence) = (Key(topic.clone()), self.sequence);
        match value {
            Some((value, payload)) => {
                let bytes = cost(topic, payload);
                self.values.insert(key, Value { version, sequence, bytes, value });
            }
            None => {
                self.tombstones.insert(key, (version, sequence));
                self.ages.insert(sequence, (topic.clone(), now_ms));
                if self.ages.len() > self.totals.max_count() {
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
mod tests;
