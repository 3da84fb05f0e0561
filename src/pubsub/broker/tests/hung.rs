//! The other core hangs: nobody waits for it, and when it goes on it learns what it has missed.

use super::*;
use crate::pubsub::Unpublished;
use crate::pubsub::retained::{Next, RetainLimit};

/// Two cores, of which the second has two subscribers, wants `t` and does not run any more, and the
/// flag by which it is declared to hang.
fn with_hung_core() -> ([Broker; 2], crate::mesh::SleepFlag) {
    let [mut broker, mut hung] = brokers();
    hung.attach(id(1), json());
    hung.attach(id(2), json());
    subscribe_now(&mut hung, "t", 1);
    broker.index.set_remote(&filter("t"), 1, Forms::EMPTY.with(Form::RAW));
    let flag = hung.peers.port().sleep_flag();
    ([broker, hung], flag)
}

fn fill(broker: &mut Broker) {
    for _ in 0..3 {
        publish(broker, "t", BACKLOG / 2, false);
        turn(broker);
    }
}

#[test]
fn publishers_do_not_wait_for_a_core_that_hangs() {
    let ([mut broker, mut hung], flag) = with_hung_core();
    fill(&mut broker);
    assert!(!broker.has_room(), "a core that is only slow is waited for");
    flag.set_hung(true);
    turn(&mut broker);
    assert!(broker.has_room() && broker.waiting() == 0);
    for _ in 0..100 {
        publish(&mut broker, "t", BACKLOG / 2, false);
        turn(&mut broker);
        assert!(broker.has_room() && broker.waiting() == 0);
    }
    assert_eq!(broker.stats().lost, 102);
    assert!(!matches!(broker.wakeup(), Wakeup::Now | Wakeup::At(Millis(0..1000))));
    // It goes on: what was in its queue is delivered, and its subscribers are closed.
    flag.set_hung(false);
    turn(&mut broker);
    turn(&mut hung);
    assert_eq!(hung.wakeup(), Wakeup::Now);
    let missed: Vec<_> = std::iter::from_fn(|| hung.take_missed()).collect();
    assert_eq!(missed, [id(2), id(1)]);
    let mut out = Recorder::default();
    hung.deliver(128, &mut out);
    publish(&mut broker, "t", 1, false);
    for _ in 0..3 {
        turn(&mut broker);
        turn(&mut hung);
        hung.deliver(128, &mut out);
    }
    assert_eq!(out.by_topic()["t"], 2);
    assert!(hung.take_missed().is_none(), "it is told once");
    assert_eq!(broker.stats().lost, 102);
}

#[test]
fn a_core_that_hangs_and_has_room_misses_nothing() {
    let ([mut broker, mut hung], flag) = with_hung_core();
    flag.set_hung(true);
    publish(&mut broker, "t", 1, true);
    turn(&mut broker);
    flag.set_hung(false);
    turn(&mut broker);
    turn(&mut hung);
    assert!(hung.take_missed().is_none());
    assert_eq!((hung.stats().retained, broker.stats().lost), (1, 0));
}

#[test]
fn retained_values_stay_the_same_on_all_cores() {
    let ([mut broker, mut hung], flag) = with_hung_core();
    publish(&mut broker, "t", BACKLOG / 2, true);
    turn(&mut broker);
    publish(&mut broker, "t", BACKLOG / 2 + 1, true);
    turn(&mut broker);
    publish(&mut broker, "t", BACKLOG / 2 + 2, true);
    turn(&mut broker);
    flag.set_hung(true);
    turn(&mut broker);
    let topic = topic("t");
    for payload in [&b"1"[..], b""] {
        let message = Publication { retain: true, ..Publication::of(&topic, payload) };
        let limit = Unpublished::NotRetained(RetainLimit::CoreHangs);
        assert_eq!(broker.publish(&message), Err(limit));
        turn(&mut broker);
    }
    assert_eq!((broker.stats().not_retained, broker.waiting()), (2, 0));
    flag.set_hung(false);
    for _ in 0..5 {
        turn(&mut broker);
        turn(&mut hung);
        hung.deliver(128, &mut Recorder::default());
    }
    let value = |broker: &mut Broker| {
        let filter = filter("t");
        let next = broker.retained.next(&filter, None, u64::MAX, &mut 1);
        if let Next::Value(_, kept) = next { Some(kept.value().bytes) } else { None }
    };
    assert!(value(&mut hung).is_some_and(|bytes| bytes.len() > BACKLOG / 2));
    assert_eq!(value(&mut hung), value(&mut broker));
    publish(&mut broker, "t", 1, true);
}

#[test]
fn subscriptions_do_not_wait_for_a_core_that_hangs() {
    let ([mut broker, mut hung], flag) = with_hung_core();
    broker.attach(id(7), json());
    broker.subscribe(id(7), vec![filter("new")]).unwrap();
    turn(&mut broker);
    assert!(!broker.establishing.is_empty());
    flag.set_hung(true);
    assert_eq!(broker.wakeup(), Wakeup::Now);
    turn(&mut broker);
    assert!(broker.establishing.is_empty());
    // When it goes on it knows the subscription.
    flag.set_hung(false);
    turn(&mut hung);
    assert!(find(&hung, "new").has_remote());
}
