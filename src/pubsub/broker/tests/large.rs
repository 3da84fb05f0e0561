//! Messages that are encoded over several turns: they hold up neither other topics nor
//! subscriptions, and keep the order of their topic and their place before an unsubscription.

use super::*;
use crate::pubsub::Unpublished;
use crate::pubsub::encoding::ONE_PIECE;

fn broker() -> Broker {
    let port = mesh(1, Limits::default()).remove(0);
    let config = Arc::new(Config::default());
    let totals = Totals::new(&config.pubsub);
    let mut broker = Broker::new(config, port, totals);
    broker.drafts.encode_work = 10_000;
    let raw = Options { form: Form::RAW, echo: true, marks_retained: false };
    (0..3).for_each(|slot| broker.attach(id(slot), raw));
    broker
}

/// A turn; returns the connections whose subscriptions have begun and ended with it.
fn turn(broker: &mut Broker, out: &mut Recorder) -> (Vec<u32>, Vec<u32>) {
    let (mut begun, mut ended) = (Vec::new(), Vec::new());
    broker.start_turn(Millis(1), Awaiting::default());
    broker.distribute(Millis(1));
    for one in broker.take_established().into_iter().flatten() {
        begun.push(one.id.slot);
        broker.put_in_force(one, out);
    }
    broker.flush(out);
    broker.deliver(100, out);
    while let Some(id) = broker.take_ended() {
        ended.push(id.slot);
    }
    (begun, ended)
}

fn subscribe(broker: &mut Broker, out: &mut Recorder, slot: u32, name: &str) {
    broker.subscribe(id(slot), vec![filter(name)]).unwrap();
    while turn(broker, out).0.is_empty() {}
}

/// The lengths of what was delivered, with the connection and the topic.
fn delivered(out: &Recorder) -> Vec<(u32, String, usize)> {
    let of = |frames: &Frames| (frames.subject().to_string(), frames.len());
    out.deliveries.iter().map(|(to, frames)| (to.slot, of(frames).0, of(frames).1)).collect()
}

#[test]
fn a_large_message_holds_up_its_own_topic_only() {
    let (mut broker, mut out) = (broker(), Recorder::default());
    subscribe(&mut broker, &mut out, 0, "t");
    subscribe(&mut broker, &mut out, 1, "u");
    let long = 2_000_000;
    publish(&mut broker, "t", long, false);
    publish(&mut broker, "t", 1, false);
    publish(&mut broker, "u", 2, false);
    assert!(broker.has_room() && !broker.has_room_for(1 << 20));
    assert!(broker.waiting() < 10_000, "the message that is encoded is not counted");
    turn(&mut broker, &mut out);
    assert_eq!(delivered(&out), [(1, "u".to_owned(), 4)]);
    // Subscriptions begin meanwhile, and are not sent what was accepted before.
    subscribe(&mut broker, &mut out, 2, "#");
    assert!(broker.unsubscribe(id(0), &[filter("t")]));
    publish(&mut broker, "t", 3, false);
    let mut turns = 0;
    while out.deliveries.len() < 4 {
        let (_, ended) = turn(&mut broker, &mut out);
        let has_all = delivered(&out).iter().filter(|(to, ..)| *to == 0).count() >= 2;
        assert!(ended.is_empty() || has_all, "the answer overtakes a message");
        turns += 1;
        assert!(turns < 10_000);
    }
    assert!(turns > 20, "{turns}");
    let t = || "t".to_owned();
    let expected = [(0, t(), long + 10), (0, t(), 3), (0, t(), 5), (2, t(), 5)];
    let mut found = delivered(&out).split_off(1);
    found.sort_by_key(|(to, _, len)| (*to, usize::MAX - *len));
    let mut expected = expected.to_vec();
    expected.sort_by_key(|(to, _, len)| (*to, usize::MAX - *len));
    assert_eq!(found, expected);
    assert!(broker.has_room_for(1 << 20));
    assert_eq!(broker.waiting(), 0);
}

#[test]
fn what_waits_behind_a_large_message_is_counted() {
    let (mut broker, mut out) = (broker(), Recorder::default());
    subscribe(&mut broker, &mut out, 0, "#");
    let len = 3 << 20;
    for number in 0..4 {
        assert!(broker.has_room());
        publish(&mut broker, &number.to_string(), len, false);
        assert!(broker.waiting() >= number * len && broker.waiting() < number * len + 10_000);
    }
    assert!(!broker.has_room());
    while broker.wakeup() == Wakeup::Now {
        turn(&mut broker, &mut out);
    }
    assert_eq!((broker.waiting(), out.deliveries.len()), (0, 4));
    publish(&mut broker, "short", ONE_PIECE, false);
    assert!(broker.has_room_for(1 << 20));
    for number in 0..4 {
        assert!(broker.has_room_for(ONE_PIECE + 1));
        publish(&mut broker, &format!("medium/{number}"), ONE_PIECE + 1, false);
    }
    assert!(!broker.has_room_for(ONE_PIECE + 1) && broker.has_room_for(1 << 20));
    publish(&mut broker, "long", 1 << 20, false);
    assert!(!broker.has_room_for(1 << 20));
}

