//! Large retained values are encoded over several turns: once for all that wait for them, for as
//! long as somebody does, and holding up nobody else.

use bytes::Bytes;

use super::*;
use crate::base::Ledger;
use crate::pubsub::encoding::{Codec, Event, encode};
use crate::pubsub::testing::Call;

/// The most work of a turn: two pieces, and some deliveries.
const MAX_WORK: u64 = 700_000;

fn broker() -> (Broker, Ledger) {
    let port = mesh(1, Limits::default()).remove(0);
    let config = Arc::new(Config::default());
    let totals = Totals::new(&config.pubsub);
    let (mut broker, ledger) = (Broker::new(config, port, totals), Ledger::default());
    broker.use_ledger(&ledger);
    broker.drafts.encode_work = 10_000;
    (broker, ledger)
}

fn options(form: Form) -> Options {
    Options { form, echo: true, marks_retained: form.codec() != Codec::Raw }
}

/// A turn, the work of which is bounded.
fn turn(broker: &mut Broker, out: &mut Recorder) {
    broker.take_work();
    broker.start_turn(Millis(1), Awaiting::default());
    broker.distribute(Millis(1));
    while let Some(established) = broker.take_established() {
        established.into_iter().for_each(|one| broker.put_in_force(one, out));
    }
    broker.flush(out);
    broker.deliver(100, out);
    while broker.take_ended().is_some() {}
    broker.charge_memory();
    let work = broker.take_work();
    assert!(work < MAX_WORK, "{work}");
}

/// Turns until nothing is left to do; returns their number.
fn settle(broker: &mut Broker, out: &mut Recorder) -> usize {
    let mut turns = 0;
    while broker.wakeup() == Wakeup::Now {
        turn(broker, out);
        turns += 1;
        assert!(turns < 10_000);
    }
    turns
}

fn retain(broker: &mut Broker, name: &str, payload: &[u8]) {
    let topic = topic(name);
    let message = Publication { retain: true, ..Publication::of(&topic, payload) };
    broker.publish(&message).unwrap();
}

fn subscribe(broker: &mut Broker, slot: u32, form: Form, name: &str) {
    if broker.form(id(slot)).is_none() {
        broker.attach(id(slot), options(form));
    }
    broker.subscribe(id(slot), vec![filter(name)]).unwrap();
}

/// What a retained value is encoded as at once.
fn at_once(form: Form, name: &str, payload: &[u8]) -> Vec<u8> {
    let topic = topic(name);
    let mut out = Vec::new();
    encode(form, Event::Retained(Publication::of(&topic, payload).content()), &mut out);
    out
}

/// What a connection was delivered, by topic.
fn delivered(out: &Recorder, slot: u32) -> Vec<(String, Bytes)> {
    let to = out.deliveries.iter().filter(|(to, _)| to.slot == slot);
    to.map(|(_, frames)| (frames.subject().to_string(), Bytes::clone(frames.bytes()))).collect()
}

