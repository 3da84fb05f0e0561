//! Input that waits, and handshakes that are decided late.

use std::time::Duration;

use super::{Bench, frame, masked};
use crate::io::sim::ServerEnd;
use crate::protocol::websocket::CloseCode;
use crate::protocol::websocket::handshake::Rejection;
use crate::session::CloseReason;

const TEXT: u8 = 0x81;
const CLOSE: u8 = 0x88;

/// More than a core takes in before it has stopped reading.
const MUCH: usize = 1 << 20;

/// That much, in messages; and what comes back for them.
fn many_messages() -> (Vec<u8>, Vec<u8>) {
    let count = MUCH / 106;
    (masked(TEXT, &[b'm'; 100]).repeat(count), frame(&[b'm'; 100]).repeat(count))
}

#[test]
fn nothing_is_read_until_a_handshake_is_decided() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/defer");
    let (input, output) = many_messages();
    bench.network.write(client, &input);
    bench.settle();
    let left = bench.network.bytes_not_received(client);
    assert!(left > MUCH / 2, "{left} bytes are left");
    assert_eq!(bench.network.read(client), b"");
    assert_eq!(bench.rig.0.borrow().messages, 0);
    bench.go_on();
    bench.network.half_close(client);
    let got = bench.read_to_end(client);
    let end = super::head_len(&got).unwrap();
    assert!(got.starts_with(b"HTTP/1.1 101 "));
    assert!(got[end..] == output, "{} bytes instead of {}", got.len() - end, output.len());
    bench.finish();
}

#[test]
fn nothing_more_is_read_while_input_waits() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/hold");
    bench.read_head(client);
    let (input, output) = many_messages();
    bench.network.write(client, &[&masked(TEXT, b"h")[..], &input].concat());
    bench.settle();
    let left = bench.network.bytes_not_received(client);
    assert!(left > MUCH / 2, "{left} bytes are left");
    assert_eq!(bench.network.read(client), frame(b"h"));
    assert_eq!(bench.rig.0.borrow().messages, 1);
    bench.go_on();
    bench.network.half_close(client);
    assert!(bench.read_to_end(client) == [frame(b"h!"), output].concat());
    bench.finish();
}

/// The end waits as well, also where nothing waits before it.
#[test]
fn an_end_waits_behind_what_waits() {
    for behind in [&b""[..], &masked(TEXT, b"last"), &masked(CLOSE, &[3, 232])] {
        let mut bench = Bench::new();
        let (client, _) = bench.request("/hold");
        bench.read_head(client);
        bench.network.write(client, &[&masked(TEXT, b"h")[..], behind].concat());
        bench.network.half_close(client);
        bench.settle();
        assert_eq!(bench.network.read(client), frame(b"h"));
        assert_eq!(bench.network.closed_by_server(client), None);
        assert!(bench.rig.0.borrow().ended.is_empty());
        bench.go_on();
        let got = bench.read_to_end(client);
        let answer = match behind.first() {
            Some(&TEXT) => frame(b"last"),
            Some(_) => vec![CLOSE, 2, 3, 232],
            None => Vec::new(),
        };
        assert_eq!(got, [frame(b"h!"), answer].concat());
        assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin));
        bench.finish();
    }
}

/// It leaves with all that waits, and gives back its buffers.
#[test]
fn a_reset_ends_what_waits() {
    for path in ["/hold", "/defer", "/never"] {
        for behind in [&b""[..], &masked(TEXT, b"lost")] {
            let mut bench = Bench::new();
            let (client, _) = bench.request(path);
            bench.settle();
            bench.network.write(client, &[&masked(TEXT, b"h")[..], behind].concat());
            bench.settle();
            bench.network.reset(client);
            bench.settle();
            if !behind.is_empty() || path != "/hold" {
                bench.go_on();
            }
            bench.turn_until(|bench| bench.worker.connections() == 0);
            bench.finish();
        }
    }
}

#[test]
fn an_early_message_is_answered_behind_the_handshake() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/defer");
    for text in [b"one", b"two", b"end"] {
        bench.network.write(client, &masked(TEXT, text));
        bench.settle();
    }
    assert_eq!(bench.rig.0.borrow().messages, 0);
    bench.go_on();
    let got = bench.read(client, 129 + 15);
    assert!(got.ends_with(&[frame(b"one"), frame(b"two"), frame(b"end")].concat()), "{got:?}");
    // And it goes on as any other.
    bench.network.write(client, &masked(TEXT, b"more"));
    assert_eq!(bench.read(client, 6), frame(b"more"));
    bench.finish();
}

