//! Goal: pings and pongs in a second are limited by themselves, and messages are not.

use super::*;
use crate::support::wire::{PING, PONG};

const CONTROL: &str = "too many pings and pongs in a short time";

#[test]
fn one_more_than_the_limit_closes_with_1008() {
    for limit in [5, 300] {
        let server = start(|config| config.rates.control_frames = Some(limit));
        for opcode in [PING, PONG] {
            for frames in [limit - 1, limit, limit + 1] {
                let mut client = Client::open(server.addr());
                let before = rate_counts(&server).closed_by_control;
                let mut bytes = frame(FIN | opcode, b"x").repeat(frames as usize);
                bytes.extend(frame(FIN | TEXT, b"behind"));
                client.try_send(&bytes);
                let (found, end) = echoes(&mut client, 1, PATIENCE);
                let closed = rate_counts(&server).closed_by_control - before;
                if frames <= limit {
                    assert_eq!((found, end, closed), (1, None, 0), "{frames} of {limit}");
                } else {
                    let expected = Some(closed_by(CONTROL));
                    assert_eq!((found, end, closed), (0, expected, 1), "{frames} of {limit}");
                }
            }
        }
    }
}

#[test]
fn messages_do_not_count() {
    let server = start(|config| config.rates.control_frames = Some(1));
    let mut client = Client::open(server.addr());
    Way::AtOnce.send(&mut client, 1_000);
    assert_eq!(echoes(&mut client, 1_000, PATIENCE), (1_000, None));
    client.expect_alive();
}

/// A close frame is answered also if no ping would be.
#[test]
fn a_close_frame_does_not_count() {
    let server = start(|config| config.rates.control_frames = Some(1));
    let mut client = Client::open(server.addr());
    client.expect_alive();
    client.close();
}
