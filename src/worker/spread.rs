//! Which connection is told to go when, while a server drains over a window of time.

use std::time::Duration;

use crate::base::Millis;

/// Whatever the window, the loop is not woken more often than this.
const TICK: u64 = 10;

/// The slots of a core, each once, in an order that has nothing to do with their numbers: clients
/// that came together are not told together. The times are evenly spread over the window, each
/// shifted at random within its share of it.
#[derive(Debug)]
pub(super) struct Spread {
    begins: Millis,
    /// Milliseconds.
    window: u64,
    /// The number of slots.
    count: u32,
    /// How many of them were given out.
    given: u32,
    /// The next slot.
    at: u32,
    /// From one slot to the next. It has no divisor in common with their number, so each is met.
    step: u32,
    seed: u64,
}

impl Spread {
    /// The slots below `count` within `window` from `begins` on. Without a window all are due at
    /// once, in the order of their numbers.
    pub(super) fn new(count: u32, begins: Millis, window: Duration, seed: u64) -> Self {
        let window = u64::try_from(window.as_millis()).unwrap_or(u64::MAX);
        let (mut at, mut step) = (0, 1);
        if window > 0 && count > 1 {
            at = u32::try_from(mixed(seed) % u64::from(count)).unwrap_or_default();
            step = step_of(count, mixed(!seed));
        }
        Self { begins, window, count, given: 0, at, step, seed }
    }

    /// The next slot, if it is due.
    pub(super) fn next(&mut self, now: Millis) -> Option<u32> {
        if self.is_over() || self.time() > now {
            return None;
        }
        let slot = self.at;
        let next = (u64::from(slot) + u64::from(self.step)) % u64::from(self.count);
        self.at = u32::try_from(next).unwrap_or_default();
        self.given += 1;
        Some(slot)
    }

    /// Whether every slot was given out.
    pub(super) const fn is_over(&self) -> bool {
        self.given == self.count
    }

    /// When to look again; never once all is over.
    pub(super) fn due(&self) -> Millis {
        if self.is_over() {
            return Millis::NEVER;
        }
        let wait = self.time().0 - self.begins.0;
        Millis(self.begins.0.saturating_add(wait.next_multiple_of(TICK)))
    }

    /// The time of the next slot: a random one within its share of the window.
    fn time(&self) -> Millis {
        const UNITS: u128 = 1 << 16;
        let shift = u128::from(mixed(self.seed ^ u64::from(self.given))) % UNITS;
        let units = u128::from(self.given) * UNITS + shift;
        let wait = u128::from(self.window) * units / (u128::from(self.count) * UNITS);
        Millis(self.begins.0.saturating_add(u64::try_from(wait).unwrap_or(u64::MAX)))
    }
}

/// Spreads every bit over all others (the finalizer of splitmix64).
const fn mixed(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A step with which neighbours are told a third of the window apart, or somewhat more.
fn step_of(count: u32, seed: u64) -> u32 {
    // How many steps lead from a slot to its neighbour.
    let apart = u64::from(count) * (32 + seed % 12) / 100;
    let mut apart = u32::try_from(apart).unwrap_or_default().max(1);
    loop {
        if let Some(step) = inverse(apart, count) {
            return step;
        }
        apart = apart % count + 1;
    }
}

/// The number by which `number` has to be multiplied to get 1, modulo `count`; nothing if they have
/// a common divisor.
fn inverse(number: u32, count: u32) -> Option<u32> {
    let count = i64::from(count);
    let (mut rest, mut next) = (count, i64::from(number) % count);
    let (mut factor, mut next_factor) = (0, 1);
    while next != 0 {
        let quotient = rest / next;
        (rest, next) = (next, rest - quotient * next);
        (factor, next_factor) = (next_factor, factor - quotient * next_factor);
    }
    (rest == 1).then(|| u32::try_from(factor.rem_euclid(count)).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: Millis = Millis(5000);

    /// The time of each slot, if the clock is looked at when it is said to be due.
    fn times(spread: &mut Spread) -> Vec<(u32, Millis)> {
        let (mut all, mut now) = (Vec::new(), BEGIN);
        loop {
            all.extend(std::iter::from_fn(|| spread.next(now)).map(|slot| (slot, now)));
            if spread.is_over() {
                return all;
            }
            assert!(spread.due() > now, "{spread:?}");
            now = spread.due();
        }
    }

    #[test]
    fn each_slot_comes_once_and_within_the_window() {
        for count in (0..130).chain([1000, 1024, 65_536, 99_991]) {
            for (seed, window) in [(1, 0), (2, 1), (3, 700), (u64::MAX, 30_000)] {
                let window = Duration::from_millis(window);
                let mut all = times(&mut Spread::new(count, BEGIN, window, seed));
                let end = BEGIN.after(window).0.next_multiple_of(TICK);
                assert!(all.iter().all(|(_, time)| (BEGIN.0..=end).contains(&time.0)));
                all.sort_unstable();
                assert!(all.iter().map(|(slot, _)| *slot).eq(0..count), "{count} {seed}");
            }
        }
    }

    #[test]
    fn without_a_window_all_are_due_at_once() {
        let mut spread = Spread::new(1000, BEGIN, Duration::ZERO, 7);
        assert_eq!(spread.next(Millis(BEGIN.0 - 1)), None);
        assert!((0..1000).all(|slot| spread.next(BEGIN) == Some(slot)));
        assert_eq!((spread.next(BEGIN), spread.due()), (None, Millis::NEVER));
    }

    /// Every tenth of the window has its share; neighbours are told far from one another; two
    /// servers that begin together do not tell in the same order.
    #[test]
    fn they_are_spread() {
        let window = Duration::from_secs(10);
        let mut orders = Vec::new();
        for seed in 0..20 {
            let all = times(&mut Spread::new(10_000, BEGIN, window, seed));
            for tenth in 0..10 {
                let share = all.iter().filter(|(_, time)| (time.0 - BEGIN.0) / 1000 == tenth);
                assert!((980..=1020).contains(&share.count()), "{seed} {tenth}");
            }
            let mut by_slot = all.clone();
            by_slot.sort_unstable();
            let apart = |pair: &[(u32, Millis)]| pair[0].1.0.abs_diff(pair[1].1.0) > 100;
            let far = by_slot.windows(2).filter(|pair| apart(pair)).count();
            assert!(far == 9999, "{seed}: {far}");
            orders.push(all.iter().map(|(slot, _)| *slot).collect::<Vec<_>>());
        }
        orders.dedup();
        assert_eq!(orders.len(), 20);
    }
}
