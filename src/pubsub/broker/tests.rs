mod bounds;
mod elsewhere;
mod hung;
mod large;
mod lines;
mod many;
mod memory;
mod searches;
mod values;

use std::collections::HashMap;
use std::sync::Arc;

use super::sources::Awaiting;
use super::state::Broker;
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::mesh::{Limits, mesh};
use crate::pubsub::encoding::{Form, Forms};
use crate::pubsub::index::{Matches, Recipients, Subscriber};
use crate::pubsub::name::{Filter, Topic};
use crate::pubsub::publication::Publication;
use crate::pubsub::retained::Totals;
use crate::pubsub::subscribers::Options;
use crate::pubsub::testing::Recorder;
use crate::session::{Frames, Wakeup};

const BACKLOG: usize = 5_000;

/// Two cores with room for one message between them.
fn brokers() -> [Broker; 2] {
    brokers_with(Config::default())
}

fn brokers_with(config: Config) -> [Broker; 2] {
    brokers_with_room(config, 1)
}

fn brokers_with_room(mut config: Config, entries: usize) -> [Broker; 2] {
    config.pubsub.backlog = BACKLOG;
    let totals = Totals::new(&config.pubsub);
    let config = Arc::new(config);
    let ports = mesh(2, Limits { entries, ..Limits::default() });
    let broker = |port| Broker::new(Arc::clone(&config), port, totals.clone());
    ports.into_iter().map(broker).collect::<Vec<_>>().try_into().unwrap()
}

fn topic(name: &str) -> Topic {
    Topic::new(name, 64).unwrap()
}

fn filter(name: &str) -> Filter {
    Filter::new(name, 64).unwrap()
}

fn id(slot: u32) -> ConnectionId {
    ConnectionId { slot, generation: 1 }
}

fn json() -> Options {
    Options { form: Form::JSON, echo: true, marks_retained: true }
}

/// Adds a subscription that is in force at once.
fn subscribe_now(broker: &mut Broker, name: &str, slot: u32) {
    let subscriber = Subscriber { id: id(slot), form: Form::RAW, echo: true };
    assert!(broker.index.subscribe(&filter(name), subscriber));
}

fn publish(broker: &mut Broker, name: &str, len: usize, retain: bool) {
    let (topic, payload) = (topic(name), vec![b'1'; len]);
    let message = Publication { retain, ..Publication::of(&topic, &payload) };
    broker.publish(&message).unwrap();
}

fn find(broker: &Broker, name: &str) -> Recipients {
    let (topic, mut matches) = (topic(name), Matches::default());
    broker.index.begin(&topic, &mut matches);
    assert!(broker.index.resume(&topic, &mut matches, &mut u64::MAX.clone()));
    matches.take()
}

/// One turn without its deliveries.
fn turn(broker: &mut Broker) -> Recorder {
    let mut out = Recorder::default();
    broker.start_turn(Millis(1), Awaiting::default());
    broker.distribute(Millis(1));
    while let Some(established) = broker.take_established() {
        established.into_iter().for_each(|one| broker.put_in_force(one, &mut out));
    }
    broker.flush(&mut out);
    out
}

/// What was cleared after a long sleep is remembered from then on, not from before the sleep: an
/// older value of another core, which comes later, does not come back.
#[test]
fn what_is_cleared_after_a_long_sleep_stays_cleared() {
    let [mut broker, mut other] = brokers();
    turn(&mut broker);
    publish(&mut other, "t", 1, true);
    broker.start_turn(Millis(100_000), Awaiting::default());
    publish(&mut broker, "t", 0, true);
    other.distribute(Millis(100_000));
    other.flush(&mut Recorder::default());
    for _ in 0..2 {
        broker.distribute(Millis(100_000));
        broker.flush(&mut Recorder::default());
        broker.start_turn(Millis(100_000), Awaiting::default());
    }
    turn(&mut other);
    assert_eq!((broker.stats().retained, other.stats().retained), (0, 0));
}

#[test]
fn messages_of_one_turn_count_at_once() {
    let [mut broker, _] = brokers();
    broker.index.set_remote(&filter("t"), 1, Forms::EMPTY.with(Form::RAW));
    publish(&mut broker, "t", BACKLOG / 2, false);
    assert!(broker.has_room());
    let before = broker.waiting();
    publish(&mut broker, "nobody", BACKLOG, false);
    assert_eq!(broker.waiting(), before, "a message without subscribers costs nothing");
    publish(&mut broker, "t", BACKLOG / 2, false);
    assert!(!broker.has_room());
    turn(&mut broker);
    assert!(broker.has_room(), "it is in the queue to the other core");
    assert_eq!(broker.waiting(), 0);
    // Empty messages hold memory too.
    let empty = (1..).find(|_| {
        publish(&mut broker, "t", 0, false);
        !broker.has_room()
    });
    assert!(empty.unwrap() < BACKLOG / 8, "{empty:?}");
}

