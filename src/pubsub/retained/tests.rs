use std::collections::VecDeque;

use super::*;
use crate::config::PubSub;

const AT: [&str; 10] = ["a", "a b", "a/", "a/b", "a/b/c", "a/c", "a0", "b", "b/\u{e9}", "$s/a"];

fn topic(name: &str) -> Topic {
    Topic::new(name, 64).unwrap()
}

/// The replica of a core that itself accepts nothing here.
fn replica<V>(max_count: usize) -> Retained<V> {
    Retained::new(totals(max_count, 999), 99)
}

/// All that is retained costs.
fn bytes(retained: &Retained<u32>) -> usize {
    retained.values.values().map(|value| value.bytes).sum()
}

fn v(clock: u64) -> Version {
    Version { clock, core: 0 }
}

fn all(retained: &Retained<u32>) -> Vec<(String, u32)> {
    retained.values.iter().map(|(key, v)| (key.0.as_str().to_owned(), v.value)).collect()
}

#[test]
fn the_highest_version_wins() {
    let mut retained = replica::<u32>(9);
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
    assert_eq!((retained.sequence(), retained.len(), bytes(&retained)), (3, 1, 65));
}

#[test]
fn clocks_run_ahead_of_all_that_was_seen() {
    let mut retained = replica::<u32>(9);
    assert_eq!((retained.clock(), retained.clock()), (1, 2));
    retained.observe(7);
    assert_eq!(retained.clock(), 8);
    assert!(retained.apply(&topic("a"), v(20), Some((1, 0)), 0));
    assert!(!retained.apply(&topic("a"), v(15), Some((1, 0)), 0));
    assert_eq!(retained.clock(), 21);
}

#[test]
fn what_was_cleared_does_not_come_back_for_a_minute() {
    let mut retained = replica::<u32>(9);
    assert!(retained.apply(&topic("a"), v(3), None, 1000), "even before it was set");
    assert!(!retained.apply(&topic("a"), v(2), Some((1, 0)), 1000 + TOMBSTONE_MS - 1));
    assert!(!retained.apply(&topic("a"), v(3), Some((1, 0)), 1000));
    assert_eq!((retained.len(), bytes(&retained), retained.sequence()), (0, 0, 1));
    assert!(retained.apply(&topic("a"), v(4), Some((1, 0)), 1000), "a later one does");
    assert_eq!((retained.tombstones.len(), retained.ages.len()), (0, 0));
    assert!(retained.apply(&topic("a"), v(5), None, 2000));
    assert_eq!((retained.len(), bytes(&retained)), (0, 0));
    assert!(retained.apply(&topic("a"), v(1), Some((2, 0)), 2000 + TOMBSTONE_MS));
    assert_eq!((retained.tombstones.len(), retained.ages.len()), (0, 0));
}

