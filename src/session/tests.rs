//! Connections without sockets: what comes in is cut everywhere, what goes out is compared with a
//! model that knows nothing of buffers.

mod held;
mod http;
mod idle;
mod large;
mod liveness;
mod replies;

use std::sync::Arc;

use super::*;
use crate::base::{ConnectionId, Millis, SendProgress};
use crate::config::Config;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::handshake::{Origins, Request};
use crate::protocol::websocket::{CloseCode, Opcode, Violation};

const REQUEST: &[u8] = b"GET /chat HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const ID: ConnectionId = ConnectionId { slot: 1, generation: 1 };

/// Sends every message back.
struct Echo;

impl Inbound for Echo {
    fn upgrade(&mut self, _: ConnectionId, _: &Request<'_>, _: Terms<'_>) -> Verdict {
        Verdict::Accept(Accept::default())
    }

    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        _: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        replies.echo(message);
    }
}

/// A session with everything around it, whose time stands still unless moved.
struct Bench<S = Echo> {
    session: Session,
    pools: Pools,
    service: S,
    now: Millis,
    backlog: usize,
    /// What the kernel answers when the peer's progress is queried.
    progress: Option<SendProgress>,
    tracker: ReadTracker,
}

impl Bench {
    fn new(config: Config) -> Self {
        Self::of(Echo, config)
    }

    fn open() -> Self {
        Self::open_with(Config::default())
    }

    fn open_with(config: Config) -> Self {
        Self::new(config).opened()
    }
}

impl<S: Inbound> Bench<S> {
    fn of(service: S, config: Config) -> Self {
        let session = Session::new(ID, Millis(0), &config, false);
        let pools = Pools::new(Arc::new(config));
        let (progress, tracker) = (None, ReadTracker::default());
        Self { session, pools, service, now: Millis(0), backlog: 0, progress, tracker }
    }

    /// With the handshake done.
    fn opened(mut self) -> Self {
        let answer = self.receive(REQUEST);
        assert!(answer.starts_with(b"HTTP/1.1 101 "), "{}", String::from_utf8_lossy(&answer));
        assert_eq!(self.session.phase(), Phase::Open);
        self
    }

    /// What goes out after `bytes` came in, in one receive, all of which is handled.
    fn receive(&mut self, bytes: &[u8]) -> Vec<u8> {
        let (out, handled) = self.receive_some(bytes);
        assert_eq!(handled, Handled::All);
        out
    }

    /// What goes out after `bytes` came in, in one receive, and how much of them is handled.
    fn receive_some(&mut self, bytes: &[u8]) -> (Vec<u8>, Handled) {
        let mut buffer = bytes.to_vec();
        let mut out = Output::default();
        let Self { session, pools, service, .. } = self;
        let handled =
            session.receive(self.now, &mut buffer, self.backlog, pools, service, &mut out);
        (taken(&buffer, out), handled)
    }

    /// What goes out after a call of `act`.
    fn act(&mut self, act: impl FnOnce(&mut Session, Millis, &mut Pools, &mut Output)) -> Vec<u8> {
        let mut out = Output::default();
        act(&mut self.session, self.now, &mut self.pools, &mut out);
        taken(&[], out)
    }

    fn timeout(&mut self) -> Vec<u8> {
        self.now = self.session.deadline();
        let (backlog, progress, mut tracker) = (self.backlog, self.progress, self.tracker);
        let said = self.act(|session, now, pools, out| {
            if session.handle_timeout(now, backlog, pools, out) {
                session.handle_progress(now, progress.as_ref(), &mut tracker, pools, out);
            }
        });
        self.tracker = tracker;
        said
    }

    /// What is said next, or nothing at the end.
    fn next_said(&mut self) -> Vec<u8> {
        loop {
            let said = self.timeout();
            if !said.is_empty() || self.session.phase() != Phase::Open {
                return said;
            }
        }
    }

    fn finish(&mut self) {
        self.session.finish(&mut self.pools, &mut self.service);
    }
}

