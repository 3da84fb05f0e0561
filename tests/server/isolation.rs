//! Isolation between connections: receive buffers are reused, and no connection may receive bytes
//! that another one sent.

use std::time::Duration;

use crate::support::client::{Client, End};
use crate::support::deflate;
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, BINARY, CLOSE, FIN, PING, PONG, RSV1, TEXT};
use corecast::config::{Buffers, Config};
use fastrand::Rng;

const ROUNDS: usize = if cfg!(debug_assertions) { 20_000 } else { 100_000 };
/// Bytes that only the first connection sends and may receive.
const SECRET: &[u8] = b"-SECRET-OF-A-";
const OFFER: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// Fails if `bytes` contain a part of the secret that is too long to be a coincidence.
fn assert_clean(bytes: &[u8], round: usize) {
    let seen = bytes.windows(6).any(|six| SECRET.windows(6).any(|part| part == six));
    assert!(!seen, "round {round}: the secret shows in {}", crate::support::hex(bytes));
}

/// The other connections, which reuse the buffers that A has filled.
struct Other {
    client: Client,
    inflater: deflate::Inflater,
}

impl Other {
    fn open(server: &Server) -> Self {
        let (client, _) = Client::open_with(server.addr(), OFFER);
        Self { client, inflater: deflate::Inflater::new() }
    }

    /// Sends `sends`, and expects exactly `expects`.
    fn exchange(&mut self, round: usize, sends: &[u8], expects: &[u8]) {
        self.client.send(sends);
        let mut got = Vec::new();
        while got.len() < expects.len() {
            let frame = self.client.read_frame();
            got.extend(wire::unmasked(frame.first, &frame.payload));
        }
        assert_clean(&got, round);
        assert!(got == expects, "round {round}: got {}", crate::support::hex(&got));
    }

    /// Short frames and empty ones, over a connection that stays open.
    fn short(&mut self, round: usize, random: &mut Rng) {
        let payload = vec![b'b'; random.usize(..20)];
        match random.u8(..6) {
            0 => self.exchange(round, &wire::frame(FIN | TEXT, b""), &[FIN | TEXT, 0]),
            1 => {
                let pong = wire::unmasked(FIN | PONG, &payload);
                self.exchange(round, &wire::frame(FIN | PING, &payload), &pong);
            }
            2 => {
                let parts = [wire::frame(BINARY, &payload), wire::frame(FIN, b"")];
                self.exchange(round, &parts.concat(), &wire::unmasked(FIN | BINARY, &payload));
            }
            3 => {
                let compressed = deflate::deflated(&payload);
                self.client.send(&wire::frame(FIN | RSV1 | BINARY, &compressed));
                let reply = self.client.read_frame();
                let plain = match reply.first & RSV1 {
                    0 => reply.payload,
                    _ => self.inflater.message(&reply.payload).unwrap(),
                };
                assert_clean(&plain, round);
                assert_eq!(plain, payload, "round {round}");
            }
            _ => {
                let echo = wire::unmasked(FIN | TEXT, &payload);
                self.exchange(round, &wire::frame(FIN | TEXT, &payload), &echo);
            }
        }
    }
}

/// A connection that breaks a rule or is cut. The complete answer of the server is checked.
fn aborted(server: &Server, round: usize, random: &mut Rng) {
    let mut client = Client::connect(server.addr());
    if random.u8(..4) == 0 {
        client.send(b"GET / HTTP/1.1\r\nHost: b");
        client.finish();
        return assert_ends(client, round, b"");
    }
    client.send(&crate::support::client::request(""));
    assert_eq!(client.read_head().status, "HTTP/1.1 101 Switching Protocols");
    let header = wire::cut_short(FIN | BINARY, 12_000, b"b");
    match random.u8(..5) {
        0 => {
            client.send(&header);
            client.finish();
            assert_ends(client, round, b"");
        }
        1 => {
            client.send(&header[..random.usize(1..header.len())]);
            client.reset();
        }
        2 => {
            client.send(&wire::cut_short(FIN | TEXT, 12_000, b"b\xff"));
            assert_ends(client, round, &wire::server_close(1007, "text is not UTF-8"));
        }
        3 => {
            client.send(&wire::frame(FIN | CLOSE, &wire::close_payload(4_000, b"b")));
            assert_ends(client, round, &wire::server_close(4_000, "b"));
        }
        _ => {
            client.send(&wire::frame(FIN | CLOSE, b""));
            assert_ends(client, round, &[FIN | CLOSE, 0]);
        }
    }
}

