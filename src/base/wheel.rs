//! The timing wheel of one core: one deadline for each slot, set and cleared in constant time.

use super::blocks::Blocks;

/// One tick, in milliseconds: the resolution of deadlines.
const TICK_MS: u64 = 64;
/// The number of buckets. A deadline further away than `BUCKETS * TICK_MS`, about a minute, stays
/// in its bucket when that bucket is processed before its tick.
const BUCKETS: u64 = 1024;
/// The slot number that ends a list.
const NONE: u32 = u32::MAX;

/// Deadlines by slot number. Each bucket is a doubly linked list through `links`, so nothing is
/// allocated when a deadline is set.
#[derive(Debug)]
pub(crate) struct Wheel {
    heads: Vec<u32>,
    links: Blocks<Link>,
    /// The next tick to process.
    current: u64,
    /// A lower bound of all ticks that are set.
    earliest: u64,
    /// The number of deadlines that are set.
    scheduled: usize,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    /// The tick of the deadline, or [`NONE`] if there is none. 32 bits last for eight years; a
    /// deadline after that is looked at then.
    tick: u32,
    next: u32,
    previous: u32,
}

const UNLINKED: Link = Link { tick: NONE, next: NONE, previous: NONE };

impl Wheel {
    pub(crate) fn new() -> Self {
        #[allow(clippy::cast_possible_truncation, reason = "1,024")]
        let heads = vec![NONE; BUCKETS as usize];
        Self { heads, links: Blocks::default(), current: 0, earliest: u64::MAX, scheduled: 0 }
    }

    #[allow(clippy::cast_possible_truncation, reason = "below BUCKETS")]
    const fn bucket(tick: u32) -> usize {
        (tick as u64 % BUCKETS) as usize
    }

    /// A tick as a link holds it.
    #[allow(clippy::cast_possible_truncation, reason = "checked before")]
    const fn short(tick: u64) -> u32 {
        if tick < NONE as u64 { tick as u32 } else { NONE - 1 }
    }

    /// Sets the deadline of `slot` to the first tick at or after `at_ms`. It replaces the previous
    /// deadline of the slot; `u64::MAX` only clears that.
    pub(crate) fn set(&mut self, slot: u32, at_ms: u64) {
        self.clear(slot);
        if at_ms == u64::MAX {
            return;
        }
        let tick = Self::short(at_ms.div_ceil(TICK_MS).max(self.current));
        let bucket = Self::bucket(tick);
        let next = std::mem::replace(&mut self.heads[bucket], slot);
        *self.links.reach(slot, || UNLINKED) = Link { tick, next, previous: NONE };
        if next != NONE {
            self.links[next].previous = slot;
        }
        self.earliest = self.earliest.min(u64::from(tick));
        self.scheduled += 1;
    }

    /// Clears the deadline of `slot`, if it has one.
    pub(crate) fn clear(&mut self, slot: u32) {
        let Some(link) = self.links.get_mut(slot) else { return };
        let Link { tick, next, previous } = std::mem::replace(link, UNLINKED);
        if tick == NONE {
            return;
        }
        match previous {
            NONE => self.heads[Self::bucket(tick)] = next,
            previous => self.links[previous].next = next,
        }
        if next != NONE {
            self.links[next].previous = previous;
        }
        self.scheduled -= 1;
    }

    /// The earliest time at which a deadline may be due, in milliseconds; `None` if none is set.
    pub(crate) const fn next_ms(&self) -> Option<u64> {
        match self.scheduled {
            0 => None,
            _ => Some(self.earliest.saturating_mul(TICK_MS)),
        }
    }

    /// Clears every deadline up to `now_ms` and adds its slot to `due`.
    pub(crate) fn expire(&mut self, now_ms: u64, due: &mut Vec<u32>) {
        let now = now_ms / TICK_MS;
        if self.scheduled == 0 || now < self.earliest {
            return;
        }
        // After a long sleep, one round over the buckets is enough.
        let first = self.earliest.max(self.current).max(now.saturating_sub(BUCKETS - 1));
        let before = due.len();
        for tick in first..=now {
            let mut slot = self.heads[Self::bucket(Self::short(tick))];
            while slot != NONE {
                let link = self.links[slot];
                if u64::from(link.tick) <= now {
                    due.push(slot);
                }
                slot = link.next;
            }
        }
        for slot in &due[before..] {
            self.clear(*slot);
        }
        self.current = now + 1;
        self.earliest = self.find_earliest();
    }

    /// A lower bound of all ticks that are set: the first bucket in use from the current tick on.
    fn find_earliest(&self) -> u64 {
        if self.scheduled == 0 {
            return u64::MAX;
        }
        (self.current..self.current + BUCKETS)
            .find(|tick| self.heads[Self::bucket(Self::short(*tick))] != NONE)
            .unwrap_or(self.current)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Random deadlines against a sorted list: each comes out once, never early, and at the first
    /// call at or after its tick.
    #[test]
    fn deadlines_match_a_sorted_list() {
        let mut random = fastrand::Rng::with_seed(7);
        let mut wheel = Wheel::new();
        let mut model = std::collections::BTreeMap::new();
        let mut now = 0;
        for _ in 0..20_000 {
            let slot = random.u32(0..200);
            match random.u8(0..10) {
                0..5 => {
                    let far = if random.bool() { 500 } else { 300_000 };
                    let at = now + random.u64(0..far);
                    wheel.set(slot, at);
                    model.insert(slot, at);
                }
                5 => {
                    wheel.clear(slot);
                    model.remove(&slot);
                }
                _ => {
                    let far = if random.u8(0..50) == 0 { 200_000 } else { 200 };
                    now += random.u64(0..far);
                    let mut due = Vec::new();
                    wheel.expire(now, &mut due);
                    for slot in due {
                        let at = model.remove(&slot).expect("was set");
                        assert!(at <= now, "early: {at} at {now}");
                    }
                    let late = model.values().filter(|at| **at + TICK_MS <= now).count();
                    assert_eq!(late, 0, "left behind at {now}");
                    if let Some(at) = model.values().min() {
                        let next = wheel.next_ms().expect("something is set");
                        assert!(next <= at.div_ceil(TICK_MS) * TICK_MS, "would oversleep");
                    } else {
                        assert_eq!(wheel.next_ms(), None);
                    }
                }
            }
        }
    }

    #[test]
    fn a_deadline_of_the_far_future_is_kept() {
        let mut wheel = Wheel::new();
        let (day, mut due) = (24 * 3_600_000, Vec::new());
        wheel.set(3, u64::MAX - 1);
        wheel.set(4, 4_000 * day);
        wheel.expire(3_000 * day, &mut due);
        assert!(due.is_empty() && wheel.next_ms().is_some());
        wheel.clear(3);
        wheel.clear(4);
        assert_eq!(wheel.next_ms(), None);
    }
}