/// A message that is encoded within some milliseconds does not wait for megabytes, unless these
/// came before it to the same topic; and megabytes wait for what came before them.
#[test]
fn medium_messages_do_not_wait_for_long_ones() {
    let (mut broker, mut out) = (broker(), Recorder::default());
    subscribe(&mut broker, &mut out, 0, "#");
    let (medium, long) = (20_000, 2_000_000);
    for (topic, len) in [("a", long), ("a", medium), ("b", medium), ("c", medium), ("c", long)] {
        publish(&mut broker, topic, len, false);
    }
    while out.deliveries.len() < 5 {
        turn(&mut broker, &mut out);
    }
    let order: Vec<_> = delivered(&out).into_iter().map(|(_, topic, len)| (topic, len)).collect();
    let expected = [("b", medium), ("c", medium), ("a", long), ("a", medium), ("c", long)];
    let frame = |len: usize| len + if len > 65_535 { 10 } else { 4 };
    assert_eq!(order, expected.map(|(topic, len)| (topic.to_owned(), frame(len))));
    assert_eq!((broker.waiting(), broker.drafts.encoding.done()), (0, 5));
}

#[test]
fn who_unsubscribes_does_not_wait_for_large_messages_to_others() {
    let (mut broker, mut out) = (broker(), Recorder::default());
    subscribe(&mut broker, &mut out, 0, "t");
    for name in ["u", "u/+", "#"] {
        subscribe(&mut broker, &mut out, 1, name);
    }
    publish(&mut broker, "t", 1_000_000, false);
    let ends_at_once = |broker: &mut Broker, out: &mut Recorder, name: &str| {
        assert!(broker.unsubscribe(id(1), &[filter(name)]));
        turn(broker, out).1 == [1]
    };
    assert!(ends_at_once(&mut broker, &mut out, "u/+") && ends_at_once(&mut broker, &mut out, "u"));
    // One that has ended is sent what came before, and another request does not wait with it.
    assert!(!ends_at_once(&mut broker, &mut out, "#"));
    subscribe(&mut broker, &mut out, 2, "v");
    assert!(broker.unsubscribe(id(2), &[filter("v")]));
    assert_eq!(turn(&mut broker, &mut out).1, [2]);
    let mut ended = Vec::new();
    while ended.is_empty() {
        ended = turn(&mut broker, &mut out).1;
        // The answer comes after the message.
        let is_sent = delivered(&out).iter().any(|(to, name, _)| (*to, name.as_str()) == (1, "t"));
        assert_eq!(is_sent, !ended.is_empty());
    }
    assert_eq!((ended, broker.wakeup() == Wakeup::Now), (vec![1], false));
}

#[test]
fn what_a_payload_becomes_is_charged() {
    use crate::base::Work;
    use crate::pubsub::encoding::Codec;
    let (mut broker, mut out) = (broker(), Recorder::default());
    let form = Form::new(Codec::Json, Some(15));
    broker.attach(id(0), Options { form, echo: true, marks_retained: true });
    subscribe(&mut broker, &mut out, 0, "t");
    for (byte, times) in [(b'a', 1), (1, 6)] {
        let (topic, payload) = (topic("t"), vec![byte; 2_000]);
        broker.take_work();
        broker.publish(&Publication::of(&topic, &payload)).unwrap();
        let (work, least) =
            (broker.take_work(), Work::of_deflated(1, 15, times * payload.len(), 0));
        assert!(work >= least && work < least + 10_000, "{work} for {byte}");
    }
}

/// Messages that are costly to encode are not all accepted in the turn in which they come: their
/// publishers wait. What is cheap does not wait, nor do other topics.
#[test]
fn costly_messages_wait_for_later_turns() {
    let (mut broker, mut out) = (broker(), Recorder::default());
    broker.attach(id(3), Options { form: Form::JSON, echo: true, marks_retained: true });
    subscribe(&mut broker, &mut out, 3, "t");
    subscribe(&mut broker, &mut out, 0, "u");
    // Each byte becomes six.
    let (t, payload) = (topic("t"), vec![1; ONE_PIECE]);
    let message = Publication::of(&t, &payload);
    broker.start_turn(Millis(1), Awaiting::default());
    let (mut accepted, mut waiting) = (0, 0);
    for slot in 0..50 {
        match broker.publish(&message) {
            Ok(()) => accepted += 1,
            Err(Unpublished::Busy) => {
                waiting += 1;
                broker.publish_later(&message, Some(id(100 + slot)));
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    assert!((1..25).contains(&accepted) && waiting > 25, "{accepted} and {waiting}");
    publish(&mut broker, "u", 1, false);
    turn(&mut broker, &mut out);
    let (mut turns, mut clients) = (1, Vec::new());
    while clients.len() < waiting {
        let before = clients.len();
        clients.extend(std::iter::from_fn(|| broker.take_accepted()).map(|(id, _)| id.slot));
        assert!(clients.len() < before + 25, "{clients:?} after {turns} turns");
        turn(&mut broker, &mut out);
        turns += 1;
        assert!(turns < 200, "{clients:?}");
    }
    assert!(turns > 1 && clients.is_sorted(), "{clients:?} in {turns} turns");
    while broker.wakeup() == Wakeup::Now {
        turn(&mut broker, &mut out);
    }
    let all = delivered(&out);
    assert_eq!(all.iter().filter(|(_, name, _)| name == "u").count(), 1);
    let bytes: usize = all.iter().filter(|(to, ..)| *to == 3).map(|(.., len)| len).sum();
    assert!(bytes > 50 * 6 * ONE_PIECE, "{bytes}");
}
