//! Messages that match very many filters: while one is searched for, a further one waits with its
//! client, and nobody else does.

use super::*;
use crate::pubsub::RetainLimit;

/// One receive holds hundreds of short messages, each for all subscribers: the rest of it waits
/// once there are as many deliveries as others may have to wait for.
#[test]
fn a_receive_is_not_handled_beyond_the_room_for_deliveries() {
    let [mut core, mut other] = cores();
    let mut subscribers: Vec<Client> =
        (0..50).map(|slot| Client::json(&mut core, id(100 + slot))).collect();
    for subscriber in &mut subscribers {
        subscriber.send(&mut core, &[r##"{"subscribe":"#"}"##]);
    }
    core.settle(&mut other);
    let mut publisher = Client::json(&mut core, id(1));
    let mut bytes = Vec::new();
    let messages = (0..200).map(|topic| format!(r#"{{"publish":"t/{topic}","data":1}}"#));
    let ends: Vec<usize> = messages.map(|text| masked(&mut bytes, &text)).collect();
    let before = core.published();
    let (handled, _) = publisher.receive(&mut core, &mut bytes);
    let Handled::Paused(at) = handled else { panic!("{handled:?}") };
    let count = ends.iter().position(|end| *end == at).unwrap() + 1;
    assert!((1..60).contains(&count), "{count} messages for 50 subscribers");
    assert_eq!(core.published() - before, count as u64);
    assert!(!core.gateway.has_room());
    while !core.gateway.has_room() {
        core.turn();
    }
    // The rest goes on from there.
    let (_, rest) = bytes.split_at_mut(at);
    let _ = publisher.receive(&mut core, rest);
    assert!(core.published() - before > count as u64);
}

/// Two clients, and a topic that matches so many filters that the search takes several turns.
fn two_clients() -> ([Core<Echo>; 2], [Client; 2], String) {
    let [mut core, mut other] = cores();
    let mut subscriber = Client::json(&mut core, id(1));
    let levels = |n: u32| (0..12).map(move |bit| if n >> bit & 1 == 1 { "+" } else { "a" });
    for part in 0..30 {
        let name = |n| format!("\"{}\"", levels(n).collect::<Vec<_>>().join("/"));
        let names: Vec<String> = (100 * part..100 * (part + 1)).map(name).collect();
        let (handled, replies) =
            subscriber.send(&mut core, &[&format!("{{\"subscribe\":[{}]}}", names.join(","))]);
        assert_eq!((handled, replies), (1, vec![]));
        subscriber = Client::json(&mut core, id(10 + part));
    }
    while core.gateway.broker().stats().filters < 3000 {
        core.settle(&mut other);
    }
    let clients = [2, 3].map(|slot| Client::json(&mut core, id(slot)));
    ([core, other], clients, ["a"; 12].join("/"))
}

fn long(topic: &str, request: u32) -> String {
    format!(r#"{{"id":{request},"publish":"{topic}","data":1}}"#)
}

#[test]
fn a_request_that_waits_for_a_search_is_answered_in_order_and_holds_nobody_else() {
    let ([mut core, mut other], [mut first, mut second], topic) = two_clients();
    let before = core.published();
    let (handled, replies) = first.send(&mut core, &[&long(&topic, 1)]);
    assert_eq!((handled, replies.len()), (1, 1));
    // What comes behind the request waits with it.
    let ping = r#"{"id":3,"publish":"b","data":1}"#;
    assert_eq!(second.send(&mut core, &[&long(&topic, 2), ping]), (1, vec![]));
    assert_eq!(core.published() - before, 1);
    // Others go on.
    assert_eq!(first.send(&mut core, &[ping]).0, 1);
    assert_eq!(core.published() - before, 2);
    let mut calls = core.turn();
    assert!(!calls.contains(&Call::SetReading(id(3), true)), "the search takes several turns");
    calls.extend(core.settle(&mut other));
    let at = calls.iter().position(|call| *call == Call::SetReading(id(3), true)).unwrap();
    let Call::Answer(to, frame) = &calls[at - 1] else { panic!("{:?}", calls[at - 1]) };
    let text = format!(r#"{{"published":"{topic}","id":2}}"#);
    assert_eq!((*to, texts(frame)), (id(3), vec![text]));
    assert_eq!(core.published() - before, 3);
}

#[test]
fn a_request_without_an_id_is_answered_only_if_it_fails() {
    let ([mut core, mut other], [mut first, mut second], topic) = two_clients();
    let request = format!(r#"{{"publish":"{topic}","data":1}}"#);
    assert_eq!(first.send(&mut core, &[&request]), (1, vec![]));
    assert_eq!(second.send(&mut core, &[&request, &request]), (1, vec![]));
    let calls = core.settle(&mut other);
    let answered = |call: &Call| matches!(call, Call::Answer(to, _) if *to == id(3));
    assert!(calls.contains(&Call::SetReading(id(3), true)) && !calls.iter().any(answered));

    assert_eq!(first.send(&mut core, &[&long(&topic, 1)]).0, 1);
    assert_eq!(second.send(&mut core, &[&long(&topic, 2)]), (1, vec![]));
    let mut out = Recorder::default();
    let client = core.gateway.clients.get(id(3)).unwrap();
    client.accepted(id(3), Err(RetainLimit::CoreHangs), &mut out);
    let [Call::Answer(_, frame), Call::SetReading(_, true)] = &out.calls[..] else {
        panic!("{:?}", out.calls)
    };
    let text = texts(frame).remove(0);
    assert!(text.starts_with(r#"{"error":"\"a/a/"#) && text.ends_with(r#","id":2}"#), "{text}");
}

#[test]
fn a_client_of_one_topic_waits_as_well() {
    let ([mut core, mut other], [mut first, _], topic) = two_clients();
    let (mut raw, _) = Client::connect(&mut core, id(4), &format!("/topics/{topic}?role=pub"), "");
    assert_eq!(raw.send(&mut core, &["1"]), (1, vec![]));
    assert_eq!(first.send(&mut core, &[&long(&topic, 1)]), (1, vec![]));
    assert_eq!(raw.send(&mut core, &["2", "3"]), (1, vec![]));
    let calls = core.settle(&mut other);
    let went_on: Vec<&Call> =
        calls.iter().filter(|call| matches!(call, Call::SetReading(_, true))).collect();
    assert_eq!(went_on, [&Call::SetReading(id(2), true), &Call::SetReading(id(4), true)]);
}
