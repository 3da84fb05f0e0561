//! The idle timeout, and messages that arrive slowly.

use std::time::Duration;

use super::{Bench, REQUEST, answer, close_frame, frame};
use crate::base::Millis;
use crate::config::Config;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{CloseReason, Output, Phase};

/// A message that arrives slowly is no idle time, in one frame or in fragments; once it stops, it
/// is.
#[test]
fn a_message_under_way_is_not_idle() {
    let whole = frame(0x82, &[7; 200], [1, 2, 3, 4]);
    let fragments = [frame(0x02, &[7; 100], [5; 4]), frame(0x80, &[7; 100], [6; 4])].concat();
    for bytes in [whole, fragments] {
        for step in [1, 7, 60] {
            let mut config = Config::default();
            config.timeouts.idle = Some(Duration::from_secs(5));
            config.timeouts.message = Duration::from_secs(3600);
            let mut bench = Bench::open_with(config);
            for piece in bytes[..bytes.len() - 1].chunks(step) {
                bench.now = Millis(bench.now.0 + 4_000);
                assert!(bench.receive(piece).is_empty(), "of {step}");
                let Bench { session, pools, now, .. } = &mut bench;
                let mut out = Output::default();
                session.handle_timeout(*now, 0, pools, &mut out);
                assert_eq!(session.phase(), Phase::Open, "of {step}");
            }
            let mut said = bench.timeout();
            while said.is_empty() || bench.session.phase() == Phase::Open {
                said = bench.timeout();
            }
            assert_eq!(said, close_frame(1001, "idle for too long"));
        }
    }
}

#[test]
fn idleness_is_about_messages_not_pongs() {
    let mut config = Config::default();
    config.timeouts.idle = Some(Duration::from_secs(40));
    let mut bench = Bench::open_with(config);
    assert_eq!(bench.timeout(), answer(Opcode::Ping, b""));
    bench.receive(&frame(0x8A, b"", [0; 4]));
    let mut said = Vec::new();
    while bench.session.phase() == Phase::Open {
        said = bench.timeout();
    }
    assert_eq!(said, close_frame(1001, "idle for too long"));
    assert!((40_000..=45_000).contains(&bench.now.0), "{:?}", bench.now);
}

/// Who is not read from may have said any number of things.
#[test]
fn time_in_which_nobody_listens_is_no_idleness() {
    let mut config = Config::default();
    config.timeouts.idle = Some(Duration::from_secs(40));
    let mut bench = Bench::open_with(config.clone());
    for now in [35_000, 70_000, 105_000] {
        bench.now = Millis(now);
        bench.session.reset_idle(bench.now, &config);
        bench.timeout();
        assert_eq!(bench.session.phase(), Phase::Open, "{now}");
    }
}

/// Neither are pongs messages that come in pieces.
#[test]
fn a_pong_in_pieces_is_no_message() {
    let pong = frame(0x8A, b"", [9; 4]);
    for cut in 1..pong.len() {
        let mut config = Config::default();
        config.timeouts.idle = Some(Duration::from_secs(40));
        let mut bench = Bench::open_with(config);
        for seconds in [10, 20, 30, 39] {
            bench.now = Millis(seconds * 1000);
            assert!(bench.receive(&pong[..cut]).is_empty());
            assert!(bench.receive(&pong[cut..]).is_empty());
        }
        let mut said = Vec::new();
        while bench.session.phase() == Phase::Open {
            said = bench.timeout();
        }
        assert_eq!(said, close_frame(1001, "idle for too long"), "cut at {cut}");
        assert!((40_000..=45_000).contains(&bench.now.0), "cut at {cut}: {:?}", bench.now);
    }
}

