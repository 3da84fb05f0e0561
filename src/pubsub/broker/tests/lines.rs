//! A subscriber in an encoding of which nothing but its own file and its line in the list knows,
//! and which has no WebSocket frames.

use super::*;
use crate::pubsub::encoding::{Codec, Event, ONE_PIECE, encode};

/// What each connection is sent until neither core has anything left to say.
fn settle(brokers: &mut [Broker; 2]) -> HashMap<ConnectionId, Vec<u8>> {
    let mut sent: HashMap<_, Vec<u8>> = HashMap::new();
    for _ in 0..40 {
        for broker in &mut *brokers {
            let mut out = turn(broker);
            broker.deliver(128, &mut out);
            for (to, frames) in &out.deliveries {
                sent.entry(*to).or_default().extend_from_slice(frames.bytes());
            }
        }
    }
    sent
}

#[test]
fn a_subscriber_without_websocket_frames_is_served() {
    let mut brokers = brokers();
    let form = Form::new(Codec::Lines, Some(15));
    let options = [Options { form, echo: true, marks_retained: true }, json()];
    publish(&mut brokers[1], "kept", 3, true);
    assert!(settle(&mut brokers).is_empty());
    for (slot, options) in (7..).zip(options) {
        brokers[0].attach(id(slot), options);
        brokers[0].subscribe(id(slot), vec![filter("#")]).unwrap();
    }
    let sent = settle(&mut brokers);
    assert_eq!(sent[&id(7)], b"retained kept: 111\n");
    assert_eq!(sent[&id(8)], *b"\x81\x2b{\"topic\":\"kept\",\"data\":111,\"retained\":true}");

    // From both cores, and several in one batch; one is long enough to be compressed for others.
    for (core, len) in [(0, 1), (0, 2), (1, 3), (1, 500)] {
        publish(&mut brokers[core], &format!("t/{core}"), len, false);
    }
    let sent = settle(&mut brokers);
    let line = |core: usize, len: usize| format!("t/{core}: {}\n", "1".repeat(len));
    let expected = [(0, 1), (0, 2), (1, 3), (1, 500)].map(|(core, len)| line(core, len)).concat();
    assert_eq!(String::from_utf8_lossy(&sent[&id(7)]), expected);

    // In pieces.
    for (core, len) in [(0, ONE_PIECE + 1), (1, 300_000)] {
        publish(&mut brokers[core], &format!("t/{core}"), len, false);
        let sent = settle(&mut brokers);
        assert!(sent[&id(7)] == line(core, len).as_bytes(), "{core}");
        assert!(sent[&id(8)].ends_with(b"1}") && sent[&id(8)][0] == 0x81, "{core}");
    }

    let mut notice = Vec::new();
    let form = brokers[0].form(id(7)).unwrap();
    encode(form, Event::Gap { topic: "t", lost: 3 }, &mut notice);
    assert_eq!(notice, b"lost t: 3\n");
}
