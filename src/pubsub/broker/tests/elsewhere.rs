//! Messages that wait for another core.

use super::*;

/// Publishes to topics of their own until there is no room. Returns how many.
fn fill(broker: &mut Broker) -> usize {
    let mut count = 0;
    while broker.has_room() {
        publish(broker, &format!("t/{count}"), 1, false);
        count += 1;
        assert!(count < 1_000, "there is always room");
    }
    count
}

/// What is published here is delivered there behind what has been sent there before. So that is
/// little, also if this core has no subscribers, and the less while the other has much to deliver.
#[test]
fn publishers_wait_while_another_core_does_not_take_what_it_was_sent() {
    let [mut broker, mut other] = brokers_with_room(Config::default(), 1024);
    other.config = Arc::new(Config::default());
    broker.config = Arc::new(Config::default());
    broker.index.set_remote(&filter("t/#"), 1, Forms::EMPTY.with(Form::RAW));
    for slot in 0..100 {
        subscribe_now(&mut other, "t/#", slot);
    }
    assert_eq!(fill(&mut broker), 34);
    turn(&mut broker);
    // The other core has had no turn.
    broker.start_turn(Millis(2), Awaiting::default());
    assert!(!broker.has_room());
    assert_eq!(broker.wakeup(), Wakeup::At(Millis(3)));
    // It takes as many as it can deliver soon. Until it has done that, it is sent few.
    let (mut most, mut sent) = (0, 34);
    for _ in 0..200 {
        other.start_turn(Millis(2), Awaiting::default());
        other.distribute(Millis(2));
        other.flush(&mut Recorder::default());
        other.deliver(128, &mut Recorder::default());
        broker.start_turn(Millis(2), Awaiting::default());
        sent += fill(&mut broker);
        broker.distribute(Millis(2));
        broker.flush(&mut Recorder::default());
        if sent > 34 {
            most = most.max(broker.peers.port().untaken(1));
        }
    }
    assert!(sent > 100 && most <= 24, "{sent} messages, {most} at once");
    // Once it delivers no more, there is room again.
    while other.wakeup() == Wakeup::Now {
        turn(&mut other);
        other.deliver(128, &mut Recorder::default());
    }
    broker.start_turn(Millis(3), Awaiting::default());
    assert!(broker.has_room());
}

/// A core that hangs keeps nobody from publishing.
#[test]
fn nobody_waits_for_a_core_that_hangs() {
    let [mut broker, mut other] = brokers_with_room(Config::default(), 1024);
    broker.config = Arc::new(Config::default());
    broker.index.set_remote(&filter("t/#"), 1, Forms::EMPTY.with(Form::RAW));
    fill(&mut broker);
    turn(&mut broker);
    broker.start_turn(Millis(2), Awaiting::default());
    assert!(!broker.has_room());
    other.peers.port().sleep_flag().set_hung(true);
    broker.start_turn(Millis(2), Awaiting::default());
    assert!(broker.has_room());
}
