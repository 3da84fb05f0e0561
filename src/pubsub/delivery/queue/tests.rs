use std::collections::HashSet;

use super::*;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{BatchBuilder, Finished};
use crate::pubsub::delivery::counts::WIDE_COUNTS;
use crate::pubsub::encoding::{Forms, Scratch};
use crate::pubsub::index::{Recipients, Snapshot};
use crate::pubsub::publication::Publication;
use crate::pubsub::testing::Recorder;

/// A delivery to one subscriber: its slot, the payloads, and the one that was marked as the last.
#[derive(Debug, PartialEq, Eq)]
struct Got {
    slot: u32,
    payloads: Vec<String>,
    last: String,
}

/// All deliveries so far.
fn all(out: &Recorder) -> Vec<Got> {
    let one = |(to, frames): &(ConnectionId, Rc<Frames>)| {
        let all = payloads(frames.bytes());
        assert_eq!(frames.messages() as usize, all.len());
        let last = payloads(&frames.bytes()[frames.last()..]).concat();
        Got { slot: to.slot, payloads: all, last }
    };
    out.deliveries.iter().map(one).collect()
}

/// The payloads of whole frames, which are short or of up to 64 KiB.
fn payloads(mut bytes: &[u8]) -> Vec<String> {
    let mut payloads = Vec::new();
    while let [_, len, rest @ ..] = bytes {
        let (len, rest) = match (len, rest) {
            (126, [high, low, rest @ ..]) => (usize::from(*high) << 8 | usize::from(*low), rest),
            (len, rest) => (usize::from(*len), rest),
        };
        let (payload, behind) = rest.split_at(len);
        payloads.push(String::from_utf8(payload.to_vec()).unwrap());
        bytes = behind;
    }
    payloads
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

fn list(slots: std::ops::Range<u32>, echo: bool) -> Rc<Snapshot> {
    Rc::new(slots.map(|slot| Subscriber { id: id(slot), form: Form::RAW, echo }).collect())
}

/// Adds a batch of these messages, each with the publisher that must not be sent it.
fn add(
    queue: &mut DeliveryQueue,
    topic: &str,
    messages: &[(&str, Option<u32>)],
    lists: &[Rc<Snapshot>],
) {
    let topic = Topic::new(topic, 64).unwrap();
    let local = Forms::EMPTY.with(Form::RAW);
    let recipients = Recipients { local, ..Recipients::default() };
    let mut builder = BatchBuilder::new(&topic, recipients, 0);
    for (payload, origin) in messages {
        let of = Publication::of(&topic, payload.as_bytes());
        let message = Publication { origin: origin.map(id), ..of };
        builder.add(&message, None, &mut Scratch::default(), &mut Pool::new(1));
    }
    let Finished { batch, origins, .. } = builder.finish(Duration::ZERO);
    queue.add(Arc::new(batch), origins, Lists::from(lists));
}

fn got(slot: u32, payloads: &[&str]) -> Got {
    let last = (*payloads.last().unwrap()).to_owned();
    Got { slot, payloads: payloads.iter().map(|&payload| payload.to_owned()).collect(), last }
}

#[test]
fn a_turn_is_limited_to_a_number_of_deliveries() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let (many, few) = (list(0..120, true), list(120..130, true));
    add(&mut queue, "a", &[("1", None)], &[many]);
    add(&mut queue, "b", &[("2", None)], std::slice::from_ref(&few));
    add(&mut queue, "c", &[("3", None)], &[few]);
    for total in [50, 100] {
        queue.deliver(50, &mut out);
        assert_eq!(out.deliveries.len(), total);
    }
    // The end of a list and the next deliveries in one turn. A delivery that ends counts as one
    // more.
    queue.deliver(36, &mut out);
    assert_eq!(out.deliveries.len(), 100 + 20 + 10 + 4);
    queue.deliver(usize::MAX, &mut out);
    assert!(queue.is_empty() && queue.bytes() == 0 && queue.delivered == 140);
    let slots: Vec<u32> = out.deliveries.iter().map(|(to, _)| to.slot).collect();
    assert!(slots.into_iter().eq((0..130).chain(120..130)), "each once, and in order");
}

#[test]
fn nothing_is_joined_to_a_delivery_that_has_begun() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let lists = [list(0..3, true)];
    add(&mut queue, "t", &[("1", None)], &lists);
    queue.deliver(1, &mut out);
    add(&mut queue, "t", &[("2", None)], &lists);
    queue.deliver(usize::MAX, &mut out);
    let expected = [0, 1, 2].map(|slot| got(slot, &["1"]));
    let expected = expected.into_iter().chain([0, 1, 2].map(|slot| got(slot, &["2"])));
    assert!(all(&out).iter().eq(expected.collect::<Vec<_>>().iter()), "{:?}", all(&out));
}

