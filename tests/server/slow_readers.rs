//! Goal: a reader that is slow but steady stays, whatever its rate, and is told of what was
//! dropped; a peer that is gone, or reads nothing, is noticed in the time configured.
//! Method: sockets with small receive buffers, and deadlines of a second or two. How long each side
//! takes is judged by what it has to read, not by the clock: the reader counts what it got until
//! the server let it go. `tests/simulated/slow_readers.rs` does so for minutes of virtual time.

use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use corecast::config::{Config, SlowConsumer};

use crate::support::client::{Client, PATIENCE};
use crate::support::host::wait_until;
use crate::support::library::Embedded;
use crate::support::wire::{self, BINARY, CLOSE, FIN, Frame, PING, PONG, TEXT};

const NARROW: usize = 32 << 10;
const PONG_WITHIN: Duration = Duration::from_millis(1_500);
const STALL: Duration = Duration::from_secs(2);
/// A busy machine may keep a test from its work for so long.
const HELD_UP: Duration = Duration::from_millis(700);

fn server(slow: SlowConsumer) -> Embedded {
    let mut config = Config::default();
    config.timeouts.ping_after = Duration::from_millis(500);
    config.timeouts.pong = PONG_WITHIN;
    config.timeouts.stall = STALL;
    config.timeouts.drain = Duration::from_millis(100);
    config.pubsub.slow = slow;
    Embedded::start(config)
}

/// Whether this kernel can be asked for the progress of a peer.
fn kernel_tells() -> bool {
    let release = corecast::io::uring::kernel_release();
    let mut numbers = release.split(['.', '-']).map(|number| number.parse::<u32>().unwrap_or(0));
    let version = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    if version < (6, 8) {
        println!("kernel {release} does not tell how far a peer is: not tested");
    }
    version >= (6, 8)
}

/// Reads at some rate and answers pings as it reads them.
struct Steady {
    stream: TcpStream,
    rate: usize,
    unparsed: Vec<u8>,
    read: usize,
    pings: usize,
    /// The longest that it did not get to reading: then it was no steady reader.
    held_up: Duration,
}

impl Steady {
    fn new(client: Client, rate: usize) -> Self {
        let stream = client.into_stream();
        stream.set_read_timeout(Some(Duration::from_millis(50))).unwrap();
        let held_up = Duration::ZERO;
        Self { stream, rate, unparsed: Vec::new(), read: 0, pings: 0, held_up }
    }

    /// Gives every frame but pings to `each` until that returns true; `Err` tells how the server
    /// ended the connection, or that the time was over.
    fn read_until(
        &mut self,
        limit: Duration,
        mut each: impl FnMut(&Frame) -> bool,
    ) -> Result<(), String> {
        let start = Instant::now();
        let (mut last, mut buffer) = (start, vec![0; self.rate / 20]);
        while start.elapsed() < limit {
            std::thread::sleep(Duration::from_millis(50));
            self.held_up = self.held_up.max(last.elapsed());
            last = Instant::now();
            match self.stream.read(&mut buffer) {
                Ok(0) => return Err(format!("FIN after {} bytes", self.read)),
                Ok(count) => {
                    self.read += count;
                    self.unparsed.extend_from_slice(&buffer[..count]);
                }
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock) => {}
                Err(error) => return Err(format!("{error} after {} bytes", self.read)),
            }
            let (frames, rest) = wire::server_frames(&self.unparsed);
            self.unparsed = rest.to_vec();
            let mut done = false;
            for frame in frames {
                if frame.first == FIN | PING {
                    self.pings += 1;
                    let pong = wire::frame(FIN | PONG, &frame.payload);
                    self.stream.write_all(&pong).map_err(|error| error.to_string())?;
                } else if frame.first == FIN | CLOSE {
                    return Err(format!("{frame:?} after {} bytes", self.read));
                } else {
                    done |= each(&frame);
                }
            }
            if done {
                return Ok(());
            }
        }
        Err(format!("no end after {} bytes", self.read))
    }

    /// What must have gone well, unless the machine kept the reader from being steady.
    fn expect(&self, outcome: Result<(), String>) {
        if let Err(error) = outcome {
            assert!(self.held_up > HELD_UP, "{error}, {} pings answered", self.pings);
            println!("held up for {:?}: not judged", self.held_up);
        }
    }
}

fn subscribed(server: &Embedded) -> Client {
    let mut client = Client::connect_narrow(server.addr(), NARROW);
    client.open_at("/topics/feed?role=sub", "");
    client
}

