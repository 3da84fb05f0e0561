//! While memory is short, those go first of whom a message comes too slowly.

use super::Bench;
use crate::config::Config;
use crate::io::sim::{ClientId, SimOptions};

const LIMIT: usize = 8 << 20;
/// What each of the attackers sends of a message of [`WHOLE`] bytes.
const PART: usize = 31_000;
/// What is left until memory is short.
const MARGIN: u64 = 100_000;
const WHOLE: usize = 70_000;

fn header(len: usize) -> Vec<u8> {
    [&[0x82, 0xFF][..], &(len as u64).to_be_bytes(), &[0; 4]].concat()
}

fn filled() -> (Bench, Vec<ClientId>) {
    filled_with(LIMIT, PART)
}

/// A bench with clients that have sent a part of a message each, until memory is nearly short.
fn filled_with(limit: usize, part: usize) -> (Bench, Vec<ClientId>) {
    let short = (limit / 8 * 7) as u64;
    let mut config = Config::default();
    config.limits.memory = limit;
    let options = SimOptions { slots: 700, ..SimOptions::default() };
    let mut bench = Bench::with_options(config, options);
    let mut holders = Vec::new();
    while bench.memory() + MARGIN <= short {
        assert!(holders.len() < 600, "{}", bench.memory());
        let client = bench.open();
        bench.network.write(client, &[header(WHOLE), vec![b'm'; part]].concat());
        bench.settle();
        holders.push(client);
    }
    assert!(holders.len() > 100 && bench.memory() <= short, "{}", bench.memory());
    (bench, holders)
}

impl Bench {
    /// Sends a message of `len` bytes, `piece` of them every `every` milliseconds, with `meanwhile`
    /// after each, and expects it back.
    fn sends(
        &mut self,
        (len, piece): (usize, usize),
        every: u64,
        mut meanwhile: impl FnMut(&mut Self),
    ) {
        let client = self.open();
        self.network.write(client, &header(len));
        let mut left = len;
        while left > 0 {
            self.network.write(client, &vec![b'm'; piece.min(left)]);
            left -= piece.min(left);
            let end = self.network.now() + std::time::Duration::from_millis(every);
            self.turn_until(|bench| bench.network.now() >= end);
            meanwhile(self);
        }
        assert_eq!(self.read(client, len + 10).len(), len + 10, "of {len} bytes");
    }

    /// How many of these the server has closed. All are told why.
    fn closed(&mut self, holders: &[ClientId]) -> usize {
        let frames = holders.iter().map(|client| self.network.read(*client));
        let frames: Vec<Vec<u8>> = frames.filter(|frame| !frame.is_empty()).collect();
        for frame in &frames {
            assert_eq!(frame[2..4], 1008_u16.to_be_bytes(), "{frame:?}");
            assert!(String::from_utf8_lossy(&frame[4..]).contains("too slowly"), "{frame:?}");
        }
        frames.len()
    }

    /// All leave, and hold nothing.
    fn see_them_leave(mut self, holders: Vec<ClientId>) {
        holders.into_iter().for_each(|client| self.network.reset(client));
        self.turn_until(|bench| bench.memory() == 0);
        self.finish();
    }
}

/// Silent clients of which each holds little hold all memory between them. Whoever sends a message
/// at the rate of a network is not closed for that, however large it is.
#[test]
fn silent_holders_are_closed_before_those_that_send() {
    let (mut bench, holders) = filled();
    bench.wait(2);
    assert_eq!(bench.shed(), 0);
    for len in [2 << 20, 100_000, 2 << 20] {
        bench.sends((len, 60_000), 1, |_| {});
    }
    let closed = bench.closed(&holders);
    assert_eq!(closed as u64, bench.shed());
    assert!(closed > 30 && closed < holders.len(), "{closed} of {}", holders.len());
    bench.see_them_leave(holders);
}

/// A line of 40 KB in a second is slow, but not too slow for a message of 100 KB.
#[test]
fn a_slow_line_is_served_while_memory_is_short() {
    let (mut bench, holders) = filled();
    bench.wait(2);
    bench.sends((100_000, 4_000), 100, |_| {});
    assert_eq!(bench.closed(&holders) as u64, bench.shed());
    assert!(bench.shed() > 0);
    bench.see_them_leave(holders);
}

/// A byte now and then is no progress.
#[test]
fn holders_that_trickle_are_closed_before_those_that_send() {
    let (mut bench, holders) = filled();
    let trickle = |bench: &mut Bench| {
        for client in &holders {
            if bench.network.closed_by_server(*client).is_none() {
                bench.network.write(*client, b"m");
            }
        }
    };
    for _ in 0..20 {
        trickle(&mut bench);
        let end = bench.network.now() + std::time::Duration::from_millis(200);
        bench.turn_until(|bench| bench.network.now() >= end);
    }
    assert_eq!(bench.shed(), 0);
    let mut pieces = 0;
    bench.sends((2 << 20, 60_000), 5, |bench| {
        pieces += 1;
        if pieces % 4 == 0 {
            trickle(bench);
        }
    });
    let closed = bench.closed(&holders);
    assert_eq!(closed as u64, bench.shed());
    assert!(closed > 30 && closed < holders.len(), "{closed} of {}", holders.len());
    bench.see_them_leave(holders);
}

/// Requests as well: their heads, and their bodies.
#[test]
fn parts_of_requests_are_held_for_a_second() {
    let (mut bench, holders) = filled_with(1 << 20, 3_000);
    let long = format!("POST /echo HTTP/1.1\r\nHost: a\r\nA: {}\r\n", "b".repeat(9_000));
    let requests: Vec<ClientId> = [long.clone(), format!("{long}Content-Length: 9000\r\n\r\n")]
        .iter()
        .map(|beginning| {
            let client = bench.network.connect(0);
            bench.network.write(client, beginning.as_bytes());
            bench.settle();
            client
        })
        .collect();
    bench.wait(2);
    assert_eq!(bench.shed(), 0);
    bench.sends((200_000, 60_000), 1, |_| {});
    for client in requests {
        let answer = bench.network.read(client);
        assert!(answer.starts_with(b"HTTP/1.1 503 "), "{}", String::from_utf8_lossy(&answer));
    }
    bench.see_them_leave(holders);
}

/// However slow they are, nobody is closed while there is memory.
#[test]
fn nobody_is_too_slow_while_memory_is_not_short() {
    let (mut bench, holders) = filled();
    bench.wait(20);
    assert_eq!(bench.shed(), 0);
    for client in &holders {
        bench.network.write(*client, &vec![b'm'; WHOLE - PART]);
    }
    for client in &holders {
        assert_eq!(bench.read(*client, WHOLE + 10).len(), WHOLE + 10);
    }
    bench.see_them_leave(holders);
}