#[test]
fn batches_for_the_same_subscribers_are_joined() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let lists = [list(0..1, true)];
    add(&mut queue, "t", &[("1", None), ("two", None)], &lists);
    add(&mut queue, "u", &[("u", None)], &lists);
    add(&mut queue, "t", &[("3", None), ("four", None)], &lists);
    // The same subscribers, but another list: something has changed between.
    add(&mut queue, "t", &[("5", None)], &[list(0..1, true)]);
    queue.deliver(usize::MAX, &mut out);
    assert_eq!(all(&out), [got(0, &["1", "two", "3", "four"]), got(0, &["u"]), got(0, &["5"])]);
}

#[test]
fn a_run_of_bytes_ends_at_64_kib() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let (lists, long) = ([list(0..1, true)], "x".repeat(30_000));
    for _ in 0..3 {
        add(&mut queue, "t", &[(&long, None)], &lists);
    }
    queue.deliver(usize::MAX, &mut out);
    assert_eq!(all(&out), [got(0, &[&long, &long]), got(0, &[&long])]);
}

#[test]
fn a_connection_that_takes_no_more_in_a_turn_is_continued_in_the_next() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    // Some are in both lists, and are delivered to once.
    let lists = [list(0..4, true), list(2..6, true)];
    add(&mut queue, "t", &[("1", None)], &lists);
    for (full, empty) in [(vec![2, 4], false), (vec![4], false), (vec![], true)] {
        out.full = full;
        queue.deliver(usize::MAX, &mut out);
        assert_eq!((queue.is_empty(), queue.waiting()), (empty, 0), "nobody else waits");
    }
    // The last list goes first.
    assert_eq!(all(&out), [3, 5, 0, 1, 2, 4].map(|slot| got(slot, &["1"])));
    assert_eq!((queue.bytes(), queue.delivered, queue.done()), (0, 6, 1));
}

/// Those who can be given more go on with later messages, and each gets its own in order.
#[test]
fn nobody_waits_for_a_connection_that_takes_no_more_in_a_turn() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let lists = [list(0..3, true)];
    for topic in ["a", "b", "c"] {
        add(&mut queue, topic, &[(topic, None)], &lists);
    }
    out.full = vec![1];
    queue.deliver(usize::MAX, &mut out);
    let expected = ["a", "b", "c"].map(|text| [0, 2].map(|slot| got(slot, &[text])));
    assert_eq!(all(&out), expected.into_iter().flatten().collect::<Vec<_>>());
    assert_eq!((queue.waiting(), queue.done(), queue.accepted()), (0, 0, 3));
    out.full.clear();
    add(&mut queue, "b", &[("d", None)], &lists);
    // One at a time, however many waited.
    for turn in 0..10 {
        out.portion = Some(2 + turn);
        queue.deliver(2, &mut out);
    }
    let of_slot = |slot| all(&out).into_iter().filter(move |got| got.slot == slot);
    for slot in 0..3 {
        let texts: Vec<String> = of_slot(slot).flat_map(|got| got.payloads).collect();
        assert_eq!(texts, ["a", "b", "c", "d"], "{slot}");
    }
    assert!(queue.is_empty() && queue.bytes() == 0);
}

/// What is begun for one slow connection is limited; then all wait for it, as one turn takes it.
#[test]
fn a_slow_connection_has_a_limited_number_of_deliveries_begun() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let topics: Vec<String> = (0..2 * MAX_BEGUN).map(|number| format!("t/{number}")).collect();
    for topic in &topics {
        add(&mut queue, topic, &[(topic, None)], &[list(0..1, true)]);
    }
    add(&mut queue, "other", &[("other", None)], &[list(1..2, true)]);
    out.full = vec![0];
    queue.deliver(usize::MAX, &mut out);
    assert_eq!((all(&out).len(), queue.waiting()), (0, MAX_BEGUN + 1));
    out.full.clear();
    queue.deliver(usize::MAX, &mut out);
    let all: Vec<String> = all(&out).into_iter().flat_map(|got| got.payloads).collect();
    assert_eq!(all, [&topics[..], &["other".to_owned()]].concat());
    assert!(queue.is_empty() && queue.bytes() == 0);
}

#[test]
fn without_echo_only_own_messages_are_left_out() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let lists = [list(0..3, false)];
    add(&mut queue, "t", &[("a", None), ("b", Some(0)), ("c", Some(1)), ("d", None)], &lists);
    add(&mut queue, "t", &[("e", Some(2)), ("f", None)], &lists);
    add(&mut queue, "t", &[("h", None)], &lists);
    // Slot 2 has published all of this one.
    add(&mut queue, "u", &[("g", Some(2))], &lists);
    queue.deliver(usize::MAX, &mut out);
    assert_eq!(
        all(&out),
        [
            got(0, &["a", "c", "d", "e", "f", "h"]),
            got(1, &["a", "b", "d", "e", "f", "h"]),
            got(2, &["a", "b", "c", "d", "f", "h"]),
            got(0, &["g"]),
            got(1, &["g"]),
        ]
    );
}

