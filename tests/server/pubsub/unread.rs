//! Goal: a client that publishes and does not read its deliveries notices within seconds that it is
//! closed, and every message that was accepted before reaches the other subscribers. Method:
//! writers that never read, with several sizes of messages and receive buffers and several rates,
//! on both endpoints; a reader that keeps up counts their messages. The close timeout is short
//! here, and the stall timeout is long, so that the two can be told apart.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::{JoinHandle, sleep};
use std::time::{Duration, Instant};

use corecast::config::Config;

use crate::pubsub::common::{Json, raw, text};
use crate::support::client::Client;
use crate::support::host::wait_until;
use crate::support::library::Embedded;
use crate::support::server::Server;
use crate::support::wire::{self, CLOSE, FIN, PING};

const LIMIT: Duration = Duration::from_secs(20);
/// The close timeout of these servers.
const CLOSE_TIMEOUT: Duration = Duration::from_millis(500);
/// The stall timeout of these servers: longer than any test.
const STALL: Duration = Duration::from_secs(300);
/// The lead of a writer over the reader in bytes: far less than the reader's queue.
const AHEAD: u64 = 200_000;

fn config() -> Config {
    let mut config = Config::default();
    config.timeouts.close = CLOSE_TIMEOUT;
    config.timeouts.stall = STALL;
    config.pubsub.queue = 1 << 20;
    config
}

/// A writer: the bytes of its receive buffer, if not the default, of each message, and the time
/// between two messages.
#[derive(Clone, Copy, Debug)]
struct Writer {
    buffer: Option<usize>,
    size: usize,
    pause: Duration,
    is_json: bool,
}

const fn writer(buffer: Option<usize>, size: usize, pause_ms: u64) -> Writer {
    Writer { buffer, size, pause: Duration::from_millis(pause_ms), is_json: false }
}

