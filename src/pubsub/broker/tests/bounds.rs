//! Work and memory are bounded, whatever clients send.

use super::*;
use crate::pubsub::Unpublished;

/// Filters that match one topic, each with a subscriber of its own.
fn subscribe_many(broker: &mut Broker, count: u32) {
    let levels = |n: u32| (0..20).map(move |bit| if n >> bit & 1 == 1 { "+" } else { "a" });
    for n in 0..count {
        let name = levels(n).collect::<Vec<_>>().join("/") + "/#";
        subscribe_now(broker, &name, n % 500);
    }
}

/// The topic that these filters match.
fn many() -> String {
    ["a"; 20].join("/")
}

#[test]
fn a_message_for_very_many_filters_is_distributed_over_turns() {
    const COUNT: u32 = 40_000;
    let [mut broker, mut other] = brokers();
    let name = many();
    subscribe_many(&mut broker, COUNT);
    subscribe_now(&mut broker, "first", 1000);
    broker.attach(id(2000), json());
    broker.attach(id(2001), json());
    let mut out = Recorder::default();
    publish(&mut broker, "first", 1, false);
    publish(&mut broker, &name, 1, true);
    assert!(broker.searching.needs_index() && broker.take_work() < 3_000_000);
    // Subscriptions neither begin nor end before the search is complete.
    broker.subscribe(id(2000), vec![filter("#")]).unwrap();
    let mut turns = 0;
    while broker.searching.needs_index() {
        turns += 1;
        // Other topics do not wait for it.
        publish(&mut broker, "first", 1 + turns, false);
        assert!(broker.has_room());
        turn(&mut broker);
        turn(&mut other);
        assert!(broker.take_work() < 3_000_000, "in turn {turns}");
        assert!(broker.wakeup() == Wakeup::Now && turns < 1000);
        if broker.searching.needs_index() {
            broker.subscribe(id(2001), vec![filter("first")]).unwrap();
            assert!(broker.take_established().is_none());
        }
        broker.deliver(10, &mut out);
        assert_eq!(out.by_topic()["first"], turns);
    }
    assert!(turns > 3, "{turns}");
    while broker.wakeup() == Wakeup::Now {
        turn(&mut broker);
        turn(&mut other);
        broker.deliver(1000, &mut out);
    }
    let mut got = out.by_topic();
    // Once to each of 500 connections, and the retained value to the new subscription.
    assert_eq!(got.remove(&name), Some(501));
    assert_eq!(got.remove("first"), Some(turns));
    assert_eq!((got.len(), broker.waiting(), broker.searching.memory()), (0, 0, 0));
}

/// Clients whose every message needs a long search, and who send the next one as soon as they may.
#[test]
fn changes_of_the_index_have_their_turn_between_long_searches() {
    // With room for one message, an acknowledgement would wait until an earlier one is read.
    let [mut broker, mut other] = brokers_with_room(Config::default(), 4);
    let name = many();
    subscribe_many(&mut broker, 20_000);
    broker.attach(id(2000), json());
    let topic = topic(&name);
    let (mut turns, mut begun, mut ended, mut accepted) = (0, 0, 0, 0);
    let mut waiting = 0;
    broker.subscribe(id(2000), vec![filter("x")]).unwrap();
    while turns < 400 {
        turns += 1;
        broker.start_turn(Millis(1), Awaiting::default());
        while broker.take_accepted().is_some() {
            waiting -= 1;
            accepted += 1;
        }
        for slot in 3000 + waiting..3004 {
            let message = Publication::of(&topic, b"1");
            if broker.publish(&message) == Err(Unpublished::Busy) {
                broker.publish_later(&message, Some(id(slot)));
                waiting += 1;
            }
        }
        broker.distribute(Millis(1));
        for one in broker.take_established().into_iter().flatten() {
            broker.put_in_force(one, &mut Recorder::default());
            assert!(broker.unsubscribe(id(2000), &[filter("x")]));
            begun += 1;
        }
        broker.flush(&mut Recorder::default());
        turn(&mut other);
        broker.deliver(100_000, &mut Recorder::default());
        while let Some(id) = broker.take_ended() {
            broker.subscribe(id, vec![filter("x")]).unwrap();
            ended += 1;
        }
    }
    // Each change waits for the end of one search at most, and searches go on as well.
    let searches = accepted;
    assert!(
        searches > 20 && begun > searches / 4 && ended > searches / 4,
        "{searches} searches, {begun} begun, {ended} ended"
    );
}