#[test]
fn a_late_refusal_is_answered_and_what_came_early_is_thrown_away() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/deny");
    bench.network.write(client, &masked(TEXT, b"early"));
    bench.settle();
    bench.go_on();
    bench.settle();
    bench.network.half_close(client);
    let got = bench.read_to_end(client);
    assert!(got.starts_with(b"HTTP/1.1 403 "), "{}", String::from_utf8_lossy(&got));
    assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin));
    assert_eq!(bench.rig.0.borrow().messages, 0);
    bench.turn_until(|bench| bench.worker.connections() == 0);
    let reason = CloseReason::Refused(Rejection::Forbidden);
    assert_eq!(bench.rig.0.borrow().ended, [reason]);
    bench.finish();
}

/// Also behind early bytes, which are read and thrown away then, and behind an end after them.
#[test]
fn a_handshake_that_is_never_decided_is_answered_503() {
    for (early, ends) in [(0, false), (30, false), (MUCH, false), (30, true)] {
        let mut bench = Bench::new();
        let (client, _) = bench.request("/never");
        bench.network.write(client, &vec![b'e'; early]);
        if ends {
            bench.network.half_close(client);
        }
        let got = bench.read_to_end(client);
        assert!(got.starts_with(b"HTTP/1.1 503 "), "{early}: {}", String::from_utf8_lossy(&got));
        assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin), "{early}");
        let seconds = bench.network.now().as_secs_f64();
        assert!((5.0..5.5).contains(&seconds), "{early}: {seconds}");
        bench.turn_until(|bench| bench.network.bytes_not_received(client) == 0);
        bench.network.half_close(client);
        bench.turn_until(|bench| bench.worker.connections() == 0);
        let reason = CloseReason::Refused(Rejection::Undecided);
        assert_eq!(bench.rig.0.borrow().ended, [reason]);
        bench.finish();
    }
}

#[test]
fn a_server_that_stops_answers_503_to_an_undecided_handshake() {
    for (early, path) in [(0, "/never"), (30, "/never"), (0, "/later")] {
        let mut bench = Bench::new();
        let (client, id) = bench.request(path);
        bench.network.write(client, &vec![b'e'; early]);
        bench.settle();
        bench.worker.drain();
        let got = bench.read_to_end(client);
        assert!(got.starts_with(b"HTTP/1.1 503 "), "{early}: {}", String::from_utf8_lossy(&got));
        assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin), "{early}");
        // It is told before the connection has ended: a backend need not be asked any more.
        assert_eq!(bench.rig.0.borrow().undecided, [id]);
        assert!(bench.rig.0.borrow().ended.is_empty());
        bench.finish();
    }
}

/// The server's close frame goes out, and the peer's is read behind what waits.
#[test]
fn a_server_that_stops_closes_a_connection_whose_input_waits() {
    for behind in [&b""[..], &masked(TEXT, b"ignored"), &[TEXT]] {
        let mut bench = Bench::new();
        let (client, _) = bench.request("/hold");
        bench.read_head(client);
        bench.network.write(client, &[&masked(TEXT, b"h")[..], behind].concat());
        bench.settle();
        assert_eq!(bench.network.read(client), frame(b"h"));
        bench.worker.drain();
        let got = bench.read(client, 2 + 2 + "server is stopping".len());
        assert_eq!(&got[..4], [CLOSE, 20, 3, 233]);
        if behind != [TEXT] {
            bench.network.write(client, &masked(CLOSE, &[3, 233]));
            let before = bench.network.now();
            bench.turn_until(|bench| bench.network.closed_by_server(client).is_some());
            let took = bench.network.now() - before;
            assert!(took.as_secs() < 1, "{took:?} until the close frame was seen");
        }
        bench.turn_until(|bench| bench.worker.connections() == 0);
        assert_eq!(bench.rig.0.borrow().messages, 1);
        assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Local(CloseCode::GOING_AWAY)]);
        bench.finish();
    }
}

