//! Goal: the filters and the replays of a connection are right however many there are, and keep
//! their order.
//! Method: plain lists beside them, with steps chosen at random from a seed.

use fastrand::Rng;

use super::*;

/// The memory of the text of each filter below, and of the longest list without tables.
const NAME: usize = 64;
const LIST: usize = 32 * size_of::<Filter>();

fn filter(number: usize) -> Filter {
    Filter::new(&format!("{}{number}", "p".repeat(40)), 256).unwrap()
}

fn texts<'f>(filters: impl Iterator<Item = &'f Filter>) -> Vec<String> {
    filters.map(|filter| filter.as_str().to_owned()).collect()
}

fn compare(filters: &Filters, model: &[Filter]) {
    assert_eq!(texts(filters.iter()), texts(model.iter()));
    assert_eq!((filters.len(), filters.is_empty()), (model.len(), model.is_empty()));
    let text: usize = model.iter().map(|filter| filter.as_str().len()).sum();
    assert_eq!(filters.text(), text);
    let (names, memory) = (NAME * model.len(), filters.memory());
    // A few are a list without tables.
    assert!(model.len() > 16 || (names..=names + LIST).contains(&memory), "{memory}");
    assert!(model.len() <= 32 || memory > names + 64 * model.len(), "{memory}");
}

#[test]
fn filters_are_those_of_a_list() {
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let (mut filters, mut model) = (Filters::default(), Vec::<Filter>::new());
        let most = [20, 40, 200][rng.usize(..3)];
        for step in 0..3000 {
            let grows = step / 500 % 2 == 0;
            let number = filter(rng.usize(..most));
            let held = model.iter().position(|own| *own == number);
            assert_eq!(filters.get(&number), held.map(|at| &model[at]));
            match held {
                None if grows || rng.usize(..4) == 0 => {
                    filters.push(number.clone());
                    model.push(number);
                }
                Some(at) if !grows || rng.usize(..4) == 0 => {
                    assert_eq!(filters.remove(&number), Some(model.remove(at)));
                }
                None => assert_eq!(filters.remove(&number), None),
                Some(_) => {}
            }
            if step % 50 == 0 {
                compare(&filters, &model);
                let wanted: Vec<Filter> = (0..20).map(|_| filter(rng.usize(..most))).collect();
                let mut lacking = Vec::new();
                for one in &wanted {
                    if !model.contains(one) && !lacking.contains(&one) {
                        lacking.push(one);
                    }
                }
                assert_eq!(filters.lacking(&wanted), lacking);
            }
        }
        // The end of the connection takes one after the other.
        for first in model {
            assert_eq!(filters.pop_first(), Some(first));
        }
        assert!(filters.pop_first().is_none() && filters.memory() <= LIST);
    }
}

#[test]
fn earlier_filters_are_looked_at_from_a_place_on() {
    for count in [10, 100] {
        let mut filters = Filters::default();
        (0..count).for_each(|number| filters.push(filter(number)));
        let before = |end, place| texts(filters.before(&filter(end), place).map(|(_, it)| it));
        let expected =
            |numbers: std::ops::Range<usize>| texts(numbers.map(filter).collect::<Vec<_>>().iter());
        assert_eq!(before(0, 0), expected(0..0));
        assert_eq!(before(count - 1, 0), expected(0..count - 1));
        let (place, third) = filters.before(&filter(9), 0).nth(2).unwrap();
        assert_eq!(*third, filter(2));
        // Those of a few are not worth a place.
        let from = if count > 32 { 3 } else { 0 };
        assert_eq!(before(9, place), expected(from..9));
        assert_eq!(before(count, 0), expected(0..count));
    }
}

#[test]
fn replays_are_in_order_and_each_can_be_removed() {
    for seed in 0..20 {
        let mut rng = Rng::with_seed(seed);
        let (mut replays, mut model) = (Replays::default(), Vec::<Filter>::new());
        let filters: Vec<Filter> = (0..100).map(filter).collect();
        for step in 0..2000 {
            let one = &filters[rng.usize(..filters.len())];
            let at = model.iter().position(|own| own == one);
            let grows = step / 400 % 2 == 0;
            match (at, rng.usize(..4)) {
                (None, 1..) if grows => {
                    replays.push(Replay::new(one.clone(), step));
                    model.push(one.clone());
                }
                (None, _) => assert!(replays.remove(one).is_none()),
                (Some(at), 0 | 1) => {
                    assert_eq!(replays.remove(one).unwrap().filter, model.remove(at));
                }
                (Some(_), _) if !grows => {
                    replays.pop_first();
                    model.remove(0);
                }
                _ => {}
            }
            assert_eq!(replays.first_mut().map(|first| &first.filter), model.first());
            assert_eq!(replays.is_empty(), model.is_empty());
        }
        // Another filter with the same text is not the same subscription.
        replays.push(Replay::new(filter(1000), 0));
        assert!(replays.remove(&filter(1000)).is_none());
    }
}