#[test]
fn large_values_are_encoded_once_in_each_codec_and_hold_up_nobody() {
    let (mut broker, ledger) = broker();
    let mut out = Recorder::default();
    let payloads = [
        ("v/json", format!("[{}0]", "[1.5e3,{\"a\":\"b\"}],".repeat(60_000)).into_bytes()),
        ("v/none", vec![0xFF; 400_000]),
        ("v/text", b"no \"JSON\" ".repeat(50_000)),
    ];
    for (name, payload) in &payloads {
        retain(&mut broker, name, payload);
    }
    settle(&mut broker, &mut out);
    let before = ledger.used();
    let lines = Form::new(Codec::Lines, None);
    let forms = [Form::JSON, lines, Form::RAW, Form::new(Codec::Json, Some(15))];
    // More than go on in one turn.
    for slot in 0..300 {
        subscribe(&mut broker, slot, forms[slot as usize % 4], "v/#");
    }
    subscribe(&mut broker, 1000, Form::RAW, "new");
    turn(&mut broker, &mut out);
    // A value that is new meanwhile, and messages to others, do not wait.
    retain(&mut broker, "v/new", b"1");
    publish(&mut broker, "new", 1, false);
    turn(&mut broker, &mut out);
    let mut turns = 2;
    while out.deliveries.len() < 301 {
        turn(&mut broker, &mut out);
        turns += 1;
    }
    assert!(delivered(&out, 1000).len() == 1 && turns < 10, "{turns}");
    assert!(!broker.values.is_empty() && broker.values.memory() > 0);
    turns += settle(&mut broker, &mut out);
    assert!(turns > 50, "{turns}");
    for slot in 0..300 {
        let form = forms[slot as usize % 4];
        let found = delivered(&out, slot);
        assert_eq!((found.len(), found[0].0.as_str()), (4, "v/new"), "{slot}");
        let first = delivered(&out, slot % 4);
        for ((name, payload), at) in payloads.iter().zip(1..) {
            assert_eq!(found[at].0, *name);
            assert!(found[at].1 == at_once(form, name, payload), "{slot} {name}");
            // It is one for all.
            assert_eq!(found[at].1.as_ptr(), first[at].1.as_ptr(), "{slot} {name}");
        }
    }
    // Windows do not matter for retained values.
    assert_eq!(delivered(&out, 0)[1].1.as_ptr(), delivered(&out, 3)[1].1.as_ptr());
    let held: usize = (0..3).flat_map(|slot| delivered(&out, slot)).map(|one| one.1.len()).sum();
    let charged = ledger.used() - before;
    assert!(charged >= held && charged < 2 * held, "{charged} for {held}");
    // Nothing is encoded again while they are held.
    subscribe(&mut broker, 2000, Form::JSON, "v/#");
    assert!(settle(&mut broker, &mut out) < 10);
    assert_eq!(delivered(&out, 2000)[0].1.as_ptr(), delivered(&out, 0)[1].1.as_ptr());
    drop(out);
    (0..300).chain([1000, 2000]).for_each(|slot| broker.detach(id(slot)));
    settle(&mut broker, &mut Recorder::default());
    assert!(ledger.used() < before + 60_000, "{} and {before}", ledger.used());
}

#[test]
fn what_is_json_is_scanned_once() {
    let (mut broker, _) = broker();
    let payload = format!("[{}0]", "1,".repeat(500_000)).into_bytes();
    retain(&mut broker, "t", &payload);
    let mut turns = [0; 2];
    for (slot, turns) in (0..).zip(&mut turns) {
        // Nobody holds the first when the second subscribes.
        let mut out = Recorder::default();
        subscribe(&mut broker, slot, Form::JSON, "t");
        *turns = settle(&mut broker, &mut out);
        assert!(delivered(&out, slot)[0].1 == at_once(Form::JSON, "t", &payload));
        broker.detach(id(slot));
    }
    assert!(turns[1] < turns[0] * 2 / 3, "{turns:?}");
}

#[test]
fn values_that_are_replaced_or_cleared_meanwhile_are_not_sent() {
    for replacement in [&b""[..], b"2", &[b'2'; 300_000]] {
        let (mut broker, ledger) = broker();
        let mut out = Recorder::default();
        retain(&mut broker, "a", &[b'1'; 600_000]);
        retain(&mut broker, "b", &[b'1'; 100_000]);
        subscribe(&mut broker, 0, Form::JSON, "#");
        subscribe(&mut broker, 1, Form::new(Codec::Lines, None), "#");
        (0..4).for_each(|_| turn(&mut broker, &mut out));
        assert!(broker.values.is_encoding() && out.deliveries.is_empty());
        retain(&mut broker, "a", replacement);
        // This one is sent what is retained now.
        turn(&mut broker, &mut out);
        subscribe(&mut broker, 2, Form::JSON, "a");
        settle(&mut broker, &mut out);
        for slot in 0..2 {
            let mut found = delivered(&out, slot);
            found.sort();
            let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
            assert_eq!(names, ["a", "b"], "{slot}");
            assert!(found[0].1.len() < replacement.len() + 50, "the new value");
        }
        let third = delivered(&out, 2);
        match replacement.is_empty() {
            true => assert!(third.is_empty()),
            // A message is delivered while it waits.
            false => assert!(third.iter().all(|(_, sent)| sent.len() < replacement.len() + 50)),
        }
        drop(out);
        assert!(ledger.used() < 850_000 && broker.values.is_empty(), "{}", ledger.used());
    }
}

