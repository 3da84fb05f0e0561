//! A session that is no WebSocket: the loop does not tell it from one.

use std::time::Duration;

use super::{Bench, frame, masked};
use crate::base::Millis;
use crate::io::sim::ServerEnd;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{CloseReason, Outbound};

const HEAD: &str = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
const IDLE: Duration = Duration::from_secs(7);

#[test]
fn lines_are_sent_back_however_they_are_cut() {
    let text = b"one\ntwo three\n\n\x81\x82\nlast\n";
    for size in 1..text.len() {
        let mut bench = Bench::new();
        let (client, _) = bench.request("/lines");
        assert_eq!(bench.read_head(client), HEAD);
        let mut got = Vec::new();
        for piece in text.chunks(size) {
            bench.network.write(client, piece);
            bench.settle();
            got.extend(bench.network.read(client));
        }
        assert_eq!(got, text, "{size} bytes at a time");
        bench.network.write(client, b"quit\nnot looked at\n");
        assert_eq!(bench.read_to_end(client), b"bye\n");
        assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin));
        bench.network.half_close(client);
        bench.turn_until(|bench| bench.worker.connections() == 0);
        assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Answered]);
        bench.finish();
    }
}

#[test]
fn a_stream_ends_itself() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/lines");
    bench.read_head(client);
    bench.network.write(client, &[b'x'; 101]);
    assert_eq!(bench.read_to_end(client), b"too long\n");
    bench.network.half_close(client);
    bench.turn_until(|bench| bench.worker.connections() == 0);
    assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Local(CloseCode::MESSAGE_TOO_BIG)]);
    bench.finish();
}

/// Its timers are its own: no ping is sent, and its idle time is not that of a WebSocket.
#[test]
fn a_stream_has_timers_of_its_own() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/lines");
    bench.read_head(client);
    let begun = bench.network.now();
    bench.turn_until(|bench| bench.network.now() > begun + IDLE / 2);
    assert_eq!(bench.network.closed_by_server(client), None);
    bench.network.write(client, b"alive\n");
    assert_eq!(bench.read(client, 6), b"alive\n");
    let said = bench.network.now();
    assert_eq!(bench.read_to_end(client), b"idle\n");
    let took = bench.network.now() - said;
    assert!(took >= IDLE && took < IDLE + Duration::from_secs(1), "{took:?}");
    bench.network.half_close(client);
    bench.turn_until(|bench| bench.worker.connections() == 0);
    assert_eq!(bench.rig.0.borrow().ended, [CloseReason::Local(CloseCode::GOING_AWAY)]);
    bench.finish();
}

#[test]
fn a_server_that_stops_ends_a_stream_in_its_own_way() {
    let mut bench = Bench::new();
    let (client, _) = bench.request("/lines");
    bench.read_head(client);
    bench.worker.drain();
    assert_eq!(bench.read_to_end(client), b"closing\n");
    assert_eq!(bench.network.closed_by_server(client), Some(ServerEnd::Fin));
    bench.network.half_close(client);
    bench.finish();
}

#[test]
fn the_end_of_its_client_ends_a_stream() {
    for resets in [false, true] {
        let mut bench = Bench::new();
        let (client, _) = bench.request("/lines");
        bench.read_head(client);
        bench.network.write(client, b"half a line");
        bench.settle();
        if resets {
            bench.network.reset(client);
        } else {
            bench.network.half_close(client);
        }
        bench.turn_until(|bench| bench.worker.connections() == 0);
        let reason = if resets { CloseReason::Broken } else { CloseReason::Eof };
        assert_eq!(bench.rig.0.borrow().ended, [reason]);
        bench.finish();
    }
}

/// Deliveries reach it as they reach a WebSocket, also those that it does not read for a while.
#[test]
fn deliveries_reach_a_stream() {
    let mut bench = Bench::new();
    let (client, id) = bench.request("/lines");
    let (other, socket) = bench.request("/echo");
    bench.read_head(client);
    bench.read_head(other);
    bench.network.set_receive_window(client, 0);
    let line = [&[b'd'; 20_000][..], b"\n"].concat();
    for _ in 0..5 {
        bench.rig.0.borrow_mut().due.push((id, line.clone()));
        bench.rig.0.borrow_mut().due.push((socket, frame(b"news")));
        bench.worker.turn().unwrap();
    }
    bench.network.write(client, b"line\n");
    bench.network.write(other, &masked(0x81, b"message"));
    assert_eq!(
        bench.read(other, 5 * 6 + 9),
        [frame(b"news").repeat(5), frame(b"message")].concat()
    );
    bench.network.set_receive_window(client, usize::MAX);
    let got = bench.read(client, 5 * line.len() + 5);
    assert!(got == [line.repeat(5), b"line\n".to_vec()].concat(), "{} bytes", got.len());
    assert!(Millis::from(bench.network.now()) < Millis(1000));
    bench.finish();
}

/// What a service replies in frames is not for a stream.
#[test]
fn a_stream_is_sent_no_frames() {
    let mut bench = Bench::new();
    let (client, stream) = bench.request("/lines");
    bench.read_head(client);
    let (other, socket) = bench.request("/echo");
    bench.read_head(other);
    for (id, expected) in [(stream, false), (socket, true)] {
        let mut is_called = false;
        let is_open = bench.worker.core.with_replies(id, |replies| {
            is_called = true;
            replies.send(Opcode::Text, b"hi");
        });
        assert_eq!((is_open, is_called), (expected, expected));
    }
    assert_eq!(bench.read(other, 4), frame(b"hi"));
    bench.network.write(client, b"one\n");
    assert_eq!(bench.read(client, 4), b"one\n");
    [client, other].into_iter().for_each(|client| bench.network.reset(client));
    bench.finish();
}