/// In one frame, in fragments, and as a fragment that nothing follows.
#[test]
fn a_message_that_takes_too_long_ends_its_connection() {
    let whole = frame(0x82, &[7; 60_000], [1, 2, 3, 4]);
    let fragments = [frame(0x02, &[7; 30_000], [5; 4]), frame(0x80, &[7; 30_000], [6; 4])].concat();
    for bytes in [whole, fragments] {
        // Bytes a second, and whether they are enough.
        for (rate, is_enough) in [(400, false), (600, false), (2_000, true), (60_000, true)] {
            let mut bench = Bench::open();
            let mut said = Vec::new();
            for piece in bytes.chunks(rate) {
                bench.now = Millis(bench.now.0 + 1_000);
                said.extend(bench.receive(piece));
                let Bench { session, pools, now, .. } = &mut bench;
                if session.deadline() <= *now {
                    let mut out = Output::default();
                    session.handle_timeout(*now, 0, pools, &mut out);
                    said.extend_from_slice(out.take_chunk().rest());
                }
                if bench.session.phase() != Phase::Open {
                    break;
                }
            }
            if is_enough {
                assert_eq!(said.len(), 60_000 + 4, "at {rate} B/s");
            } else {
                assert_eq!(said, close_frame(1008, "a message takes too long"), "at {rate} B/s");
                // 60 s, and one for each 4 KiB.
                let most = 60_000 + 1_000 * (bench.now.0 / 1_000 * rate as u64 / 4096 + 1);
                assert!((60_000..=most + 1_000).contains(&bench.now.0), "{:?}", bench.now);
            }
        }
    }
}

/// Only a part of the message comes, then pongs for ever.
#[test]
fn control_frames_do_not_keep_a_message_alive() {
    let mut bench = Bench::open();
    bench.receive(&frame(0x02, &[7; 100], [5; 4]));
    let mut said = Vec::new();
    while bench.session.phase() == Phase::Open {
        bench.receive(&frame(0x8A, b"", [0; 4]));
        said = bench.timeout();
    }
    assert_eq!(said, close_frame(1008, "a message takes too long"));
    assert_eq!(bench.now.0, 60_000);
    assert_eq!(bench.pools.ledger.used(), 0, "it is dropped");
}

/// When the server stops, a client whose request has not come, or has begun to come since, is
/// answered with 503: the time that it had was not its own.
#[test]
fn a_request_that_comes_as_the_server_stops_is_answered_503() {
    let going_away = CloseReason::Local(CloseCode::GOING_AWAY);
    for sent in [&REQUEST[..20], REQUEST] {
        let mut bench = Bench::new(Config::default());
        bench.now = Millis(10);
        let out =
            bench.act(|session, now, pools, out| session.close(now, going_away, "", pools, out));
        assert!(out.is_empty());
        let mut answer = bench.receive(sent);
        if sent.len() < REQUEST.len() {
            assert!(answer.is_empty() && bench.session.deadline() < Millis(1_000));
            answer = bench.timeout();
        }
        assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
    }
}

/// While input of a peer waits, its message is not late. After that it has the time of a message
/// again, but not once more the time for what had come.
#[test]
fn a_message_that_waits_is_given_time_once() {
    const LEN: usize = 4 << 20;
    let config = Config::default();
    let timeout = u64::try_from(config.timeouts.message.as_millis()).unwrap();
    let earned = (LEN >> 12) as u64 * 1000;
    for waited in [0, 30_000, timeout + earned, 2 * (timeout + earned)] {
        let mut bench = Bench::open_with(config.clone());
        bench.receive(&frame(0x02, &vec![7; LEN], [5; 4]));
        let begun = bench.now.0;
        let mut end = timeout + earned;
        if waited > 0 {
            bench.now = Millis(begun + waited);
            bench.session.reset_idle(bench.now, &config);
            end = end.max(waited + timeout);
        }
        let mut said = Vec::new();
        while bench.session.phase() == Phase::Open {
            // Its pongs come.
            bench.receive(&frame(0x8A, b"", [0; 4]));
            said = bench.timeout();
        }
        assert_eq!(said, close_frame(1008, "a message takes too long"));
        let took = bench.now.0 - begun;
        assert!((end..=end + 2_000).contains(&took), "{waited}: {took} instead of {end}");
    }
}
