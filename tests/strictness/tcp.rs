//! Runs the table over TCP: each case on a separate connection, many at a time.

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::case::Case;
use super::request::RequestCase;
use crate::support::client::{Client, End};
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

/// Runs one case.
pub(crate) fn check(addr: SocketAddr, case: &Case, pace: Pace) -> Result<(), String> {
    let (mut client, head) = Client::open_with(addr, case.offer);
    let agreed = head.get("Sec-WebSocket-Extensions").unwrap_or_default();
    let keeps_window = !agreed.contains("server_no_context_takeover");
    client.send_in_steps(&case.sends, pace.step(case.sends.len()));
    let (got, outcome) = if case.ends {
        let (got, end) = client.read_to_end(WAIT);
        (got, Outcome::Ended(end))
    } else {
        read_and_ping(&mut client, wire::server_frames(&case.expects).0.len())
    };
    let plain = deflate::plain(&got, keeps_window)?;
    let expected = if case.ends { Outcome::Ended(End::Fin) } else { Outcome::Alive };
    let late = case.speaks_on && pace == Pace::ByteByByte;
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
fn read_and_ping(client: &mut Client, count: usize) -> (Vec<u8>, Outcome) {
    let mut got = Vec::new();
    let mut read = |client: &mut Client| match client.try_read_frame(WAIT) {
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
    client.send_in_steps(&wire::frame(FIN | PING, b"next"), usize::MAX);
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
pub(crate) fn check_request(
    addr: SocketAddr,
    case: &RequestCase,
    pace: Pace,
) -> Result<(), String> {
    let mut client = Client::connect(addr);
    client.send_in_steps(&case.sends, pace.step(case.sends.len()));
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
