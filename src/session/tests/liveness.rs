//! Pings and pongs of peers whose kernel tells how far they are.

use std::time::Duration;

use super::{Bench, answer, close_frame, frame};
use crate::base::{Millis, SendProgress};
use crate::protocol::websocket::Opcode;
use crate::session::{CloseReason, Phase};

/// All of `bytes` is read, or at least acknowledged.
fn acked(bytes: u64) -> SendProgress {
    let window_edge = bytes + 65_536;
    SendProgress { written: bytes, acked: bytes, window_edge, ..SendProgress::default() }
}

#[test]
fn a_peer_whose_kernel_is_there_and_has_nothing_to_read_is_closed_in_time() {
    let mut bench = Bench::open();
    bench.progress = Some(acked(1_000));
    assert_eq!(bench.timeout(), answer(Opcode::Ping, b""));
    assert_eq!(bench.now, Millis(30_000));
    bench.progress = Some(acked(1_002));
    assert_eq!(bench.next_said(), close_frame(1001, "no pong in time"));
    assert_eq!(bench.now, Millis(45_000));
}

#[test]
fn a_host_that_is_gone_is_noticed_in_time() {
    let mut bench = Bench::open();
    let since_ack_ms = 20_000;
    let gone = |written| SendProgress {
        unread: 0,
        received: 0,
        written,
        acked: 0,
        window_edge: 65_536,
        in_flight: true,
        since_ack_ms,
    };
    bench.progress = Some(gone(500_000));
    assert_eq!(bench.timeout(), answer(Opcode::Ping, b""));
    bench.progress = Some(gone(500_002));
    assert_eq!(bench.next_said(), close_frame(1001, "no pong in time"));
    assert_eq!(bench.now, Millis(45_000));
}

/// For an hour the peer takes 40 kB each five seconds of what was written before the ping. Then its
/// pong comes, and silence behind it is the end in the usual time.
#[test]
fn a_reader_that_is_not_at_its_ping_is_not_closed() {
    let mut bench = Bench::open();
    let (mut at, all) = (0, 30_000_000);
    let slow =
        |at| SendProgress { written: all, acked: at, window_edge: at, ..SendProgress::default() };
    bench.progress = Some(slow(at));
    assert_eq!(bench.timeout(), answer(Opcode::Ping, b""));
    while bench.now < Millis(3_600_000) {
        at += 40_000;
        bench.progress = Some(slow(at));
        assert_eq!((bench.timeout(), bench.session.phase()), (Vec::new(), Phase::Open));
    }
    bench.receive(&frame(0x8A, b"", [0; 4]));
    let pong_at = bench.now;
    bench.progress = Some(acked(all));
    assert_eq!(bench.next_said(), answer(Opcode::Ping, b""));
    assert_eq!(bench.now, pong_at.after(Duration::from_secs(30)));
}

/// A peer that sends messages is asked about without pings, so that what it has read is known when
/// it falls silent.
#[test]
fn what_a_talking_peer_has_read_does_not_count_later() {
    let mut bench = Bench::open();
    // 10 kB for each second.
    for second in (0..600).step_by(10) {
        while bench.session.deadline() <= Millis(second * 1_000) {
            assert_eq!(bench.timeout(), b"");
        }
        bench.now = Millis(second * 1_000);
        bench.receive(&frame(0x82, b"message", [0; 4]));
        bench.progress = Some(acked(second * 10_000));
    }
    assert_eq!(bench.next_said(), answer(Opcode::Ping, b""));
    let pinged_at = bench.now;
    bench.progress = bench.progress.map(|progress| acked(progress.written + 2));
    assert_eq!(bench.next_said(), close_frame(1001, "no pong in time"));
    // It has read 6 MB, but perhaps not the 600 kB that were written since the check before the
    // last one after which it spoke.
    let (least, most) = (Duration::from_secs(15), Duration::from_secs(60 * 10_000 / 8_192 + 1));
    let waited = pinged_at.until(bench.now);
    assert!((least..=most).contains(&waited), "{waited:?}");
}

/// What is said to a peer that does not read, and the reason that the application is told.
#[test]
fn a_peer_that_does_not_read_is_told_so() {
    let mut bench = Bench::open();
    let said = bench.act(|session, now, pools, out| session.close_stalled(now, pools, out));
    assert_eq!(said, close_frame(1013, "does not read"));
    assert_eq!(bench.session.phase(), Phase::Closing);
    bench.receive(&frame(0x88, &1013_u16.to_be_bytes(), [0; 4]));
    assert_eq!(bench.session.reason(), Some(CloseReason::Stalled));
}

/// An end that waits for its last bytes has no deadline of its own: the driver gives it up when
/// nothing moves.
#[test]
fn what_is_owed_at_the_end_has_no_deadline_but_that_of_the_queue() {
    let mut bench = Bench::open();
    bench.session.receive_eof();
    assert_eq!((bench.session.phase(), bench.session.deadline()), (Phase::Finished, Millis::NEVER));
    let mut bench = Bench::open();
    bench.receive(&frame(0x88, b"", [0; 4]));
    assert_eq!((bench.session.phase(), bench.session.deadline()), (Phase::Finished, Millis::NEVER));
}