fn taken(buffer: &[u8], out: Output) -> Vec<u8> {
    match out.in_place() {
        Some(range) => buffer[range].to_vec(),
        None => {
            let (bytes, from) = out.into_owned();
            bytes.get(from..).unwrap_or_default().to_vec()
        }
    }
}

/// A masked frame, written out naively.
fn frame(first: u8, payload: &[u8], key: [u8; 4]) -> Vec<u8> {
    let mut bytes = vec![first];
    match payload.len() {
        len @ 0..=125 => bytes.push(0x80 | u8::try_from(len).unwrap()),
        len @ 126..=0xFFFF => {
            bytes.push(0xFE);
            bytes.extend(u16::try_from(len).unwrap().to_be_bytes());
        }
        len => {
            bytes.push(0xFF);
            bytes.extend((len as u64).to_be_bytes());
        }
    }
    bytes.extend(key);
    bytes.extend(payload.iter().zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    bytes
}

/// The frame that a server sends.
fn answer(opcode: Opcode, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    append_frame(&mut out, opcode, false, payload);
    out
}

fn close_frame(code: u16, reason: &str) -> Vec<u8> {
    let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
    answer(Opcode::Close, &payload)
}

/// Random messages, whole and fragmented, with pings in between; and what must come back.
fn conversation(random: &mut fastrand::Rng) -> (Vec<u8>, Vec<u8>) {
    let (mut input, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..random.usize(1..12) {
        let len = match random.u8(0..10) {
            0 => random.usize(0..70_000),
            1..4 => random.usize(100..400),
            _ => random.usize(0..40),
        };
        let text = random.bool();
        let payload: Vec<u8> = if text {
            std::iter::repeat_with(|| ['a', '\u{e9}', '\u{d55c}', '\u{1f980}'][random.usize(0..4)])
                .take(len / 3)
                .collect::<String>()
                .into_bytes()
        } else {
            std::iter::repeat_with(|| random.u8(..)).take(len).collect()
        };
        let opcode = if text { Opcode::Text } else { Opcode::Binary };
        let mut rest = payload.as_slice();
        let mut first = opcode as u8;
        while random.u8(0..4) == 0 {
            let (piece, left) = rest.split_at(random.usize(0..=rest.len()));
            input.extend(frame(first, piece, random.u32(..).to_le_bytes()));
            (first, rest) = (0, left);
            if random.bool() {
                let len = random.usize(0..=125);
                let ping: Vec<u8> = std::iter::repeat_with(|| random.u8(..)).take(len).collect();
                input.extend(frame(0x89, &ping, random.u32(..).to_le_bytes()));
                input.extend(frame(0x8A, &ping, [0; 4]));
                expected.extend(answer(Opcode::Pong, &ping));
            }
        }
        input.extend(frame(0x80 | first, rest, random.u32(..).to_le_bytes()));
        expected.extend(answer(opcode, &payload));
    }
    (input, expected)
}

#[test]
fn echoes_are_the_same_however_the_input_is_cut() {
    for seed in 0..400 {
        let mut random = fastrand::Rng::with_seed(seed);
        let (input, expected) = conversation(&mut random);
        let mut bench = Bench::open();
        let mut got = Vec::new();
        let mut rest = input.as_slice();
        let longest = [1, 7, 100, 5000, 1 << 20][random.usize(0..5)];
        while !rest.is_empty() {
            let (piece, left) = rest.split_at(random.usize(1..=longest.min(rest.len())));
            got.extend(bench.receive(piece));
            rest = left;
        }
        assert!(got == expected, "seed {seed}");
        assert_eq!(bench.session.phase(), Phase::Open, "seed {seed}");
        assert!(bench.session.pending.is_none() && bench.session.assembly.is_none());
    }
}

#[test]
fn whole_messages_are_answered_in_place() {
    let mut bench = Bench::open();
    let mut buffer: Vec<u8> =
        [20, 125, 0, 126, 300].iter().flat_map(|len| frame(0x82, &vec![7; *len], [1; 4])).collect();
    let mut out = Output::default();
    let Bench { session, pools, service, .. } = &mut bench;
    let handled = session.receive(Millis(0), &mut buffer, 0, pools, service, &mut out);
    assert_eq!(handled, Handled::All);
    let range = out.in_place().expect("in place");
    let expected: Vec<u8> =
        [20, 125, 0, 126, 300].iter().flat_map(|n| answer(Opcode::Binary, &vec![7; *n])).collect();
    assert_eq!(buffer[range], expected);
    assert_eq!(out.into_owned().0.capacity(), 0, "nothing was allocated");
}

#[test]
fn a_violation_flushes_what_went_before_and_says_why() {
    let mut bench = Bench::open();
    let mut input = frame(0x82, b"first", [9; 4]);
    input.extend([0x83, 0x80, 0, 0, 0, 0]);
    input.extend(frame(0x82, b"never read", [9; 4]));
    let mut expected = answer(Opcode::Binary, b"first");
    expected.extend(close_frame(1002, "reserved opcode"));
    assert_eq!(bench.receive(&input), expected);
    assert_eq!(bench.session.phase(), Phase::Lingering);
    assert_eq!(bench.receive(&frame(0x82, b"nor this", [9; 4])), b"");
    assert_eq!(bench.timeout(), b"");
    assert_eq!(bench.now, Millis(2000), "the linger time");
    assert_eq!(bench.session.phase(), Phase::Finished);
    let reason = CloseReason::Violation(Violation::ReservedOpcode);
    assert_eq!(bench.session.reason(), Some(reason));
}

#[test]
fn bad_text_fails_inside_its_frame() {
    let mut bench = Bench::open();
    let whole = frame(0x81, b"fine so far \xC0 and then much more", [1, 2, 3, 4]);
    assert_eq!(bench.receive(&whole[..18]), b"");
    assert_eq!(bench.receive(&whole[18..19]), close_frame(1007, "text is not UTF-8"));
}

#[test]
fn the_close_handshake_from_either_side() {
    let mut bench = Bench::open();
    let payload = [&1001_u16.to_be_bytes(), &b"bye"[..]].concat();
    assert_eq!(bench.receive(&frame(0x88, &payload, [3; 4])), close_frame(1001, "bye"));
    assert_eq!(bench.session.phase(), Phase::Finished);

    let mut bench = Bench::open();
    bench.receive(&frame(0x01, b"half a message", [3; 4]));
    let reason = CloseReason::Local(CloseCode::GOING_AWAY);
    let out = bench.act(|session, now, pools, out| session.close(now, reason, "stop", pools, out));
    assert_eq!(out, close_frame(1001, "stop"));
    assert_eq!(bench.session.phase(), Phase::Closing);
    // What the peer had under way is read and not answered.
    assert_eq!(bench.receive(&frame(0x80, b"the rest", [3; 4])), b"");
    assert_eq!(bench.receive(&frame(0x82, b"another", [3; 4])), b"");
    assert_eq!(bench.receive(&frame(0x89, b"ping", [3; 4])), b"");
    assert_eq!(bench.receive(&frame(0x88, &payload, [3; 4])), b"");
    assert_eq!(bench.session.phase(), Phase::Finished);
    assert_eq!(bench.session.reason(), Some(CloseReason::Local(CloseCode::GOING_AWAY)));
}

#[test]
fn a_congested_connection_answers_only_the_latest_ping() {
    let mut bench = Bench::open();
    bench.backlog = 1;
    for payload in ["one", "two", "three"] {
        assert_eq!(bench.receive(&frame(0x89, payload.as_bytes(), [5; 4])), b"");
    }
    let out = bench.act(|session, _, pools, out| session.release_pong(pools, out));
    assert_eq!(out, answer(Opcode::Pong, b"three"));
    let out = bench.act(|session, _, pools, out| session.release_pong(pools, out));
    assert!(out.is_empty(), "answered once");
}

#[test]
fn silence_brings_a_ping_and_no_pong_the_end() {
    let mut bench = Bench::open();
    bench.now = Millis(29_000);
    bench.receive(&frame(0x82, b"", [0; 4]));
    assert_eq!(bench.timeout(), b"", "the message came in between");
    assert_eq!(bench.timeout(), answer(Opcode::Ping, b""));
    assert_eq!(bench.now, Millis(59_000));
    bench.now = Millis(60_000);
    bench.receive(&frame(0x8A, b"", [0; 4]));
    assert_eq!(bench.next_said(), answer(Opcode::Ping, b""));
    assert_eq!(bench.now, Millis(90_000));
    assert_eq!(bench.next_said(), close_frame(1001, "no pong in time"));
    assert_eq!(bench.now, Millis(105_000));
    assert_eq!((bench.timeout(), bench.session.phase()), (Vec::new(), Phase::Finished));
    assert_eq!(bench.now, Millis(110_000));
}

#[test]
fn a_handshake_that_does_not_come_is_cut() {
    let mut silent = Bench::new(Config::default());
    assert_eq!((silent.timeout(), silent.now), (Vec::new(), Millis(5000)));
    assert_eq!(silent.session.phase(), Phase::Finished);
    let mut slow = Bench::new(Config::default());
    assert_eq!(slow.receive(&REQUEST[..40]), b"");
    slow.now = Millis(4900);
    assert_eq!(slow.receive(&REQUEST[40..60]), b"");
    assert!(slow.timeout().starts_with(b"HTTP/1.1 408 "));
    assert_eq!((slow.now, slow.session.phase()), (Millis(5000), Phase::Lingering));
}

#[test]
fn the_limit_of_a_message_counts_what_is_declared_and_what_comes_out() {
    let mut config = Config::default();
    config.limits.max_message = 1000;
    let too_big = close_frame(1009, "message above the size limit");
    let mut bench = Bench::open_with(config.clone());
    assert_eq!(bench.receive(&frame(0x82, &[1; 1000], [0; 4])).len(), 1004);
    assert_eq!(bench.receive(&frame(0x82, &[1; 1001], [0; 4])), too_big);
    let mut bench = Bench::open_with(config.clone());
    assert_eq!(
        bench.receive(&[0x82, 0xFF, 0x7F, 255, 255, 255, 255, 255, 255, 255, 1, 2, 3, 4]),
        too_big
    );
    let mut bench = Bench::open_with(config);
    bench.receive(&frame(0x02, &[1; 600], [0; 4]));
    assert_eq!(bench.receive(&frame(0x80, &[1; 401], [0; 4])[..8]), too_big, "by the header alone");
}

#[test]
fn requests_are_answered_by_what_they_ask() {
    let origins = Origins::list(["https://good.example"]).unwrap();
    let config = Config { origins, ..Config::default() };
    let with = |line: &str| [&REQUEST[..REQUEST.len() - 2], line.as_bytes(), b"\r\n\r\n"].concat();
    for (request, status) in [
        (REQUEST.to_vec(), "101"),
        (with("Origin: https://good.example"), "101"),
        (with("Origin: https://evil.example"), "403"),
        (b"GET /x HTTP/1.1\r\nHost: h\r\n\r\n".to_vec(), "426"),
        (b"GET / HTTP/2.0\r\nHost: h\r\n\r\n".to_vec(), "505"),
        ([REQUEST, b"\x82\x80\0\0\0\0"].concat(), "400"),
    ] {
        let whole = Bench::new(config.clone()).receive(&request);
        assert!(whole.starts_with(format!("HTTP/1.1 {status} ").as_bytes()), "{status}");
        for cut in 1..REQUEST.len().min(request.len()) {
            let mut bench = Bench::new(config.clone());
            let first = bench.receive(&request[..cut]);
            let both = [first, bench.receive(&request[cut..])].concat();
            assert_eq!(both, whole, "{status} cut at {cut}");
        }
    }
    let mut full = Bench::new(config.clone());
    full.session = Session::new(ID, Millis(0), &config, true);
    assert!(full.receive(REQUEST).starts_with(b"HTTP/1.1 503 "));
}

#[test]
fn a_session_is_small() {
    assert!(size_of::<Session>() <= 96, "{}", size_of::<Session>());
}