/// All of it fits the kernel at once, and the ping stands behind it: reading it takes many times as
/// long as a pong may.
#[test]
fn a_subscriber_whose_ping_waits_behind_megabytes_stays() {
    if !kernel_tells() {
        return;
    }
    let server = server(SlowConsumer::Close);
    let mut reader = Steady::new(subscribed(&server), 200_000);
    let mut publisher = Client::connect(server.addr());
    publisher.open_at("/topics/feed?role=pub", "");
    publisher.send(&wire::frame(FIN | BINARY, &[1; 1_000]).repeat(1_200));
    let mut got = 0;
    let outcome = reader.read_until(PATIENCE, |frame| {
        got += usize::from(frame.payload.len() == 1_000);
        got == 1_200
    });
    reader.expect(outcome);
    // It is a subscriber like any other afterwards. The publisher, which was silent, is gone.
    let mut publisher = Client::connect(server.addr());
    publisher.open_at("/topics/feed?role=pub", "");
    publisher.send(&wire::frame(FIN | BINARY, b"next"));
    let outcome = reader.read_until(PATIENCE, |frame| frame.payload == b"next");
    reader.expect(outcome);
}

#[test]
fn an_echo_that_is_read_slowly_comes_to_its_end() {
    if !kernel_tells() {
        return;
    }
    let server = server(SlowConsumer::Close);
    let mut client = Client::connect_narrow(server.addr(), NARROW);
    client.open_at("/", "");
    let message = wire::frame(FIN | BINARY, &vec![9; 2_100_000]);
    let mut writer = client.stream().try_clone().unwrap();
    let sending = std::thread::spawn(move || writer.write_all(&message));
    let mut reader = Steady::new(client, 300_000);
    let outcome = reader.read_until(PATIENCE, |frame| {
        assert_eq!(frame.payload.len(), 2_100_000);
        true
    });
    reader.expect(outcome);
    sending.join().unwrap().unwrap();
}

/// Its queue does not move for longer than `STALL`, since the kernel takes more only when a third
/// of its buffer is free again. It is told of what it lost.
#[test]
fn under_a_drop_policy_a_slow_subscriber_stays_and_is_told_of_gaps() {
    if !kernel_tells() {
        return;
    }
    let policies = [SlowConsumer::DropOldest, SlowConsumer::DropNewest, SlowConsumer::Conflate];
    std::thread::scope(|scope| {
        for policy in policies {
            scope.spawn(move || stays_under(policy));
        }
    });
}

fn stays_under(policy: SlowConsumer) {
    let server = server(policy);
    let mut client = Client::connect_narrow(server.addr(), NARROW);
    client.open_at("/pubsub", "");
    client.send(&wire::frame(FIN | TEXT, br#"{"subscribe":"feed"}"#));
    let mut reader = Steady::new(client, 350_000);
    reader.read_until(PATIENCE, |frame| frame.payload.starts_with(b"{\"subscribed")).unwrap();
    let stop = AtomicBool::new(false);
    let mut gaps = 0;
    let outcome = std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut publisher = Client::connect(server.addr());
            publisher.open_at("/topics/feed?role=pub", "");
            let message = wire::frame(FIN | TEXT, &[b'm'; 4_000]);
            while !stop.load(Ordering::Acquire) && publisher.try_send(&message.repeat(20)) {
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        let start = Instant::now();
        let outcome = reader.read_until(Duration::from_secs(60), |frame| {
            gaps += usize::from(frame.payload.starts_with(b"{\"gap\""));
            gaps > 0 && start.elapsed() > 3 * STALL
        });
        stop.store(true, Ordering::Release);
        outcome
    });
    reader.expect(outcome.map_err(|error| format!("{policy:?}: {error}")));
}

/// One that reads nothing is cut under a drop policy too, `STALL` after the last that it took.
#[test]
fn a_subscriber_that_reads_nothing_is_cut() {
    let server = server(SlowConsumer::DropOldest);
    let mut subscriber = subscribed(&server);
    let mut publisher = Client::connect(server.addr());
    publisher.open_at("/topics/feed?role=pub", "");
    publisher.send(&wire::frame(FIN | BINARY, &[1; 10_000]).repeat(1_000));
    publisher.close();
    let start = Instant::now();
    // It sends pings until the server has closed the connection.
    let is_cut = wait_until(PATIENCE, || !subscriber.try_send(&wire::frame(FIN | PING, b"")));
    assert!(is_cut && start.elapsed() + HELD_UP > STALL, "{is_cut}, {:?}", start.elapsed());
}

/// Their pings are due at once, so more progress is asked for than a ring asks at a time.
#[test]
fn of_many_silent_peers_all_are_closed() {
    let server = server(SlowConsumer::Close);
    let start = Instant::now();
    let mut silent: Vec<Client> = (0..300).map(|_| Client::open(server.addr())).collect();
    for client in &mut silent {
        client.expect(&wire::unmasked(FIN | PING, b""));
        client.expect(&wire::server_close(1001, "no pong in time"));
    }
    let took = start.elapsed();
    assert!(took > PONG_WITHIN, "closed after {took:?}");
}