#[test]
fn what_waits_for_a_search_is_counted_and_keeps_its_order() {
    let [mut broker, mut other] = brokers();
    let name = many();
    subscribe_many(&mut broker, 40_000);
    subscribe_now(&mut broker, "first", 1000);
    let (long, first) = (topic(&name), topic("first"));
    publish(&mut broker, &name, 1, false);
    for number in 0..5 {
        let message = Publication::of(&long, b"12");
        assert_eq!(broker.publish(&message), Err(Unpublished::Busy));
        broker.publish_later(&message, (number > 0).then_some(id(number)));
    }
    // One of the same topic waits although its own search would be short.
    assert_eq!(broker.publish(&Publication::of(&long, b"")), Err(Unpublished::Busy));
    assert_eq!(broker.publish(&Publication::of(&first, b"")), Ok(()));
    assert!(broker.searching.memory() > 6 * name.len() && broker.is_busy_for_programs());
    assert!(broker.has_room() && broker.has_room_for(1 << 20));
    let large = vec![b'1'; 1 << 20];
    broker.publish_later(&Publication::of(&long, &large), Some(id(9)));
    assert!(broker.has_room() && !broker.has_room_for(1 << 20));
    let (mut accepted, mut out) = (Vec::new(), Recorder::default());
    while broker.wakeup() == Wakeup::Now {
        turn(&mut broker);
        turn(&mut other);
        while let Some((id, result)) = broker.take_accepted() {
            assert_eq!(result, Ok(()));
            accepted.push(id.slot);
        }
        broker.deliver(1000, &mut out);
    }
    assert_eq!(accepted, [1, 2, 3, 4, 9]);
    let long: Vec<usize> = out
        .deliveries
        .iter()
        .filter(|(to, _)| to.slot == 0)
        .map(|(_, frames)| frames.bytes().len())
        .collect();
    assert!(long.is_sorted() && out.by_topic()[&name] >= 2 * 500, "{long:?}");
    assert_eq!((broker.waiting(), broker.searching.memory()), (0, 0));
    assert!(broker.has_room_for(1 << 20) && !broker.is_busy_for_programs());
}

#[test]
fn a_batch_of_another_core_for_very_many_filters_is_searched_over_turns() {
    let [mut broker, mut other] = brokers();
    let name = many();
    subscribe_many(&mut broker, 40_000);
    other.index.set_remote(&filter("#"), 0, Forms::EMPTY.with(Form::RAW));
    publish(&mut other, &name, 1, false);
    turn(&mut other);
    let (mut out, mut searching) = (Recorder::default(), 0);
    loop {
        turn(&mut broker);
        searching += usize::from(broker.searching.needs_index());
        broker.deliver(1000, &mut out);
        if broker.wakeup() != Wakeup::Now {
            break;
        }
    }
    assert!(searching > 3, "{searching}");
    assert_eq!((out.by_topic()[&name], broker.waiting()), (500, 0));
}

