//! The subscribers of one filter.

#![allow(clippy::cast_possible_truncation, reason = "numbers of the tests' own")]

use super::*;

#[test]
fn a_list_that_is_held_does_not_change() {
    for text in ["a/b", "a/+"] {
        let mut index = Index::new(1);
        for slot in 0..200 {
            assert!(index.subscribe(&filter(text), subscriber(slot)));
        }
        let held = found(&index, "a/b").lists;
        let before = held[0].to_vec();
        assert!(index.unsubscribe(&filter(text), subscriber(0).id));
        assert!(index.subscribe(&filter(text), subscriber(500)));
        for slot in 100..200 {
            assert!(index.unsubscribe(&filter(text), subscriber(slot).id));
        }
        assert_eq!(**held[0], before);
        assert!(slots(&index, "a/b").into_iter().eq((1..100).chain([500])));
        drop(held);
        // Nobody holds it any more, so a change does not copy.
        let at = found(&index, "a/b").lists[0].as_ptr();
        assert!(index.unsubscribe(&filter(text), subscriber(1).id));
        assert_eq!(found(&index, "a/b").lists[0].as_ptr(), at);
    }
}

#[test]
fn a_connection_takes_the_place_of_an_earlier_one_of_its_slot() {
    for others in [0, 1, 200] {
        let mut index = Index::new(1);
        for slot in 1..=others {
            assert!(index.subscribe(&filter("a/+"), subscriber(slot)));
        }
        let earlier = Subscriber { form: Form::JSON, ..subscriber(0) };
        let mut later = subscriber(0);
        later.id.generation += 1;
        assert!(index.subscribe(&filter("a/+"), earlier));
        let (bytes, version) = (index.bytes(), index.version());
        assert!(index.subscribe(&filter("a/+"), later));
        assert_eq!((index.bytes(), index.version()), (bytes, version + 1));
        assert_eq!(index.local_forms(&filter("a/+")), Forms::EMPTY.with(Form::RAW));
        // The earlier one is removed late, which changes nothing.
        assert!(!index.unsubscribe(&filter("a/+"), earlier.id));
        assert!(slots(&index, "a/b").into_iter().eq(0..=others));
        assert!(index.unsubscribe(&filter("a/+"), later.id));
        assert!(slots(&index, "a/b").into_iter().eq(1..=others));
    }
}

#[test]
fn a_hundred_thousand_subscribers_come_and_go() {
    const COUNT: u32 = 100_000;
    let mut rng = Rng::with_seed(3);
    for text in ["news", "news/#"] {
        let mut index = Index::new(1);
        let mut order: Vec<u32> = (0..COUNT).collect();
        rng.shuffle(&mut order);
        // Ten want JSON, all others the plain form.
        let form = |slot: u32| if slot < 10 { Form::JSON } else { Form::RAW };
        for slot in &order {
            let new = Subscriber { form: form(*slot), ..subscriber(*slot) };
            assert!(index.subscribe(&filter(text), new) && !index.subscribe(&filter(text), new));
        }
        rng.shuffle(&mut order);
        let mut rare = 10;
        for (gone, slot) in order.iter().enumerate() {
            assert!(index.unsubscribe(&filter(text), subscriber(*slot).id));
            rare -= u32::from(*slot < 10);
            let forms = index.local_forms(&filter(text));
            let left = COUNT - gone as u32 - 1;
            assert_eq!(forms.contains(Form::JSON), rare > 0);
            assert_eq!(forms.contains(Form::RAW), left > rare);
            if gone % 10_000 == 0 {
                let capacity = found(&index, "news").lists[0].capacity();
                assert!(capacity <= (4 * left as usize).max(COUNT as usize * 2), "{capacity}");
            }
            if left == 1_000 {
                let list = &found(&index, "news").lists[0];
                assert!(list.capacity() <= 4_000, "{} for {}", list.capacity(), list.len());
            }
        }
        assert_eq!(index.filters(), 0);
    }
}
