use std::io::Write;
use std::thread;

use super::*;
use crate::load::Work;
use crate::load::fake::{Client, listen};

/// The change that a server makes to the frame with this number for this subscriber.
type Change = fn(usize, usize, &mut Vec<u8>);

fn honest(_: usize, _: usize, _: &mut Vec<u8>) {}

fn plan(address: std::net::SocketAddr, length: Length) -> Plan {
    let work = Fanout {
        subscriber: "/sub".into(),
        publisher: "/pub".into(),
        subscribe: None,
        subscribers: 3,
        size: 200,
        burst: 4,
    };
    Plan {
        address,
        work: Work::Fanout(work),
        warm_up: Duration::ZERO,
        length,
        busy: true,
        verify: true,
        deflate: false,
        tls: None,
    }
}

/// Runs a load against a server that relays with changes; `lines` are added to its answers.
fn with_server(
    change: Change,
    lines: &'static str,
    adjust: fn(&mut Plan, &mut Fanout),
) -> io::Result<(Outcome, Vec<Moment>)> {
    let listener = listen();
    let mut plan = plan(listener.local_addr()?, Length::Count(5));
    let Work::Fanout(mut work) = plan.work.clone() else { unreachable!() };
    adjust(&mut plan, &mut work);
    let (count, subscribed) = (work.subscribers, work.subscribe.is_some());
    let server = thread::spawn(move || {
        let mut clients: Vec<_> = (0..count).map(|_| Client::accept(&listener, lines)).collect();
        for client in clients.iter_mut().filter(|_| subscribed) {
            client.frame().unwrap();
            client.stream.write_all(&[0x81, 2, b'o', b'k']).unwrap();
        }
        let mut publisher = Client::accept(&listener, "");
        for n in 0.. {
            let Some(frame) = publisher.frame() else { break };
            for (index, client) in clients.iter_mut().enumerate() {
                let mut frame = frame.clone();
                change(n, index, &mut frame);
                // The load may have ended by now.
                let _ = client.stream.write_all(&frame);
            }
        }
    });
    let mut moments = Vec::new();
    let outcome = Load::open(&plan, &work, Duration::from_millis(300)).and_then(|load| {
        load.run(&plan, &mut |moment| {
            moments.push(moment);
            Ok(())
        })
    });
    // A load that failed early may not have connected its publisher.
    if outcome.is_ok() {
        server.join().unwrap();
    }
    Ok((outcome?, moments))
}

fn fails(change: Change, want: &str) {
    let text = with_server(change, "", |_, _| {}).unwrap_err().to_string();
    assert!(text.contains(want), "{text}");
}

#[test]
fn deliveries_are_counted() {
    for busy in [true, false] {
        let adjust = if busy {
            |_: &mut _, _: &mut _| {}
        } else {
            |p: &mut Plan, _: &mut _| {
                p.busy = false;
            }
        };
        let (outcome, moments) = with_server(honest, "", adjust).unwrap();
        assert_eq!((outcome.messages, outcome.latency.len()), (5 * 4 * 3, 5), "busy {busy}");
        assert_eq!(outcome.bytes, 5 * 4 * 3 * 204);
        assert_eq!(moments, [Moment::Begin, Moment::End]);
        assert!(outcome.latency.max() > 0 && outcome.elapsed > Duration::ZERO);
    }
}

#[test]
fn a_subscription_is_sent_first_and_its_answer_dropped() {
    let adjust = |_: &mut Plan, work: &mut Fanout| work.subscribe = Some("me too".into());
    let (outcome, _) = with_server(honest, "", adjust).unwrap();
    assert_eq!(outcome.messages, 5 * 4 * 3);
}

#[test]
fn a_ping_before_the_first_message_is_skipped() {
    let change: Change = |n, index, frame| {
        if n == 0 && index == 0 {
            frame.splice(..0, [0x89, 1, b'x']);
        }
    };
    assert_eq!(with_server(change, "", |_, _| {}).unwrap().0.messages, 5 * 4 * 3);
}

#[test]
fn a_wrong_byte_is_found() {
    // The first message is number 0, the first burst those from 1 to 4.
    fails(|n, index, frame| frame[150] ^= u8::from(n == 10 && index == 2), "differs");
    fails(|n, index, frame| frame[150] ^= u8::from(n == 0 && index == 1), "differs");
    fails(|n, _, frame| frame[150] ^= u8::from(n == 0), "does not hold the payload");
}

#[test]
fn a_missing_delivery_is_an_error() {
    let drop: Change = |n, index, frame| {
        if n == 10 && index == 1 {
            frame.clear();
        }
    };
    fails(drop, "1 of 3 subscribers did not get a whole burst");
    fails(|_, _, frame| frame.clear(), "the first subscriber did not get the first message");
}

#[test]
fn a_delivery_too_many_is_an_error() {
    let twice: Change = |n, index, frame| {
        if n == 24 && index == 1 {
            *frame = frame.repeat(2);
        }
    };
    // Number 24 is the last one of the run.
    fails(twice, "more was delivered than was published");
}

#[test]
fn compression_has_to_be_agreed_and_used() {
    let deflate = |plan: &mut Plan, _: &mut Fanout| plan.deflate = true;
    let text = with_server(honest, "", deflate).unwrap_err().to_string();
    assert!(text.contains("does not agree to permessage-deflate"), "{text}");
    let agreed = "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover\r\n";
    let text = with_server(honest, agreed, deflate).unwrap_err().to_string();
    assert!(text.contains("delivers uncompressed"), "{text}");
}

#[test]
fn payloads_have_their_size_and_are_json_where_they_say_so() {
    for size in [0, 1, 4, 5, 63, 100, 1024, 16_384] {
        let plain = payload(size, false);
        assert_eq!((plain.text.len(), plain.json), (size, false));
        let json = payload(size, true);
        assert_eq!((json.text.len(), json.json), (size, size >= 4));
        if json.json {
            let value: serde_json::Value = serde_json::from_str(&json.text).unwrap();
            assert!(value.is_array());
        }
        let command = json.frame(true);
        let mut text = Vec::new();
        Head::parse(&command).unwrap().unmask(&command, &mut text);
        let value: serde_json::Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(value["publish"], "bench");
        assert!(json.is_in(&text, true) && (size == 0 || !json.is_in(b"{}", true)));
    }
}