#[test]
fn nothing_is_encoded_for_subscribers_that_have_left() {
    let (mut broker, _) = broker();
    let mut out = Recorder::default();
    retain(&mut broker, "a", &[b'1'; 2_000_000]);
    retain(&mut broker, "b", b"1");
    subscribe(&mut broker, 0, Form::JSON, "a");
    subscribe(&mut broker, 0, Form::JSON, "b");
    subscribe(&mut broker, 1, Form::JSON, "a");
    (0..3).for_each(|_| turn(&mut broker, &mut out));
    assert!(broker.values.is_encoding() && out.deliveries.is_empty());
    broker.detach(id(1));
    turn(&mut broker, &mut out);
    assert!(broker.values.is_encoding());
    // What waited behind it goes on.
    assert!(broker.unsubscribe(id(0), &[filter("a")]));
    assert!(broker.values.is_empty() && broker.values.memory() == 0);
    assert!(settle(&mut broker, &mut out) < 5);
    assert_eq!(delivered(&out, 0).len(), 1);
    assert_eq!(delivered(&out, 0)[0].0, "b");
    // Again and again.
    for _ in 0..50 {
        subscribe(&mut broker, 0, Form::JSON, "a");
        turn(&mut broker, &mut out);
        turn(&mut broker, &mut out);
        assert!(broker.unsubscribe(id(0), &[filter("a")]));
        turn(&mut broker, &mut out);
    }
    assert!(settle(&mut broker, &mut out) < 5 && broker.values.is_empty());
    assert_eq!(delivered(&out, 0).len(), 1);
}

#[test]
fn a_large_value_that_is_not_marked_precedes_newer_messages() {
    let (mut broker, ledger) = broker();
    let mut out = Recorder::default();
    let payload = vec![b'1'; 3_000_000];
    retain(&mut broker, "t", &payload);
    settle(&mut broker, &mut out);
    let before = ledger.used();
    subscribe(&mut broker, 0, Form::RAW, "t");
    subscribe(&mut broker, 1, Form::RAW, "t");
    publish(&mut broker, "t", 3, false);
    turn(&mut broker, &mut out);
    publish(&mut broker, "t", 2, false);
    turn(&mut broker, &mut out);
    assert!(broker.values.is_empty());
    let mut sent = Vec::new();
    for call in out.calls.iter().take_while(|call| !matches!(call, Call::Deliver(_))) {
        if let Call::Answer(to, bytes) = call
            && *to == id(0)
        {
            sent.extend_from_slice(bytes);
        }
    }
    assert!(sent == at_once(Form::RAW, "t", &payload));
    assert_eq!((delivered(&out, 0).len(), delivered(&out, 0)[0].1.len()), (1, 4));
    assert!(ledger.used() < before + 100_000, "it is not copied: {}", ledger.used() - before);
}