#[test]
fn a_list_counts_once_for_all_deliveries_that_hold_it() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let (one, many) = ([list(0..1, true)], [list(0..1_000, true)]);
    let mut alone = 0;
    for (lists, more) in [(one, 0), (many, 999 * size_of::<Subscriber>())] {
        for round in 0..3 {
            add(&mut queue, "t", &[("1", None)], &lists);
            let first = queue.bytes();
            add(&mut queue, "u", &[("1", None)], &lists);
            let (second, list) = (queue.bytes() - first, first - (queue.bytes() - first));
            assert!(list > lists[0].len() * size_of::<Subscriber>(), "{list}");
            // It counts again the next time.
            if more == 0 && round == 0 {
                alone = list;
            }
            assert_eq!(list, alone + more, "the same list");
            assert!(second < 1500, "{second} for a short message");
            queue.deliver(usize::MAX, &mut out);
            assert_eq!(queue.bytes(), 0);
        }
    }
}

#[test]
fn lists_are_freed_one_by_one() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let lists: Vec<Rc<Snapshot>> = (0..3000).map(|slot| list(slot..slot + 1, true)).collect();
    add(&mut queue, "t", &[("1", None)], &lists);
    // Too many lists to be compared.
    add(&mut queue, "t", &[("2", None)], &lists);
    let most = queue.bytes();
    assert!(most > 2 * 3000 * size_of::<Rc<Snapshot>>() + 3000 * size_of::<Snapshot>());
    queue.deliver(3000, &mut out);
    let half = queue.bytes();
    queue.deliver(1000, &mut out);
    assert!(queue.bytes() < half - 1000 * size_of::<Subscriber>(), "{half} {}", queue.bytes());
    assert_eq!((out.deliveries.len(), Rc::strong_count(&lists[2999])), (4000, 1));
    queue.deliver(usize::MAX, &mut out);
    assert_eq!((out.deliveries.len(), queue.bytes()), (6000, 0));
    assert!(lists.iter().all(|list| Rc::strong_count(list) == 1));
}

#[test]
fn tiny_messages_count_for_what_is_kept_about_them() {
    let mut queue = DeliveryQueue::default();
    let (lists, many) = ([list(0..1, false)], vec![("", Some(7)); 1000]);
    add(&mut queue, "t", &many, &lists);
    // The end of each message in its batch, and its publisher.
    let kept = size_of::<usize>() + size_of::<Option<ConnectionId>>();
    assert!(queue.bytes() > 1000 * kept, "{}", queue.bytes());
}

/// Clients with many filters that match the same messages must not take the turns of others.
#[test]
fn subscribers_that_have_got_it_already_count_for_less() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let lists: Vec<Rc<Snapshot>> = (0..33).map(|_| list(0..1024, true)).collect();
    add(&mut queue, "a", &[("1", None)], &lists);
    let mut turns = 0;
    while !queue.is_empty() {
        queue.deliver(128, &mut out);
        turns += 1;
    }
    assert_eq!((out.deliveries.len(), queue.bytes()), (1024, 0));
    assert!((1024 / 128 * 3..=1024 / 128 * 4).contains(&turns), "{turns} turns");
}

/// A message to very many takes many turns. Others to few, of other topics, do not wait for it.
#[test]
fn messages_to_few_go_past_one_to_very_many() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    add(&mut queue, "wide", &[("w1", None)], &[list(0..5_000, true)]);
    assert_eq!(queue.waiting(), WIDE_COUNTS, "there is room for others");
    add(&mut queue, "wide", &[("w2", None)], &[list(0..10, true)]);
    add(&mut queue, "several", &[("s", None)], &[list(0..10, true), list(5..15, true)]);
    add(&mut queue, "few", &[("f1", None)], &[list(0..100, true)]);
    add(&mut queue, "few", &[("f2", None)], &[list(0..1, true)]);
    let mut turns = 0;
    while !all(&out).iter().any(|got| got.payloads == ["f2"]) {
        queue.deliver(128, &mut out);
        turns += 1;
        assert!(turns <= 2, "it waits");
        assert_eq!(out.deliveries.len(), turns * 128 - usize::from(turns == 2) * 2);
    }
    queue.deliver(usize::MAX, &mut out);
    assert!(queue.is_empty() && queue.waiting() == 0 && queue.bytes() == 0);
    let mut order: Vec<String> = all(&out).into_iter().flat_map(|got| got.payloads).collect();
    // Each was delivered to all, once.
    let count = |payload| order.iter().filter(|other| *other == payload).count();
    let counts = ["w1", "w2", "s", "f1", "f2"].map(count);
    assert_eq!(counts, [5_000, 10, 15, 100, 1]);
    order.dedup();
    let last = |payload: &str| order.iter().rposition(|other| other == payload);
    assert!(last("f1") < last("f2") && last("f2") < last("w1"), "{order:?}");
    assert!(last("w1") < last("w2") && last("w2") < last("s"), "{order:?}");
}

