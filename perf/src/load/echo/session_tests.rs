//! Tests of the session, without sockets.

use super::*;
use crate::frames::{BINARY, masked};

fn common(depth: usize) -> Common {
    let payload = vec![9; 20];
    Common {
        requests: Requests::new(&[masked(BINARY, &payload)], depth),
        expected: Expected::messages(vec![payload], BINARY, u64::MAX),
    }
}

fn session(common: &Common, connections: usize, pace: Pace) -> Session<'_> {
    let replies = (0..connections).map(|_| Replies::new(None)).collect();
    let mut session = Session::new(common, replies, pace).unwrap();
    session.start();
    session
}

/// Sends everything that is pending; returns the requests of each connection.
fn send(session: &mut Session<'_>, connections: usize) -> Vec<usize> {
    let mut bytes = vec![0; connections];
    while let Some(slot) = session.next_ready() {
        loop {
            let len = session.pending(slot).len();
            if len == 0 {
                break;
            }
            session.sent(slot, len);
            bytes[slot] += len;
        }
    }
    bytes.iter().map(|n| n / 26).collect()
}

fn replies(count: usize) -> Vec<u8> {
    [&[0x82, 20][..], &[9; 20]].concat().repeat(count)
}

#[test]
fn as_many_go_out_as_came_back() {
    let common = common(8);
    let mut session = session(&common, 2, Pace::Depth(8));
    assert_eq!(send(&mut session, 2), [8, 8]);
    let wire = replies(5);
    session.received(0, &wire[..22 * 3 + 1]).unwrap();
    session.begin();
    session.received(0, &wire[22 * 3 + 1..]).unwrap();
    assert_eq!(session.messages, 2);
    assert_eq!(session.bytes, 22 * 2 - 1);
    assert_eq!(session.latency.len(), 2);
    assert_eq!(send(&mut session, 2), [5, 0]);
    assert!(session.received(1, &replies(9)).is_err(), "a reply to nothing passed");
}

#[test]
fn an_open_loop_goes_round_and_counts_from_the_due_moment() {
    let common = common(1);
    let mut session = session(&common, 3, Pace::Rate(1000.0));
    session.begun = 0;
    session.now = 6_500_000;
    // Due at 0, 1, ... 6 ms.
    assert_eq!(session.issue_due(), Some(Duration::from_millis(7)));
    assert_eq!(session.behind(), 7);
    assert_eq!(send(&mut session, 3), [3, 2, 2]);
    assert_eq!(session.behind(), 0);
    session.recording = true;
    session.received(1, &replies(2)).unwrap();
    // They were due at 1 and 4 ms.
    let near = |is: u64, must: u64| is.abs_diff(must) <= must / 500;
    assert!(near(session.latency.max(), 5_500_000), "{}", session.latency.max());
    assert!(near(session.latency.min(), 2_500_000), "{}", session.latency.min());
    assert_eq!(send(&mut session, 3), [0, 0, 0]);
}

#[test]
fn an_open_loop_has_a_limit_and_catches_up() {
    let common = common(1);
    let mut session = session(&common, 1, Pace::Rate(1e6));
    session.begun = 0;
    // 70,000 messages, the first of them due at once.
    session.now = 69_999_500;
    // Not all are sent in one turn, but all are known to be late.
    assert_eq!(session.issue_due(), Some(Duration::from_micros(AT_ONCE)));
    assert_eq!(session.behind(), 70_000);
    assert_eq!(send(&mut session, 1), [4096]);
    assert_eq!(session.behind(), 70_000 - 4096);
    while session.issue_due() < Some(session.now()) {}
    assert_eq!(send(&mut session, 1), [65_536 - 4096]);
    assert_eq!(session.behind(), 70_000 - 65_536);
    session.received(0, &replies(1000)).unwrap();
    assert_eq!(send(&mut session, 1), [1000]);
    assert_eq!(session.behind(), 70_000 - 66_536);
    session.received(0, &replies(65_536)).unwrap();
    assert_eq!(send(&mut session, 1), [70_000 - 66_536]);
    assert_eq!(session.behind(), 0);
}

#[test]
fn silence_is_an_error_only_while_something_is_under_way() {
    let common = common(1);
    let mut session = session(&common, 2, Pace::Depth(1));
    session.moved = 0;
    session.now = 11_000_000_000;
    let error = session.check_patience().unwrap_err().to_string();
    assert!(error.contains("2 of 2 connections wait"), "{error}");
    session.received(1, &replies(1)).unwrap();
    session.check_patience().unwrap();

    let mut quiet = self::session(&common, 2, Pace::Rate(0.001));
    quiet.issue_due();
    quiet.received(0, &replies(1)).unwrap();
    quiet.now += 900_000_000_000;
    quiet.check_patience().unwrap();
}

#[test]
fn a_ping_is_answered() {
    let common = common(1);
    let mut session = session(&common, 1, Pace::Depth(1));
    send(&mut session, 1);
    session.received(0, &[0x89, 2, b'h', b'i']).unwrap();
    let slot = session.next_ready().unwrap();
    assert_eq!(session.pending(slot), masked(10, b"hi"));
}

#[test]
fn errors_name_the_connection_and_the_reply() {
    let common = common(4);
    let mut session = session(&common, 2, Pace::Depth(4));
    session.received(1, &replies(3)).unwrap();
    let error = session.received(1, &[0x88, 4, 3, 0xe8, b'o', b'k']).unwrap_err().to_string();
    assert!(error.contains("connection 1: what came after 3 replies"), "{error}");
    assert!(error.contains("code 1000 and the reason \"ok\""), "{error}");
    let error = session.ended(0, None).to_string();
    assert!(error.contains("without a close frame"), "{error}");
}