fn assert_ends(mut client: Client, round: usize, expects: &[u8]) {
    let (got, end) = client.read_to_end(Duration::from_secs(5));
    assert_clean(&got, round);
    assert!(
        got == expects && end == End::Fin,
        "round {round}: {end:?} {}",
        crate::support::hex(&got)
    );
}

#[test]
fn no_connection_receives_bytes_of_another() {
    // One core, so that all connections share the same buffers.
    let server = Server::start(&["--cores", "0"]);
    let mut random = Rng::with_seed(8);
    let mut a = Client::open(server.addr());
    let (mut b, mut c) = (Other::open(&server), Other::open(&server));
    let secret = SECRET.repeat(1_200);
    // All 128 buffers of the core hold the secret, and are filled with it again in each round.
    for round in 0..ROUNDS {
        let fill = if round % 2_000 == 0 { 140 } else { usize::from(random.u8(..8) == 0) };
        for _ in 0..fill {
            let message = &secret[..random.usize(secret.len() - 2_000..secret.len())];
            a.send(&wire::masked(FIN | BINARY, message, [0; 4]));
            assert_eq!(a.read_frame().payload, message);
        }
        match random.u8(..10) {
            0 => aborted(&server, round, &mut random),
            1..=5 => b.short(round, &mut random),
            _ => c.short(round, &mut random),
        }
    }
}

#[test]
fn the_check_finds_the_secret() {
    let seen = std::panic::catch_unwind(|| assert_clean(b"....ET-OF-A....", 0));
    assert!(seen.is_err());
    assert_clean(b"......ET-OF......", 0);
}

/// More connections send at the same time than there are buffers, so that most receives find
/// buffers that hold replies of the previous turn. Each connection must get its own replies, in
/// order.
fn serve_many(most: u16) {
    const CONNECTIONS: usize = 40;
    const MESSAGES: usize = if cfg!(debug_assertions) { 400 } else { 4000 };
    let mut config = Config::default();
    config.buffers = Buffers::new(4, 4096).growing_to(most);
    let server = Embedded::start(config);
    std::thread::scope(|scope| {
        for number in 0..CONNECTIONS {
            let mut client = Client::open(server.addr());
            scope.spawn(move || {
                let mut random = Rng::with_seed(number as u64);
                let message = |at: usize, len| format!("{number}-{at}-{}", "m".repeat(len));
                for at in 0..MESSAGES {
                    // Sometimes several at once, and some that are larger than a buffer.
                    let count = random.usize(1..4);
                    let len = if random.u8(..) == 0 { 10_000 } else { random.usize(..50) };
                    let frame = |n| wire::frame(FIN | TEXT, message(at + n, len).as_bytes());
                    client.send(&(0..count).map(frame).collect::<Vec<_>>().concat());
                    for n in 0..count {
                        let frame = client.read_frame();
                        assert_eq!(frame.first, FIN | TEXT);
                        assert!(frame.payload == message(at + n, len).as_bytes(), "{number}, {at}");
                    }
                }
            });
        }
    });
    let stats = server.stop();
    assert!(stats.iter().any(|stats| stats.no_buffers > 0), "there were always enough: {stats:?}");
    assert_eq!(stats[0].driver.buffers, u32::from(most), "{stats:?}");
}

#[test]
fn few_buffers_serve_many() {
    serve_many(4);
}

#[test]
fn buffers_are_added_as_needed() {
    serve_many(16);
}