/// A subscriber that was given as much as one turn allows gets the rest in the next one, also of a
/// message that goes past others.
#[test]
fn what_goes_past_others_is_tried_again_in_the_next_turn() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    add(&mut queue, "wide", &[("w", None)], &[list(100..5_000, true)]);
    add(&mut queue, "few", &[("1", None)], &[list(0..3, true)]);
    add(&mut queue, "few", &[("2", None)], &[list(0..4, true)]);
    out.full = vec![1];
    queue.deliver(128, &mut out);
    out.full.clear();
    queue.deliver(128, &mut out);
    let few = |got: &Got| got.payloads != ["w"];
    let got: Vec<(u32, String)> =
        all(&out).into_iter().filter(few).map(|got| (got.slot, got.payloads.concat())).collect();
    let expected = [(0, "1"), (2, "1"), (1, "1"), (0, "2"), (1, "2"), (2, "2"), (3, "2")];
    assert_eq!(got, expected.map(|(slot, payload)| (slot, payload.to_owned())));
    queue.deliver(usize::MAX, &mut out);
    assert!(queue.is_empty() && queue.waiting() == 0 && queue.bytes() == 0);
}

/// However many messages go past a wide one, the next one does so too, and those that are done hold
/// nothing but their places.
#[test]
fn any_number_of_messages_goes_past_a_wide_one() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    add(&mut queue, "wide", &[("w", None)], &[list(100..50_000, true)]);
    let (few, payload) = (list(0..3, true), "x".repeat(1_000));
    for count in 1..=200 {
        add(&mut queue, "few", &[(&payload, None)], std::slice::from_ref(&few));
        queue.deliver(128, &mut out);
        assert_eq!(out.by_topic()["few"], count * 3, "after {count} turns");
    }
    let places = 200 * DELIVERY;
    let wide = queue.queue[0].bytes + queue.queue[0].lists.bytes();
    assert!(queue.bytes() <= places + wide + 200_000, "{}", queue.bytes());
    queue.deliver(usize::MAX, &mut out);
    assert!(queue.is_empty() && queue.waiting() == 0 && queue.bytes() == 0);
}

/// Short messages of many topics to the same few subscribers go out together: a turn makes more
/// deliveries, and they keep others from publishing for less long.
#[test]
fn what_goes_out_together_counts_for_less() {
    let long = "x".repeat(2_000);
    let (short, large) = ((32, "x", 32 + 63 * 2, 2..=3), (32, &*long, 64 * 32, 16..=18));
    for (slots, payload, waiting, expected) in [short, large, (100, "x", 64 * 100, 15..=30)] {
        let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
        let same = list(0..slots, true);
        for topic in 0..64 {
            add(&mut queue, &topic.to_string(), &[(payload, None)], std::slice::from_ref(&same));
        }
        assert_eq!(queue.waiting(), waiting);
        let work = |queue: &DeliveryQueue| queue.work() / Work::DELIVERY;
        let (mut turns, mut before) = (0, 0);
        while !queue.is_empty() {
            out.joining = Some(HashSet::new());
            queue.deliver(128, &mut out);
            turns += 1;
            assert!(work(&queue) - std::mem::replace(&mut before, work(&queue)) <= 130);
        }
        assert!(expected.contains(&turns), "{turns} turns, {expected:?} expected");
        assert_eq!((queue.waiting(), out.deliveries.len()), (0, 64 * slots as usize));
    }
}

/// A list may still hold a connection that has ended, and another the next one in its slot.
#[test]
fn the_next_connection_of_a_slot_misses_nothing() {
    let (mut queue, mut out) = (DeliveryQueue::default(), Recorder::default());
    let next = ConnectionId { slot: 1, generation: 2 };
    let other = Subscriber { id: next, form: Form::RAW, echo: true };
    let lists = [list(0..2, true), Rc::new([other].into_iter().collect())];
    add(&mut queue, "t", &[("1", None)], &lists);
    queue.deliver(usize::MAX, &mut out);
    let mut ids: Vec<_> = out.deliveries.iter().map(|(to, _)| (to.slot, to.generation)).collect();
    ids.sort_unstable();
    assert_eq!(ids, [(0, 1), (1, 1), (1, 2)]);
}