#[test]
fn large_messages_and_values_share_the_work() {
    let (mut broker, _) = broker();
    let mut out = Recorder::default();
    retain(&mut broker, "v", &[b'1'; 1_000_000]);
    settle(&mut broker, &mut out);
    subscribe(&mut broker, 0, Form::JSON, "t");
    settle(&mut broker, &mut out);
    subscribe(&mut broker, 1, Form::JSON, "v");
    for _ in 0..20 {
        publish(&mut broker, "t", 100_000, false);
    }
    let (mut messages, mut turns) = (0, 0);
    while delivered(&out, 1).is_empty() {
        turn(&mut broker, &mut out);
        messages = delivered(&out, 0).len();
        turns += 1;
        assert!(turns < 200);
    }
    assert!((1..20).contains(&messages), "{messages} in {turns} turns");
    settle(&mut broker, &mut out);
    assert_eq!(delivered(&out, 0).len(), 20);
}

/// A batch of a core that did not know of a form when it published a large value.
#[test]
fn a_large_value_of_another_core_is_encoded_in_pieces_where_it_lacks_a_form() {
    let [mut broker, mut other] = brokers();
    broker.drafts.encode_work = 10_000;
    other.index.set_remote(&filter("t"), 0, Forms::EMPTY.with(Form::RAW));
    subscribe_now(&mut broker, "t", 7);
    let json = Subscriber { id: id(8), form: Form::JSON, echo: true };
    assert!(broker.index.subscribe(&filter("t"), json));
    let payload = vec![b'1'; 400_000];
    retain(&mut other, "t", &payload);
    let (mut out, mut turns) = (Recorder::default(), 0);
    let mut is_first = true;
    while delivered(&out, 7).len() < 3 {
        super::turn(&mut other);
        turn(&mut broker, &mut out);
        if broker.drafts.encoding.holds_batch(&topic("t")) && std::mem::take(&mut is_first) {
            assert!(broker.drafts.encoding.batch_bytes() >= payload.len());
            // Behind it; also a message of this core.
            publish(&mut other, "t", 1, false);
            publish(&mut broker, "t", 2, false);
        }
        turns += 1;
        assert!(turns < 10_000);
    }
    assert!(turns > 5 && !is_first, "{turns}");
    for (slot, form, count) in [(7, Form::RAW, 3), (8, Form::JSON, 2)] {
        let found = delivered(&out, slot);
        let mut expected = at_once(form, "t", &payload);
        if form == Form::JSON {
            expected = Vec::new();
            let text = format!("{{\"topic\":\"t\",\"data\":{}}}", "1".repeat(payload.len()));
            crate::protocol::websocket::frame::append_frame(
                &mut expected,
                crate::protocol::websocket::Opcode::Text,
                false,
                text.as_bytes(),
            );
        }
        assert!(found[0].1 == expected, "{slot}");
        assert_eq!(found.len(), count, "{slot}");
    }
    assert_eq!((broker.drafts.encoding.batch_bytes(), broker.waiting()), (0, 0));
}

/// Many connections subscribe at the same time to a topic that has a long retained value. What they
/// are sent in one turn is bounded.
#[test]
fn answers_with_retained_values_are_spread_over_turns() {
    const LEN: usize = 16 << 10;
    let (mut broker, _) = broker();
    retain(&mut broker, "t", &[b'v'; LEN]);
    for slot in 0..500 {
        broker.attach(id(slot), options(Form::RAW));
        broker.subscribe(id(slot), vec![filter("t")]).unwrap();
    }
    let (mut most, mut answered) = (0, 0);
    while broker.wakeup() == Wakeup::Now {
        broker.start_turn(Millis(1), Awaiting::default());
        broker.distribute(Millis(1));
        let mut out = Recorder::default();
        while let Some(established) = broker.take_established() {
            established.into_iter().for_each(|one| broker.put_in_force(one, &mut out));
        }
        let len = |call: &Call| if let Call::Answer(_, bytes) = call { bytes.len() } else { 0 };
        let sent: usize = out.calls.iter().map(len).sum();
        (most, answered) = (most.max(sent), answered + out.calls.len());
        broker.flush(&mut out);
        broker.deliver(100, &mut out);
    }
    assert_eq!(answered, 500);
    assert!(most < 3 << 20, "{most} bytes in one turn");
}
