//! What a broker holds is charged, and what stays is limited.

use super::*;
use crate::base::Ledger;
use crate::pubsub::Unpublished;
use crate::pubsub::retained::RetainLimit;

fn charged(memory: usize) -> (Broker, Ledger) {
    let mut config = Config::default();
    config.limits.memory = memory;
    let [mut broker, _] = brokers_with(config);
    let ledger = Ledger::default();
    broker.use_ledger(&ledger);
    (broker, ledger)
}

/// One turn with its deliveries.
fn run(broker: &mut Broker) -> Recorder {
    let mut out = turn(broker);
    broker.deliver(128, &mut out);
    broker.charge_memory();
    out
}

fn retain(broker: &mut Broker, name: &str, len: usize) -> Result<(), RetainLimit> {
    let (topic, payload) = (topic(name), vec![b'1'; len]);
    let message = Publication { retain: true, ..Publication::of(&topic, &payload) };
    broker.publish(&message).map_err(|error| match error {
        Unpublished::NotRetained(limit) => limit,
        Unpublished::Busy => unreachable!("no search is long"),
    })
}

#[test]
fn what_waits_is_charged_until_it_is_delivered_and_nobody_holds_it() {
    let (mut broker, ledger) = charged(1 << 30);
    (0..200).for_each(|slot| subscribe_now(&mut broker, "t", slot));
    publish(&mut broker, "t", 100_000, false);
    // Long messages count for several deliveries.
    let first = run(&mut broker);
    assert!((1..128).contains(&first.deliveries.len()), "{}", first.deliveries.len());
    let mut all = vec![first];
    while broker.wakeup() == Wakeup::Now {
        assert!((100_000..150_000).contains(&ledger.used()), "{}", ledger.used());
        all.push(run(&mut broker));
    }
    assert_eq!(all.iter().map(|out| out.deliveries.len()).sum::<usize>(), 200);
    assert!((100_000..150_000).contains(&ledger.used()), "held by subscribers");
    drop(all);
    run(&mut broker);
    publish(&mut broker, "nobody", 10, false);
    run(&mut broker);
    assert!(ledger.used() < 20_000, "{}", ledger.used());
}

#[test]
fn values_and_filters_may_take_half_of_the_memory() {
    const MEMORY: usize = 1 << 20;
    let (mut broker, ledger) = charged(MEMORY);
    let name = |number: usize| format!("topic/{number}");
    let taken = (0..100).take_while(|number| retain(&mut broker, &name(*number), 10_000).is_ok());
    let taken = taken.count();
    assert!((40..52).contains(&taken), "{taken}");
    let full = Err(RetainLimit::Memory(MEMORY / 2));
    assert_eq!(retain(&mut broker, "topic/more", 10_000), full);
    run(&mut broker);
    assert!(broker.lasting() <= MEMORY / 2 && broker.lasting() < ledger.used());
    broker.attach(id(1), json());
    let filters = (0..100).map(|number| filter(&format!("f/{number}/+"))).collect();
    let refused = broker.subscribe(id(1), filters).unwrap_err().to_string();
    assert!(refused.contains("max-memory") && refused.contains("524288"), "{refused}");
    // A value may be replaced by one that is no longer, and cleared, which makes room.
    assert_eq!(retain(&mut broker, &name(0), 10_000), Ok(()));
    assert_eq!(retain(&mut broker, &name(0), 0), Ok(()));
    assert_eq!(retain(&mut broker, "more", 9_000), Ok(()));
}

#[test]
fn publishers_wait_while_memory_is_short() {
    const LARGE: usize = 1 << 20;
    let (broker, ledger) = charged(1 << 20);
    let mut charge = ledger.open();
    charge.set(7 << 17);
    assert!(broker.has_room() && broker.has_room_for(LARGE));
    charge.set((7 << 17) + 1);
    assert!(broker.has_room() && broker.has_room_for(1_000) && !broker.has_room_for(LARGE));
    charge.set(63 << 14);
    assert!(broker.has_room());
    charge.set((63 << 14) + 1);
    assert!(!broker.has_room());
    drop(charge);
    assert!(broker.has_room() && broker.has_room_for(LARGE));
}
