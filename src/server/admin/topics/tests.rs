use fastrand::Rng;

use super::*;
use crate::server::admin::testing::Shown;

#[test]
fn a_page_has_the_first_names_with_all_of_their_subscribers() {
    let part = |names: &[(&str, u64)]| -> Listed {
        names.iter().map(|(name, count)| ((*name).into(), *count)).collect()
    };
    let parts = [part(&[("b", 2), ("c", 5), ("d", 1)]), part(&[("a", 2), ("b", 1), ("c", 1)])];
    let retained = [(Topic::new("aa", 255).unwrap(), 70), (Topic::new("c", 255).unwrap(), 80)];
    let expected = json!({
        "topics": [
            { "topic": "a", "subscribers": 2, "retained_bytes": null },
            { "topic": "aa", "subscribers": 0, "retained_bytes": 70 },
            { "topic": "b", "subscribers": 3, "retained_bytes": null },
        ],
        "next": "b",
    });
    assert_eq!(page(parts.into_iter(), 3, &retained), expected);
    assert_eq!(page([part(&[("a", 1)])].into_iter(), 3, &[])["next"], Value::Null);
}

/// One page of all loops: the names on it with the numbers of their subscribers, and its end if
/// there are more.
fn ask(loops: &[Shown], after: Option<&str>, limit: usize) -> (Listed, Option<String>) {
    let part = |core: &Shown| {
        let mut found = Listed::new();
        while step(&mut found, after, limit, core) {}
        found
    };
    let answer = page(loops.iter().map(part), limit, &[]);
    let entry =
        |one: &Value| (one["topic"].as_str().unwrap().into(), one["subscribers"].as_u64().unwrap());
    let found = answer["topics"].as_array().unwrap().iter().map(entry).collect();
    (found, answer["next"].as_str().map(str::to_owned))
}

fn name(number: usize) -> Box<str> {
    format!("t/{number:04}").into()
}

/// Subscribers come and go between pages. A topic that has one all the time, maybe at one core and
/// then at another one, is on one page.
#[test]
fn none_that_stays_is_left_out_or_listed_twice() {
    const NAMES: usize = 2_000;
    for seed in 0..20_u8 {
        let mut rng = Rng::with_seed(seed.into());
        let mut loops: Vec<Shown> = (0..3).map(|_| Shown::default()).collect();
        // The even ones stay.
        for number in (0..NAMES).step_by(2) {
            loops[rng.usize(..3)].filters.insert(name(number), 1);
        }
        let (mut listed, mut after) = (Vec::new(), None::<String>);
        loop {
            let limit = [1, 40, 1_000][rng.usize(..3)];
            let (found, next) = ask(&loops, after.as_deref(), limit);
            assert!(found.len() <= limit);
            listed.extend(found);
            let Some(next) = next else { break };
            after = Some(next);
            for _ in 0..100 {
                let (number, to) = (rng.usize(..NAMES), rng.usize(..3));
                let before = loops.iter_mut().filter_map(|it| it.filters.remove(&name(number)));
                if before.count() == 0 || number.is_multiple_of(2) {
                    loops[to].filters.insert(name(number), 1);
                }
            }
        }
        listed.retain(|(listed, _)| listed.ends_with(['0', '2', '4', '6', '8']));
        let stayed: Listed = (0..NAMES).step_by(2).map(|number| (name(number), 1)).collect();
        assert!(listed == stayed, "seed {seed}: {} of {}", listed.len(), stayed.len());
    }
}

#[test]
fn the_work_of_a_page_does_not_depend_on_the_pages_before() {
    let filters = (0..100_000).map(|number| (name(number), 1)).collect();
    let loops = [Shown { filters, ..Shown::default() }];
    let (mut listed, mut after) = (0, None::<String>);
    loop {
        let before = loops[0].asked.get();
        let (found, next) = ask(&loops, after.as_deref(), 1_000);
        let asked = loops[0].asked.get() - before;
        assert!(asked <= 1_000_usize.div_ceil(BATCH), "{asked} behind {after:?}");
        listed += found.len();
        let Some(next) = next else { break };
        after = Some(next);
    }
    assert_eq!(listed, 100_000);
}