impl Writer {
    fn connect(self, addr: SocketAddr) -> Client {
        let mut client = match self.buffer {
            Some(bytes) => Client::connect_narrow(addr, bytes),
            None => Client::connect(addr),
        };
        if self.is_json {
            client.open_at("/pubsub", "");
            client.send(&text(r#"{"subscribe":"w"}"#));
        } else {
            client.open_at("/topics/w", "");
        }
        client
    }

    fn message(self, number: u64) -> Vec<u8> {
        let filler = "f".repeat(self.size);
        match self.is_json {
            true => text(format!(r#"{{"publish":"w","id":{number},"data":"{number} {filler}"}}"#)),
            false => text(format!("{number} {filler}")),
        }
    }
}

/// Reads the messages of a writer, which must come without a gap; returns their number and the time
/// of the last.
struct Reader {
    received: Arc<AtomicU64>,
    thread: JoinHandle<Instant>,
}

impl Reader {
    fn start(addr: SocketAddr) -> Self {
        let mut client = raw(addr, "w?role=sub");
        let received = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&received);
        let thread = std::thread::spawn(move || {
            let mut last = Instant::now();
            loop {
                let frame = client.read_frame();
                let text = std::str::from_utf8(&frame.payload).unwrap().trim_start_matches('"');
                if text == "end" {
                    client.close();
                    return last;
                }
                let next = count.load(Ordering::Relaxed);
                assert!(text.starts_with(&format!("{next} ")), "{text:.20} instead of {next}");
                count.store(next + 1, Ordering::Relaxed);
                last = Instant::now();
            }
        });
        Self { received, thread }
    }

    /// Waits until no more messages can come; returns their number and the time of the last.
    fn finish(self, addr: SocketAddr) -> (u64, Instant) {
        let mut client = raw(addr, "w?role=pub");
        client.send(&text("end"));
        client.close();
        let last = self.thread.join().unwrap();
        (self.received.load(Ordering::Relaxed), last)
    }
}

/// Publishes until the connection fails; returns the number of messages that the kernel took, and
/// the time since the reader's last message.
fn write_until_reset(addr: SocketAddr, writer: Writer) -> (u64, u64, Duration) {
    let reader = Reader::start(addr);
    let mut client = writer.connect(addr);
    let start = Instant::now();
    let mut sent = 0;
    while client.try_send(&writer.message(sent)) {
        sent += 1;
        sleep(writer.pause);
        // So that the reader is not too slow itself. After the decision it gets no more messages.
        let near = AHEAD / writer.size as u64 + 1;
        wait_until(Duration::from_millis(50), || {
            sent < reader.received.load(Ordering::Relaxed) + near
        });
        assert!(start.elapsed() < LIMIT * 3, "{writer:?}: no error after {sent} messages");
    }
    let failed = Instant::now();
    let (received, last) = reader.finish(addr);
    (sent, received, failed.saturating_duration_since(last))
}

#[test]
fn a_writer_that_does_not_read_is_reset_within_seconds() {
    let json = |writer: Writer| Writer { is_json: true, ..writer };
    let cases = [
        writer(None, 10_000, 0),
        writer(None, 100_000, 5),
        writer(Some(64 << 10), 1_000, 0),
        writer(Some(64 << 10), 20_000, 1),
        writer(Some(4 << 10), 20_000, 20),
        writer(Some(4 << 10), 300_000, 100),
        json(writer(None, 10_000, 0)),
        json(writer(Some(4 << 10), 20_000, 10)),
    ];
    for cores in [1, 2] {
        let server = Embedded::start_on(config(), cores);
        for case in cases {
            let (sent, received, after) = write_until_reset(server.addr(), case);
            println!("{case:?}: {received} of {sent} came, the error after {after:?}");
            assert!(received > 0 && received < sent, "{case:?}: {received} of {sent}");
            assert!(after < LIMIT, "{case:?}: the error came {after:?} after the last message");
        }
        let too_slow: u64 = server.stop().iter().map(|stats| stats.too_slow).sum();
        assert_eq!(too_slow, cases.len() as u64);
    }
}

/// The same with the default timeouts.
#[test]
fn a_writer_that_does_not_read_is_reset_with_default_timeouts() {
    let server = Server::start(&[]);
    let (sent, received, after) =
        write_until_reset(server.addr(), writer(Some(64 << 10), 10_000, 1));
    println!("{received} of {sent} came, the error after {after:?}");
    assert!(received > 0 && received < sent && after < LIMIT, "{received} of {sent}, {after:?}");
}

/// Sends `message` every 50 ms until the connection fails; returns the time that took.
fn time_to_reset(mut client: Client, message: &[u8]) -> Duration {
    let start = Instant::now();
    while client.try_send(message) {
        sleep(Duration::from_millis(50));
        assert!(start.elapsed() < LIMIT * 3, "no error");
    }
    start.elapsed()
}

/// No policy closes a writer for the rest of one large message of its own, but it is read from no
/// more, and learns of that as soon.
#[test]
fn a_writer_that_does_not_read_its_own_large_message_is_reset() {
    for is_json in [false, true] {
        let server = Embedded::start_on(config(), 1);
        let large = Writer { is_json, ..writer(None, 8 << 20, 0) };
        let mut client = large.connect(server.addr());
        client.send(&large.message(0));
        let small = Writer { size: 1_000, ..large };
        let took = time_to_reset(client, &small.message(1));
        println!("json: {is_json}: the error after {took:?}");
        assert!(took < LIMIT, "json: {is_json}: the error came after {took:?}");
    }
}

/// A subscriber that publishes nothing loses nothing: the rest of a large message waits for it,
/// although it sends pings that are not read.
#[test]
fn a_subscriber_that_does_not_read_a_large_message_may_send_pings() {
    const LEN: usize = 8 << 20;
    let mut config = config();
    // The first look is after a sixtieth of it.
    config.timeouts.stall = Duration::from_secs(30);
    let server = Embedded::start_on(config, 1);
    let mut client = Client::connect(server.addr());
    client.open_at("/topics/large?role=sub", "");
    let mut publisher = raw(server.addr(), "large?role=pub");
    publisher.send(&wire::frame(FIN | wire::BINARY, &vec![b'l'; LEN]));
    let start = Instant::now();
    while start.elapsed() < CLOSE_TIMEOUT * 8 {
        client.send(&wire::frame(FIN | PING, b"still here"));
        sleep(Duration::from_millis(50));
    }
    // A ping before the message may have been answered.
    let message = loop {
        let frame = client.read_frame();
        if frame.first != FIN | wire::PONG {
            break frame;
        }
    };
    assert!(message.first == FIN | wire::BINARY && message.payload == vec![b'l'; LEN]);
    // A pong answers all pings that the server has read so far. It reads others after that, or has
    // done so before if the kernel has taken the whole message.
    client.send(&wire::frame(FIN | CLOSE, &1000_u16.to_be_bytes()));
    let mut pongs = 0;
    while client.read_frame().first == FIN | wire::PONG {
        pongs += 1;
    }
    assert!(pongs > 0);
}

/// A writer that says nothing for a while after it was closed, and then goes on, is reset as well.
#[test]
fn a_writer_that_pauses_after_it_was_closed_is_reset_when_it_goes_on() {
    let server = Embedded::start_on(config(), 1);
    let medium = writer(None, 50_000, 0);
    let mut client = medium.connect(server.addr());
    let is_closed = || server.handle().stats().iter().any(|stats| stats.worker.too_slow == 1);
    let mut number = 0;
    while !is_closed() {
        client.send(&medium.message(number));
        number += 1;
        wait_until(Duration::from_millis(20), is_closed);
    }
    sleep(CLOSE_TIMEOUT * 4);
    let took = time_to_reset(client, &medium.message(number));
    println!("the error after {took:?}");
    assert!(took < LIMIT, "the error came after {took:?}");
}

/// A subscriber that sends no messages loses none: it may read later, and gets the close frame.
/// Pings are not messages.
#[test]
fn a_slow_subscriber_that_only_pings_still_gets_1013() {
    let mut config = config();
    config.pubsub.queue = 64 << 10;
    let server = Embedded::start_on(config, 1);
    let mut client = Client::connect_narrow(server.addr(), 4 << 10);
    client.open_at("/topics/s?role=sub", "");
    let mut publisher = Json::open(server.addr());
    let filler = "f".repeat(4_000);
    for number in 0..1_500 {
        publisher.publish("s", &format!("\"{number} {filler}\""), "");
    }
    let start = Instant::now();
    while start.elapsed() < CLOSE_TIMEOUT * 4 {
        client.send(&wire::frame(FIN | PING, b"still here"));
        sleep(Duration::from_millis(20));
    }
    let mut next = 0;
    let close = loop {
        let frame = client.read_frame();
        if frame.first == FIN | CLOSE {
            break frame;
        }
        // A pong may answer several pings that were sent before the decision.
        if frame.payload != b"still here" {
            assert!(frame.payload.starts_with(format!("\"{next} ").as_bytes()), "{next}");
            next += 1;
        }
    };
    assert_eq!(close.payload, wire::close_payload(1013, b"reads too slowly"));
    assert!((1..1_500).contains(&next), "{next} came");
    client.send(&wire::close(1013, ""));
    client.expect_end(b"");
}

/// With `echo=0` a client does not get its own messages, so one that only publishes need not read.
#[test]
fn a_writer_without_echo_need_not_read() {
    let server = Embedded::start_on(config(), 2);
    for query in ["role=pub", "echo=0"] {
        let reader = Reader::start(server.addr());
        let mut client = raw(server.addr(), &format!("w?{query}"));
        let writer = writer(None, 20_000, 0);
        for number in 0..1_000 {
            client.send(&writer.message(number));
            let is_near = || number < reader.received.load(Ordering::Relaxed) + 10;
            assert!(wait_until(LIMIT, is_near), "{query}: the reader has stopped at {number}");
        }
        client.close();
        let (received, _) = reader.finish(server.addr());
        assert_eq!(received, 1_000, "{query}");
    }
}
