//! Goal: what a request of a connection with very many subscriptions costs does not depend on how
//! many they are.
//! Method: the work that is counted, and the filters that are looked at one by one.

use super::*;
use crate::pubsub::subscribers::Filters;

/// A broker with one connection that has so many filters, all in force.
fn with_filters(held: usize) -> Broker {
    let mut config = Config::default();
    config.pubsub.max_subscriptions = 1 << 20;
    config.pubsub.max_connection_index = usize::MAX;
    config.pubsub.max_index = usize::MAX;
    config.limits.memory = 1 << 40;
    let [mut broker, _] = brokers_with(config);
    broker.attach(id(1), json());
    broker.subscribe(id(1), (0..held).map(numbered).collect()).unwrap();
    broker
}

fn numbered(number: usize) -> Filter {
    Filter::new(&format!("{}{number:06}", "p".repeat(240)), 256).unwrap()
}

/// The work of what `request` does, and the filters that it looks at one by one.
fn cost(broker: &mut Broker, request: impl FnOnce(&mut Broker)) -> (u64, usize) {
    broker.take_work();
    Filters::take_looked_at();
    request(broker);
    (broker.take_work(), Filters::take_looked_at())
}

/// The costs of requests that each name 1,024 filters.
fn costs(held: usize) -> Vec<(u64, usize)> {
    let mut broker = with_filters(held);
    let last = vec![numbered(held - 1); 1024];
    let unknown: Vec<Filter> = (0..1024).map(|number| numbered(500_000 + number)).collect();
    let again = cost(&mut broker, |broker| {
        broker.check_count(id(1), &last).unwrap();
        broker.subscribe(id(1), last).unwrap();
    });
    let none = cost(&mut broker, |broker| assert!(!broker.unsubscribe(id(1), &unknown)));
    let new = cost(&mut broker, |broker| broker.subscribe(id(1), unknown.clone()).unwrap());
    assert_eq!(broker.filters(id(1)).count(), held + 1024);
    let ended = cost(&mut broker, |broker| assert!(broker.unsubscribe(id(1), &unknown)));
    assert_eq!(broker.filters(id(1)).count(), held);
    vec![again, none, new, ended]
}

#[test]
fn a_request_costs_the_same_however_many_filters_are_held() {
    let few = costs(40);
    assert_eq!(costs(20_000), few);
    for (work, looked_at) in few {
        // The list of a few is left behind.
        assert_eq!(looked_at, 0);
        assert!((1_000_000..4_000_000).contains(&work), "{work}");
    }
    // A connection with a few looks at these for each name, but not more than 32.
    let [(_, again), (_, none), ..] = costs(32)[..] else { panic!() };
    assert_eq!((again, none), (2 * 32, 1024 * 32));
}

#[test]
fn subscriptions_come_into_force_and_end_without_a_look_at_the_others() {
    let mut broker = with_filters(20_000);
    let (mut turns, mut looked_at) = (0, 0);
    broker.peers.set_acked(1, u64::MAX);
    while broker.index.filters() < 20_000 {
        turns += 1;
        assert!(turns < 1000);
        looked_at += cost(&mut broker, |broker| drop(turn(broker))).1;
    }
    assert_eq!(looked_at, 0);
    broker.detach(id(1));
    let mut of_ended = 0;
    while broker.index.filters() > 0 {
        turns += 1;
        assert!(turns < 2000);
        of_ended += cost(&mut broker, |broker| drop(turn(broker))).1;
    }
    // Each is taken once.
    assert!(of_ended <= 2 * 20_000, "{of_ended}");
    assert_eq!((broker.filter_bytes, broker.filter_memory), (0, 0));
}

/// Each value is compared with the filters before, a few at a time.
#[test]
fn a_retained_value_is_compared_with_earlier_filters_in_pieces() {
    const HELD: usize = 2000;
    let mut config = Config::default();
    config.pubsub.max_subscriptions = 1 << 20;
    config.pubsub.max_connection_index = usize::MAX;
    let [mut broker, _] = brokers_with(config);
    broker.attach(id(1), json());
    publish(&mut broker, "t/1", 1, true);
    publish(&mut broker, "t/2", 1, true);
    let mut filters: Vec<Filter> =
        (0..HELD).map(|number| filter(&format!("n/{number}/+"))).collect();
    filters.push(filter("t/2"));
    let all = filters.len() + 1;
    filters.push(filter("t/+"));
    broker.subscribe(id(1), filters).unwrap();
    let mut out = Recorder::default();
    for filter in broker.filters(id(1)).cloned().collect::<Vec<_>>() {
        broker.replay_later(id(1), filter);
    }
    let mut steps = 0;
    while !broker.replaying.is_empty() {
        steps += 1;
        assert!(steps < 20_000);
        let (_, looked_at) = cost(&mut broker, |broker| {
            assert_eq!(broker.replay(1, &mut out), 0);
        });
        assert!(looked_at <= 257, "{looked_at}");
    }
    // One comes for the filter of its own, and is known when the last filter brings it.
    let got = out.by_topic();
    assert_eq!((got["t/1"], got["t/2"]), (1, 1));
    assert!(steps > all + 2 * HELD / 256, "{steps}");
}
