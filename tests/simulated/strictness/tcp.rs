//! Runs the table over sockets: each case on a separate connection, many at a time.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::case::Case;
use super::request::RequestCase;
use crate::support::client::{Client, End, Head, request};
use crate::support::deflate;
use crate::support::hex;
use crate::support::wire::{self, FIN, Frame, PING, PONG};

/// The time that a case waits for an answer that should come immediately.
pub(crate) const WAIT: Duration = Duration::from_secs(5);
/// The number of cases that run at a time.
pub(crate) const CONNECTIONS: usize = 32;

/// The way in which the bytes of a case are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// In one write.
    AtOnce,
    /// One write for each byte; in long cases, for each 2,048th part.
    ByteByByte,
}

impl Pace {
    /// The bytes of each write.
    pub(crate) fn step(self, len: usize) -> usize {
        match self {
            Self::AtOnce => len,
            Self::ByteByByte => len / 2_048 + 1,
        }
    }
}

/// Runs `check` on every case, on many threads with a value of `make` for each thread, and fails
/// with a list of all wrong cases.
pub(crate) fn run_all<C: Sync, S>(
    threads: usize,
    cases: &[C],
    name: impl Fn(&C) -> String + Sync,
    make: impl Fn() -> S + Sync,
    check: impl Fn(&mut S, &C) -> Result<(), String> + Sync,
) {
    let (next, failures) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let mut state = make();
                while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let outcome = catch_unwind(AssertUnwindSafe(|| check(&mut state, case)));
                    let why = match outcome {
                        Ok(Ok(())) => continue,
                        Ok(Err(why)) => why,
                        Err(_) => "the client gave up, see above".to_owned(),
                    };
                    failures.lock().unwrap().push(format!("{}:\n{why}", name(case)));
                }
            });
        }
    });
    let failures = failures.into_inner().unwrap();
    let (bad, all) = (failures.len(), cases.len());
    assert!(failures.is_empty(), "{bad} of {all} cases failed\n{}", failures.join("\n"));
    println!("{all} cases passed");
}

/// The state of the connection after a case.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// A ping was answered, and nothing came before the pong.
    Alive,
    /// It ended.
    Ended(End),
    /// A ping was not answered, or something came before the pong.
    PingUnanswered,
}

/// A client of a case, after its connection has begun.
pub(crate) trait Peer {
    /// Sends these bytes in its way. The server may have closed before the last.
    fn send(&mut self, bytes: &[u8]);

    /// The head of an HTTP response.
    fn read_head(&mut self) -> Head;

    /// The bytes up to and with the first `end`, or all bytes that came if a read takes longer.
    fn try_read_through(&mut self, end: &[u8], limit: Duration) -> Vec<u8>;

    /// The next frame. If a read takes longer, the bytes that came instead and the end.
    fn try_read_frame(&mut self, limit: Duration) -> Result<Frame, (Vec<u8>, End)>;

    /// All bytes until the server ends the connection, for at most `limit`.
    fn read_to_end(&mut self, limit: Duration) -> (Vec<u8>, End);
}

/// A client over TCP.
pub(crate) struct TcpPeer {
    client: Client,
    pace: Pace,
}

impl TcpPeer {
    pub(crate) fn connect(addr: SocketAddr, pace: Pace) -> Self {
        Self { client: Client::connect(addr), pace }
    }
}

impl Peer for TcpPeer {
    fn send(&mut self, bytes: &[u8]) {
        self.client.send_in_steps(bytes, self.pace.step(bytes.len()));
    }

    fn read_head(&mut self) -> Head {
        self.client.read_head()
    }

    fn try_read_through(&mut self, end: &[u8], limit: Duration) -> Vec<u8> {
        self.client.try_read_through(end, limit)
    }

    fn try_read_frame(&mut self, limit: Duration) -> Result<Frame, (Vec<u8>, End)> {
        self.client.try_read_frame(limit)
    }

    fn read_to_end(&mut self, limit: Duration) -> (Vec<u8>, End) {
        self.client.read_to_end(limit)
    }
}

/// Runs one case. With `may_be_late` the end may be a reset if the client speaks on.
pub(crate) fn check(mut client: impl Peer, case: &Case, may_be_late: bool) -> Result<(), String> {
    client.send(&request(case.offer));
    let head = client.read_head();
    if head.status != "HTTP/1.1 101 Switching Protocols" {
        return Err(format!("  the handshake is answered with {}", head.status));
    }
    let agreed = head.get("Sec-WebSocket-Extensions").unwrap_or_default();
    let keeps_window = !agreed.contains("server_no_context_takeover");
    client.send(&case.sends);
    let (got, outcome) = if case.ends {
        let (got, end) = client.read_to_end(WAIT);
        (got, Outcome::Ended(end))
    } else {
        read_and_ping(&mut client, wire::server_frames(&case.expects).0.len())
    };
    let plain = deflate::plain(&got, keeps_window)?;
    let expected = if case.ends { Outcome::Ended(End::Fin) } else { Outcome::Alive };
    let late = case.speaks_on && may_be_late;
    let ends_well = outcome == expected || late && outcome == Outcome::Ended(End::Reset);
    if plain == case.expects && ends_well {
        return Ok(());
    }
    Err(format!(
        "  sent     {}\n  expected {} and {expected:?}\n  got      {} and {outcome:?}",
        hex(&case.sends),
        hex(&case.expects),
        hex(&plain)
    ))
}

/// Reads `count` frames and then the answer to a ping, which must be next. Returns the bytes before
/// that answer, or all bytes if it did not come.
fn read_and_ping<P: Peer>(client: &mut P, count: usize) -> (Vec<u8>, Outcome) {
    let mut got = Vec::new();
    let mut read = |client: &mut P| match client.try_read_frame(WAIT) {
        Ok(frame) => {
            got.extend(wire::unmasked(frame.first, &frame.payload));
            Ok(frame)
        }
        Err((rest, end)) => {
            got.extend(rest);
            Err(if end == End::Open { Outcome::PingUnanswered } else { Outcome::Ended(end) })
        }
    };
    for _ in 0..count {
        if let Err(outcome) = read(client) {
            return (got, outcome);
        }
    }
    client.send(&wire::frame(FIN | PING, b"next"));
    match read(client) {
        Ok(frame) if frame == (Frame { first: FIN | PONG, payload: b"next".to_vec() }) => {
            got.truncate(got.len() - 6);
            (got, Outcome::Alive)
        }
        Ok(_) => (got, Outcome::PingUnanswered),
        Err(outcome) => (got, outcome),
    }
}

/// Runs one handshake.
pub(crate) fn check_request(mut client: impl Peer, case: &RequestCase) -> Result<(), String> {
    client.send(&case.sends);
    let (got, outcome) = if case.opens {
        let head = client.try_read_through(b"\r\n\r\n", WAIT);
        let (rest, outcome) = read_and_ping(&mut client, 0);
        ([head, rest].concat(), outcome)
    } else {
        let (got, end) = client.read_to_end(WAIT);
        (got, Outcome::Ended(end))
    };
    let expected = if case.opens { Outcome::Alive } else { Outcome::Ended(End::Fin) };
    if got == case.expects && outcome == expected {
        return Ok(());
    }
    let text = |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(600)]).into_owned();
    Err(format!(
        "  sent     {:?}\n  expected {:?} and {expected:?}\n  got      {:?} and {outcome:?}",
        text(&case.sends),
        text(&case.expects),
        text(&got)
    ))
}