#[test]
fn a_core_with_too_much_to_deliver_takes_no_messages_of_other_cores() {
    let [mut broker, mut other] = brokers();
    subscribe_now(&mut broker, "t", 7);
    other.index.set_remote(&filter("t"), 0, Forms::EMPTY.with(Form::RAW));
    publish(&mut other, "t", 10, false);
    publish(&mut broker, "t", BACKLOG, false);
    turn(&mut broker);
    turn(&mut other);
    for _ in 0..3 {
        turn(&mut broker);
        assert!(broker.peers.port().has_incoming());
    }
    let mut out = Recorder::default();
    broker.deliver(128, &mut out);
    turn(&mut broker);
    assert!(!broker.peers.port().has_incoming());
    broker.deliver(128, &mut out);
    assert_eq!(out.by_topic()["t"], 2);
}

#[test]
fn retained_values_leave_half_of_a_turn_to_new_messages() {
    let [mut broker, _] = brokers();
    for number in 0..200 {
        publish(&mut broker, &format!("r/{number}"), 1, true);
    }
    turn(&mut broker);
    (0..200).for_each(|slot| subscribe_now(&mut broker, "new", slot));
    broker.attach(id(7), json());
    broker.replay_later(id(7), filter("r/+"));
    publish(&mut broker, "new", 1, false);
    turn(&mut broker);
    let mut out = Recorder::default();
    broker.deliver(128, &mut out);
    let mut counts = out.by_topic();
    assert_eq!(counts.remove("new"), Some(64));
    assert_eq!(counts.values().sum::<usize>(), 64);
    // The deliveries that retained values do not need are for new messages as well.
    for _ in 0..3 {
        broker.deliver(128, &mut out);
    }
    let mut counts = out.by_topic();
    assert_eq!(counts.remove("new"), Some(200));
    assert_eq!(counts.values().sum::<usize>(), 200);
}

#[test]
fn a_value_is_sent_once_however_many_filters_match() {
    let [mut broker, _] = brokers();
    for name in ["r/0", "r/1", "s"] {
        publish(&mut broker, name, 1, true);
    }
    turn(&mut broker);
    broker.attach(id(7), json());
    for name in ["r/1", "r/+", "#"] {
        broker.subscribe(id(7), vec![filter(name)]).unwrap();
        broker.replay_later(id(7), filter(name));
    }
    // Published after the subscription: delivered as new, and not once more as retained.
    let subscriber = Subscriber { id: id(7), form: Form::JSON, echo: true };
    assert!(broker.index.subscribe(&filter("#"), subscriber));
    publish(&mut broker, "r/2", 1, true);
    let mut out = Recorder::default();
    loop {
        broker.start_turn(Millis(1), Awaiting::default());
        broker.distribute(Millis(1));
        broker.flush(&mut out);
        broker.deliver(128, &mut out);
        if broker.wakeup() != Wakeup::Now {
            break;
        }
    }
    let expected = ["r/0", "r/1", "r/2", "s"].map(|name| (name.to_owned(), 1));
    assert_eq!(out.by_topic(), HashMap::from(expected));
}

/// A connection that reads its retained values as fast as they come does not delay new messages,
/// though these are also for itself.
#[test]
fn retained_values_for_one_connection_do_not_delay_new_messages_for_all() {
    let [mut broker, _] = brokers();
    for number in 0..1000 {
        publish(&mut broker, &format!("r/{number}"), 1, true);
    }
    turn(&mut broker);
    broker.attach(id(7), json());
    broker.replay_later(id(7), filter("r/+"));
    [7, 8].into_iter().for_each(|slot| subscribe_now(&mut broker, "new", slot));
    for round in 1..=10 {
        publish(&mut broker, "new", 1, false);
        turn(&mut broker);
        // The worker limits the bytes of a connection in a turn; here it is the number.
        let mut out = Recorder::default();
        out.portion = Some(4);
        broker.deliver(128, &mut out);
        let mut counts = out.by_topic();
        assert_eq!(counts.remove("new"), Some(2), "{round}");
        assert_eq!(counts.len(), 3, "the rest of its portion");
    }
    assert_eq!(broker.stats().deliveries, 20);
}