/// The time in which it is not read from is not the client's silence.
#[test]
fn a_client_whose_input_waits_is_not_idle() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/hold");
    bench.read_head(client);
    bench.network.write(client, &[masked(TEXT, b"h"), masked(TEXT, b"behind")].concat());
    let end = bench.network.now() + Duration::from_secs(300);
    bench.turn_until(|bench| bench.network.now() >= end);
    bench.go_on();
    bench.network.half_close(client);
    let got = bench.read_to_end(client);
    assert!(got.ends_with(&[frame(b"h!"), frame(b"behind")].concat()), "{got:?}");
    assert!(!got.windows(2).any(|two| two == [CLOSE, 2]), "{got:?}");
    bench.finish();
}

/// Without room, what waits to be published waits. The end of a connection does not wait behind it,
/// nor does the loop sleep meanwhile; what the application is sent needs no room either.
#[test]
fn a_closing_connection_does_not_wait_behind_those_without_room() {
    let mut bench = Bench::new();
    let ids: Vec<_> = (0..5)
        .map(|_| {
            let (client, id) = bench.request("/hold");
            bench.read_head(client);
            (client, id)
        })
        .collect();
    bench.rig.0.borrow_mut().full = super::FOR_EVER;
    for (client, _) in &ids {
        bench.network.write(*client, &masked(TEXT, b"waits"));
        bench.network.write(*client, &masked(CLOSE, &[3, 233]));
    }
    let (echo, _) = bench.request("/echo");
    bench.read_head(echo);
    bench.network.write(echo, &masked(TEXT, b"no wait"));
    assert_eq!(bench.read(echo, 9), frame(b"no wait"));
    bench.settle();
    assert_eq!(bench.rig.0.borrow().messages, 1);
    let (client, id) = ids[2];
    bench.rig.0.borrow_mut().closing.push(id);
    let start = bench.network.now();
    bench.network.limit(start + Duration::from_secs(3600));
    for _ in 0..20 {
        if bench.worker.stats().closed == 0 {
            bench.worker.turn().unwrap();
        }
    }
    assert!(bench.network.now() - start < Duration::from_secs(1), "it has slept");
    assert_eq!(bench.read_to_end(client), [CLOSE, 2, 3, 233]);
    assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin));
    assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Local(CloseCode::GOING_AWAY)]);
    assert_eq!(bench.rig.0.borrow().messages, 1, "what it sent has no meaning any more");
    bench.rig.0.borrow_mut().full = 0;
    bench.turn_until(|bench| bench.rig.0.borrow().messages == 5);
    bench.finish();
}

/// The application may wait for long, and so may a backend that is asked about the client of an
/// endpoint, so the service is told when the client leaves. What the client has sent keeps its
/// place before its FIN, but not before a reset.
#[test]
fn a_client_that_leaves_ends_the_wait_for_a_decision() {
    let fin: fn(&Bench, _) = |bench, client| bench.network.half_close(client);
    let reset: fn(&Bench, _) = |bench, client| bench.network.reset(client);
    for (leave, reason) in [(fin, CloseReason::Eof), (reset, CloseReason::Broken)] {
        for path in ["/later", "/never"] {
            let mut bench = Bench::new();
            let (client, _) = bench.request(path);
            bench.settle();
            leave(&bench, client);
            bench.settle();
            assert_eq!(bench.rig.0.borrow().ended, [reason], "{path}");
            assert_eq!(bench.worker.connections(), 0, "{path}");
            assert!(bench.rig.0.borrow().undecided.is_empty());
            assert_eq!(bench.network.read(client), b"");
            bench.finish();
        }
    }
    let mut bench = Bench::new();
    let (client, id) = bench.request("/later");
    bench.network.write(client, &masked(TEXT, b"early"));
    bench.network.half_close(client);
    bench.settle();
    assert!(bench.rig.0.borrow().ended.is_empty());
    // The time ends the wait, which is told before the connection has ended.
    bench.turn_until(|bench| !bench.rig.0.borrow().undecided.is_empty());
    assert_eq!(bench.rig.0.borrow().undecided, [id]);
    assert!(bench.rig.0.borrow().ended.is_empty());
    assert!(bench.read_to_end(client).starts_with(b"HTTP/1.1 503 "));
    bench.turn_until(|bench| bench.worker.connections() == 0);
    assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Refused(Rejection::Undecided)]);
    bench.finish();
}