#[test]
fn tombstones_are_few() {
    let mut retained = replica::<u32>(2);
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

fn totals(max_retained: usize, max_retained_bytes: usize) -> Totals {
    Totals::new(&PubSub { max_retained, max_retained_bytes, ..PubSub::default() })
}

#[test]
fn limits_hold_where_values_are_accepted() {
    let totals = totals(2, 200);
    let mut retained = Retained::<u32>::new(totals.clone(), 0);
    assert_eq!(retained.reserve(&topic("a"), 136), Err(RetainLimit::Bytes(200)));
    assert_eq!(retained.reserve(&topic("ab"), 135), Err(RetainLimit::Bytes(200)));
    assert_eq!(retained.reserve(&topic("a"), usize::MAX), Err(RetainLimit::Bytes(200)));
    assert_eq!(totals.counted(), (0, 0), "what was refused is not counted");
    let mut set = |name: &str, payload, clock| {
        let fits = retained.reserve(&topic(name), payload);
        if fits.is_ok() {
            assert!(retained.apply(&topic(name), v(clock), Some((1, payload)), 0));
        }
        fits
    };
    assert_eq!(set("a", 35, 1), Ok(()));
    assert_eq!(set("b", 36, 2), Err(RetainLimit::Bytes(200)));
    assert_eq!(set("b", 35, 3), Ok(()));
    assert_eq!(totals.counted(), (2, 200));
    assert_eq!(set("c", 0, 4), Err(RetainLimit::Count(2)), "a third");
    assert_eq!(set("a", 36, 5), Err(RetainLimit::Bytes(200)));
    assert_eq!(set("a", 0, 6), Ok(()), "in place of the earlier one");
    assert_eq!(set("b", 70, 7), Ok(()));
    assert_eq!(totals.counted(), (2, 200));
    assert!(retained.apply(&topic("a"), v(8), None, 0));
    assert_eq!(totals.counted(), (1, 135));
    assert_eq!(self::totals(0, 999).take(65, 0), Err(RetainLimit::Count(0)));
}

/// A topic, and its value with the bytes of the payload.
type Change = (&'static str, Version, Option<(u32, usize)>);

/// Three cores accept, replace and clear, each hearing of the others late. Together they never
/// count much more than is allowed, and in the end exactly what is retained.
#[test]
fn cores_share_the_limits() {
    for seed in 0..300 {
        let mut random = fastrand::Rng::with_seed(seed);
        let totals = totals(AT.len(), 900);
        let mut cores: Vec<Retained<u32>> =
            (0..3).map(|core| Retained::new(totals.clone(), core)).collect();
        let mut mail: [VecDeque<Change>; 3] = Default::default();
        for _ in 0..200 {
            let number = random.usize(0..3);
            if random.bool() {
                if let Some((name, version, value)) = mail[number].pop_front() {
                    cores[number].apply(&topic(name), version, value, 0);
                }
            } else {
                let core = &mut cores[number];
                let (name, payload) = (*random.choice(&AT).unwrap(), random.usize(1..300));
                let value = random.bool().then_some((1, payload));
                if value.is_some() && core.reserve(&topic(name), payload).is_err() {
                    continue;
                }
                let version = Version { clock: core.clock(), core: u16::try_from(number).unwrap() };
                assert!(core.apply(&topic(name), version, value, 0), "a change of its own");
                for other in (0..3).filter(|other| *other != number) {
                    mail[other].push_back((name, version, value));
                }
            }
            let (count, counted) = totals.counted();
            assert!(count <= 2 * AT.len() && counted <= 900 + AT.len() * 370, "{count} {counted}");
        }
        for (core, mail) in cores.iter_mut().zip(&mut mail) {
            for (name, version, value) in mail.drain(..) {
                core.apply(&topic(name), version, value, 0);
            }
        }
        for core in &cores {
            assert_eq!(totals.counted(), (core.len(), bytes(core)), "seed {seed}");
        }
    }
}

/// A client that has seen a change on one core makes a later one on another, which does not know
/// the first one yet.
#[test]
fn clocks_run_ahead_of_what_was_changed_on_any_core() {
    let totals = totals(10, 1 << 20);
    let [mut first, mut second] = [0, 1].map(|core| Retained::<u32>::new(totals.clone(), core));
    let clocks = [first.clock(), first.clock(), second.clock(), first.clock(), second.clock()];
    assert!(clocks.is_sorted_by(|before, after| before < after), "{clocks:?}");
}

/// What two cores accept at the same time is counted for both.
#[test]
fn cores_that_know_nothing_of_each_other_keep_the_limits() {
    let totals = totals(10, 1 << 20);
    let mut cores: Vec<Retained<u32>> =
        (0..2).map(|core| Retained::new(totals.clone(), core)).collect();
    let mut taken = 0;
    for (number, clock) in (0..40).zip(1..) {
        let (core, topic) = (&mut cores[number % 2], topic(&format!("t/{number}")));
        if core.reserve(&topic, 1).is_ok() {
            let version = Version { clock, core: u16::try_from(number % 2).unwrap() };
            assert!(core.apply(&topic, version, Some((1, 1)), 0));
            taken += 1;
        }
    }
    assert_eq!((taken, totals.counted().0), (10, 10));
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
            let mut replica = replica::<u32>(AT.len());
            for (now, (name, version, value)) in (0..).zip(&changes) {
                let value = value.map(|value| (value, value as usize));
                replica.apply(&topic(name), *version, value, now);
            }
            assert_eq!(all(&replica), expected, "{changes:?}");
            assert_eq!(bytes(&replica), expected.iter().map(cost).sum::<usize>());
            assert_eq!(replica.len() + replica.tombstones.len(), newest.len());
        }
    }
}

#[test]
fn replays_are_in_order_and_complete() {
    let filters = ["#", "+", "a", "a/#", "a/+", "+/b", "a/b/#", "a//#", "b/+/c", "$s/#", "z/#"];
    let mut random = fastrand::Rng::with_seed(2);
    for _ in 0..3000 {
        let mut retained = replica(99);
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
            let next = retained.next(&filter, after.as_ref(), until, &mut most.clone());
            let to = match next {
                Next::Value(topic, clock) => {
                    found.push((topic.clone(), *clock));
                    topic.clone()
                }
                Next::Continue(topic) => topic,
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

/// A burst of clears pushes out no tombstone that a change on its way may need.
#[test]
fn tombstones_are_kept_until_all_cores_have_passed_them() {
    let mut retained = Retained::new(totals(10, 999), 0);
    retained.set_cores(3);
    let version = |clock, core| Version { clock, core };
    for clock in 1..=100 {
        assert!(retained.apply(&topic(&format!("t/{clock}")), version(clock, 0), None, 0));
    }
    assert_eq!(retained.ages.len(), 100);
    // An earlier value of another core comes late.
    assert!(!retained.apply(&topic("t/5"), version(2, 1), Some((7, 1)), 0));
    retained.passed(1, 1000);
    assert!(retained.apply(&topic("t/101"), version(101, 0), None, 0));
    assert_eq!(retained.ages.len(), 101, "core 2 may be behind");
    retained.passed(2, 60);
    assert!(retained.apply(&topic("t/102"), version(102, 0), None, 0));
    assert_eq!(retained.ages.len(), 102 - MOST_DROPPED, "few at a time");
    for clock in 103..=130 {
        assert!(retained.apply(&topic("t/102"), version(clock, 0), None, 0));
    }
    assert_eq!(retained.ages.len(), 42, "from 61 on");
    assert!(!retained.apply(&topic("t/61"), version(60, 2), Some((7, 1)), 0));
    assert!(retained.apply(&topic("t/61"), version(62, 2), Some((7, 1)), 0));
    retained.passed(2, 1000);
    for clock in 131..=160 {
        assert!(retained.apply(&topic("t/103"), version(clock, 0), None, 0));
    }
    assert_eq!(retained.ages.len(), 10);
    // What is left expires, also a few with each change.
    assert!(retained.apply(&topic("v"), version(161, 0), Some((7, 1)), TOMBSTONE_MS));
    assert_eq!(retained.ages.len(), 10 - MOST_DROPPED);
}