/// Filters that come and go while another core takes no messages leave nothing behind for it.
#[test]
fn a_filter_that_came_and_went_is_not_sent() {
    let [mut broker, mut other] = brokers();
    // The other core knows these.
    broker.peers.want(&filter("kept"), Form::RAW);
    broker.peers.want(&filter("ended"), Form::RAW);
    for _ in 0..10 {
        turn(&mut broker);
        turn(&mut other);
    }
    assert_eq!(other.index.filters(), 2);
    for number in 0..1000 {
        let filter = filter(&format!("f/{number}"));
        broker.peers.want(&filter, Form::RAW);
        broker.peers.want(&filter, Form::JSON);
        broker.peers.withdraw(&filter);
        broker.peers.withdraw(&filter);
        turn(&mut broker);
    }
    broker.peers.withdraw(&filter("ended"));
    broker.peers.want(&filter("again"), Form::RAW);
    broker.peers.withdraw(&filter("again"));
    broker.peers.want(&filter("again"), Form::RAW);
    // There is room for one message, which may have been any of them; the rest are those that
    // matter.
    assert!(broker.peers.unsent() <= 3, "{}", broker.peers.unsent());
    for _ in 0..10 {
        turn(&mut broker);
        turn(&mut other);
    }
    for (name, is_wanted) in [("kept", true), ("again", true), ("ended", false), ("f/1", false)] {
        let found = find(&other, name);
        assert_eq!(found.has_remote(), is_wanted, "{name}");
    }
}

/// One client's subscription does not wait for the filter of another client, nor does a
/// subscription to a filter that the other cores know already wait for anything.
#[test]
fn subscriptions_wait_for_their_own_filters_only() {
    let [mut broker, mut other] = brokers();
    let ids = |established: Vec<crate::pubsub::subscribers::Established>| {
        established.into_iter().map(|one| one.id.slot).collect::<Vec<_>>()
    };
    (1..=3).for_each(|slot| broker.attach(id(slot), json()));
    broker.subscribe(id(1), vec![filter("known")]).unwrap();
    for _ in 0..10 {
        turn(&mut broker);
        turn(&mut other);
    }
    // From here on the other core does not run.
    broker.subscribe(id(2), vec![filter("known"), filter("new")]).unwrap();
    broker.subscribe(id(3), vec![filter("known")]).unwrap();
    broker.subscribe(id(1), vec![filter("known")]).unwrap();
    broker.start_turn(Millis(1), Awaiting::default());
    broker.distribute(Millis(2));
    let mut first = broker.take_established().map(ids).unwrap();
    first.extend(broker.take_established().map(ids).unwrap_or_default());
    first.sort_unstable();
    assert_eq!(first, [1, 3]);
    assert!(broker.take_established().is_none());
    let mut out = Recorder::default();
    for _ in 0..10 {
        broker.flush(&mut out);
        turn(&mut other);
        broker.start_turn(Millis(1), Awaiting::default());
    }
    assert_eq!(broker.take_established().map(ids), Some(vec![2]));
}

/// A subscription waits for the changes before it, not for those that come after it, however many
/// come in each turn.
#[test]
fn a_subscription_does_not_wait_for_later_ones() {
    const COUNT: u32 = 400;
    let [mut broker, mut other] = brokers();
    // The first one is the last in any order but that of the changes.
    let name = |slot: u32| filter(&format!("f/{}", COUNT - slot));
    let is_in_force = |broker: &Broker, slot| !broker.index.local_forms(&name(slot)).is_empty();
    for slot in 0..=COUNT {
        broker.attach(id(slot), json());
        broker.subscribe(id(slot), vec![name(slot)]).unwrap();
        if slot % 8 == 0 {
            turn(&mut broker);
            turn(&mut other);
        }
        assert!(slot < 80 || is_in_force(&broker, 0), "{slot} have come since");
    }
    // There is room for one message at a time.
    let in_force = (0..=COUNT).filter(|slot| is_in_force(&broker, *slot)).count();
    assert!(broker.peers.unsent() > 300 && (5..100).contains(&in_force), "{in_force}");
    assert!((0..=COUNT).map(|slot| is_in_force(&broker, slot)).is_sorted_by_key(|is| !is));
    for _ in 0..3 * COUNT {
        turn(&mut broker);
        turn(&mut other);
    }
    assert!((0..=COUNT).all(|slot| is_in_force(&broker, slot)));
    assert_eq!((other.index.filters(), broker.peers.unsent()), (401, 0));
}
