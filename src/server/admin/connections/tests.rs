use std::collections::BTreeSet;

use fastrand::Rng;

use super::*;
use crate::server::admin::testing::Shown;

#[test]
fn rates_are_means() {
    assert_eq!(rate(3, Duration::from_millis(1_500)), Some(2.0));
    assert_eq!((rate(0, Duration::from_secs(1)), rate(3, Duration::ZERO)), (Some(0.0), None));
}

#[test]
fn ids_are_read_as_they_are_written() {
    let id = Id { number: 3, id: ConnectionId { slot: 17, generation: 4 } };
    assert_eq!((id.to_string(), "3-17-4".parse()), ("3-17-4".to_owned(), Ok(id)));
    for wrong in ["", "3", "3-17", "3-17-4-1", "a-1-1", "3--4", "+3-1-1", "3-17-4294967296"] {
        assert_eq!(wrong.parse::<Id>(), Err(()), "{wrong}");
    }
    let start = Start { number: 1, slot: 20 };
    assert_eq!((start.to_string(), "1-20".parse()), ("1-20".to_owned(), Ok(start)));
    assert_eq!("1-20-3".parse::<Start>(), Err(()));
}

/// One page: the ids on it, and where the next one begins.
fn page(loops: &mut [Shown], at: Start, limit: usize) -> (Vec<String>, Option<Start>) {
    let mut walk = Walk { limit, at, ..Walk::default() };
    while let Some(number) = walk.wanted(loops.len()) {
        while walk.step(&mut loops[number]) {}
    }
    let ids = walk.found.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect();
    (ids, walk.next_page(loops.len()))
}

/// Connections come and go between pages. Whoever is there all the time is on one page.
#[test]
fn none_that_stays_is_left_out_or_listed_twice() {
    const SLOTS: u32 = 20_000;
    for seed in 0..20_u8 {
        let mut rng = Rng::with_seed(seed.into());
        let mut loops: Vec<Shown> =
            (0..3).map(|_| Shown { end: SLOTS, ..Shown::default() }).collect();
        let mut stay = BTreeSet::new();
        for _ in 0..[30, 3_000][usize::from(seed) % 2] {
            let (number, slot) = (rng.usize(..loops.len()), rng.u32(..SLOTS));
            loops[number].slots.insert(slot, 1);
            stay.insert((number, slot));
        }
        let (mut listed, mut next) = (Vec::new(), Some(Start::default()));
        while let Some(at) = next {
            let limit = [1, 40, 1_000][rng.usize(..3)];
            let ids;
            (ids, next) = page(&mut loops, at, limit);
            assert!(ids.len() <= limit);
            listed.extend(ids);
            for _ in 0..100 {
                let (number, slot) = (rng.usize(..loops.len()), rng.u32(..SLOTS));
                match loops[number].slots.get(&slot) {
                    None => drop(loops[number].slots.insert(slot, 2)),
                    Some(2) => drop(loops[number].slots.remove(&slot)),
                    Some(_) => {}
                }
            }
        }
        let stayed: Vec<String> =
            stay.iter().map(|(number, slot)| format!("{number}-{slot}-1")).collect();
        listed.retain(|id| id.ends_with("-1"));
        assert_eq!((listed.len(), stayed.len()), (stay.len(), stay.len()), "seed {seed}");
        assert_eq!(listed.iter().collect::<BTreeSet<_>>(), stayed.iter().collect(), "seed {seed}");
    }
}

/// Millions of slots, of which few are in use.
#[test]
fn the_work_of_a_page_does_not_depend_on_the_pages_before() {
    const SLOTS: u32 = 4_000_000;
    let used = (0..SLOTS).step_by(70_000);
    let slots = used.clone().map(|slot| (slot, 1)).collect();
    let mut loops = [Shown { end: SLOTS, slots, ..Shown::default() }];
    let (mut listed, mut next, mut pages) = (0, Some(Start::default()), 0);
    while let Some(at) = next {
        let before = loops[0].asked.get();
        let ids;
        (ids, next) = page(&mut loops, at, 100);
        let asked = loops[0].asked.get() - before;
        assert!(asked <= (MAX_LOOKED / LOOKS) as usize + ids.len(), "{asked} at page {pages}");
        listed += ids.len();
        pages += 1;
    }
    assert_eq!((listed, pages), (used.count(), SLOTS.div_ceil(MAX_LOOKED)));
}