/// A loop over topics that a filter does not match is work as well.
#[test]
fn topics_that_are_looked_at_for_retained_values_are_counted() {
    let [mut broker, _] = brokers();
    for number in 0..9_000 {
        publish(&mut broker, &format!("r/{number}"), 1, true);
    }
    turn(&mut broker);
    broker.take_work();
    for slot in 0..50 {
        broker.attach(id(slot), json());
        broker.replay_later(id(slot), filter("+/none"));
    }
    let (mut turns, mut out) = (0, Recorder::default());
    while broker.wakeup() == Wakeup::Now {
        turns += 1;
        broker.deliver(128, &mut out);
        let work = broker.take_work();
        assert!(work < 1_100_000, "{work}");
    }
    assert!(turns >= 50 * 9_000 / 5_000 && out.deliveries.is_empty(), "{turns}");
}

/// Another core always has more messages than this one can deliver, and a program and clients of
/// this core wait for room as well.
#[test]
fn all_that_wait_for_room_take_turns() {
    let [mut broker, mut other] = brokers_with_room(Config::default(), 64);
    for slot in 0..100 {
        subscribe_now(&mut broker, "t", slot);
    }
    other.index.set_remote(&filter("t"), 0, Forms::EMPTY.with(Form::RAW));
    let waits = Awaiting { clients: true, programs: true };
    let [mut by_others, mut by_programs, mut by_clients] = [0; 3];
    for _ in 0..2000 {
        while other.has_room() {
            publish(&mut other, "t", 1, false);
        }
        turn(&mut other);
        let before = broker.deliveries.waiting();
        let is_of_programs = broker.start_turn(Millis(1), waits);
        by_others += u32::from(broker.deliveries.waiting() > before);
        if broker.has_room() {
            by_programs += u32::from(is_of_programs);
            by_clients += u32::from(!is_of_programs);
            while broker.has_room() {
                publish(&mut broker, "t", 1, false);
            }
        }
        broker.distribute(Millis(1));
        broker.flush(&mut Recorder::default());
        broker.deliver(128, &mut Recorder::default());
    }
    let all = [by_others, by_programs, by_clients];
    assert!(all.iter().all(|turns| *turns > 10), "{all:?}");
}

#[test]
fn control_messages_do_not_wait_for_payload() {
    let [mut broker, mut other] = brokers();
    subscribe_now(&mut broker, "t", 7);
    broker.index.set_remote(&filter("t"), 1, Forms::EMPTY.with(Form::RAW));
    other.index.set_remote(&filter("t"), 0, Forms::EMPTY.with(Form::RAW));
    for _ in 0..3 {
        publish(&mut other, "t", BACKLOG, false);
        publish(&mut broker, "t", BACKLOG, false);
        turn(&mut other);
        turn(&mut broker);
    }
    // Neither has room for batches, and the ring between them is full.
    assert!(!broker.has_room() && !other.has_room());
    broker.attach(id(1), json());
    broker.subscribe(id(1), vec![filter("new")]).unwrap();
    let mut is_established = false;
    for _ in 0..10 {
        broker.start_turn(Millis(1), Awaiting::default());
        broker.distribute(Millis(1));
        is_established |= broker.take_established().is_some();
        broker.flush(&mut Recorder::default());
        turn(&mut other);
    }
    assert!(is_established && !broker.has_room());
}

#[test]
fn an_acknowledgement_that_does_not_come_is_noticed() {
    let [mut broker, _other] = brokers();
    broker.attach(id(1), json());
    broker.attach(id(2), json());
    for slot in [1, 2] {
        broker.subscribe(id(slot), vec![filter("new")]).unwrap();
    }
    // The core may have slept for long before.
    broker.distribute(Millis(500));
    for _ in 0..3 {
        broker.flush(&mut Recorder::default());
    }
    broker.distribute(Millis(10_499));
    assert_eq!((broker.take_overdue(), broker.wakeup()), (None, Wakeup::At(Millis(10_500))));
    broker.distribute(Millis(10_500));
    let first = broker.take_overdue().unwrap();
    assert_eq!((first.id, first.core), (id(1), Some(1)));
    assert_eq!(broker.take_overdue().map(|next| (next.id, next.core)), Some((id(2), None)));
    assert_eq!((broker.take_overdue(), broker.establishing.bytes()), (None, 0));
}

#[test]
fn the_index_is_limited_for_each_connection_and_core() {
    let [mut broker, _] = brokers();
    let mut config = Config::default();
    config.pubsub.max_connection_index = 10_000;
    config.pubsub.max_index = 60_000;
    broker.config = Arc::new(config);
    let (mut accepted, mut errors) = (0, Vec::new());
    for slot in 0..20 {
        broker.attach(id(slot), json());
        for n in 0..50 {
            match broker.subscribe(id(slot), vec![filter(&format!("{slot}/{n}/+"))]) {
                Ok(()) => accepted += 1,
                Err(error) => {
                    errors.push(error.to_string());
                    break;
                }
            }
        }
    }
    assert!((50..300).contains(&accepted), "{accepted}");
    assert!(errors[0].contains("max-connection-index"), "{errors:?}");
    assert!(errors.last().unwrap().contains("max-index"), "{errors:?}");
    assert!(broker.index_bytes() <= 60_000);
    // One that it has costs nothing.
    broker.subscribe(id(0), vec![filter("0/0/+")]).unwrap();
    (0..20).for_each(|slot| broker.detach(id(slot)));
    while broker.wakeup() == Wakeup::Now {
        turn(&mut broker);
    }
    assert!(broker.index_bytes() <= broker.establishing.bytes());
}

/// Clients that leave with many subscriptions do not keep those of others from coming into force.
#[test]
fn a_subscription_does_not_wait_for_the_end_of_others() {
    let config = Arc::new(Config::default());
    let totals = Totals::new(&config.pubsub);
    let port = mesh(1, Limits::default()).remove(0);
    let mut broker = Broker::new(config, port, totals);
    for slot in 0..100 {
        broker.attach(id(slot), json());
        let filters = (0..100).map(|n| filter(&format!("{slot}/{n}"))).collect();
        broker.subscribe(id(slot), filters).unwrap();
    }
    while broker.wakeup() == Wakeup::Now || !broker.establishing.is_empty() {
        turn(&mut broker);
    }
    (0..100).for_each(|slot| broker.detach(id(slot)));
    assert_eq!(broker.ended.len(), 10_000);
    broker.attach(id(100), json());
    broker.subscribe(id(100), vec![filter("new")]).unwrap();
    let mut turns = 0;
    while find(&broker, "new").lists.is_empty() {
        turn(&mut broker);
        turns += 1;
    }
    assert!(turns < 4 && broker.ended.len() > 5_000, "{turns} turns, {} left", broker.ended.len());
}

/// Publishers wait for deliveries to many, however short their messages are.
#[test]
fn publishers_wait_for_many_deliveries() {
    let [mut broker, _] = brokers();
    (0..1_500).for_each(|slot| subscribe_now(&mut broker, "t/#", slot));
    let mut config = Config::default();
    config.pubsub.backlog = 1 << 30;
    broker.config = Arc::new(config);
    let mut accepted = 0;
    while broker.has_room() {
        publish(&mut broker, &format!("t/{accepted}"), 1, false);
        accepted += 1;
        assert!(accepted < 10);
    }
    // The one that needs most is not counted, or a burst could not be delivered together.
    assert_eq!(accepted, 2);
    turn(&mut broker);
    assert!(!broker.has_room() && broker.deliveries.waiting() == 600);
    broker.deliver(3_000, &mut Recorder::default());
    assert!(broker.has_room());
    (0..100).for_each(|_| publish(&mut broker, "t/0", 1, false));
    assert!(broker.has_room(), "they go out together");
    publish(&mut broker, "t/1", 1, false);
    assert!(!broker.has_room());
    while broker.wakeup() == Wakeup::Now {
        broker.deliver(1_000, &mut Recorder::default());
        turn(&mut broker);
    }
    assert!(broker.has_room() && broker.deliveries.waiting() == 0);
}
