//! Echo: every message comes back.

mod inflate;
mod output;
mod replies;
mod secured;
mod session;

use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsRawFd;
use std::time::Duration;

use flate2::{Compress, Compression, FlushCompress};

use super::connect::{self, Agreed};
use super::engine::epoll::Epoll;
use super::engine::ring::{Home, Ring};
use super::engine::{Engine, Traffic, Wait};
use super::open::Opener;
use super::{Echo, Length, Moment, Outcome, Pace, Plan};
use crate::frames::{Offer, masked};
use crate::sys;
use output::Requests;
use replies::{Expected, Replies};
use secured::Secured;
use session::{Common, Layer, Session};

/// The seed of all payloads.
const SEED: u64 = 20;

/// The number of different messages, sent in turn, if they are compressed: a server that keeps its
/// window must not find the same message again in the next one.
const VARIETY: u64 = 64;

/// Replies of each connection that are compared in full even without `--verify`, up to this number
/// of bytes, but at least one.
const COMPARED: u64 = 64;
const COMPARED_BYTES: u64 = 1 << 20;

/// Requests in one send of an open loop.
const TOGETHER: usize = 64;

/// The limits of a receive buffer in bytes; it holds the replies to one send.
const BUFFER: (usize, usize) = (16 << 10, 256 << 10);

/// The longest sleep of a load that sleeps.
const NAP: Duration = Duration::from_millis(500);

type Probe<'a> = &'a mut dyn FnMut(Moment) -> io::Result<()>;

/// The I/O engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Ring,
    Epoll,
}

/// Runs the plan's echo.
pub(super) fn run(plan: &Plan, echo: &Echo, probe: Probe<'_>) -> io::Result<Outcome> {
    match std::env::var("LOAD_ENGINE").as_deref() {
        Ok("epoll") => run_on(Way::Epoll, plan, echo, probe),
        Ok("io_uring") | Err(_) => run_on(Way::Ring, plan, echo, probe),
        Ok(other) => Err(io::Error::other(format!(
            "LOAD_ENGINE is {other}: set it to io_uring or epoll, or not at all"
        ))),
    }
}

fn run_on(way: Way, plan: &Plan, echo: &Echo, probe: Probe<'_>) -> io::Result<Outcome> {
    check(plan, echo)?;
    let mut streams = Vec::with_capacity(echo.connections);
    let mut rests = Vec::new();
    let mut agreed = Vec::with_capacity(echo.connections);
    let mut records = Vec::new();
    let opener = Opener::new(plan.address, plan.tls)?;
    let offer = if plan.deflate { Offer::Takeover } else { Offer::Nothing };
    for slot in 0..echo.connections {
        let Some(path) = &echo.path else {
            streams.push(insist(|| bare(plan.address, slot))?);
            agreed.push(None);
            continue;
        };
        let source = connect::source(plan.address, slot);
        let opened = insist(|| opener.open(path, offer, source))?;
        if plan.deflate && opened.deflate.is_none() {
            return Err(io::Error::other("the server did not agree to permessage-deflate"));
        }
        streams.push(opened.stream);
        agreed.push(opened.deflate);
        rests.push((slot, opened.rest));
        records.extend(opened.records);
    }
    let common = common(plan, echo, &agreed)?;
    let forgets = |a: &Option<Agreed>| a.map(|a| a.server_no_takeover);
    let replies = agreed.iter().map(|a| Replies::new(forgets(a))).collect();
    let mut session = Session::new(&common, replies, echo.pace)?;
    for (slot, rest) in rests {
        session.received(slot, &rest)?;
    }
    match plan.tls {
        None => work_on(way, plan, echo, &streams, &mut session, probe),
        Some(tls) => {
            let most = if tls.apart { common.message() } else { usize::MAX };
            let mut secured = Secured::new(session, records, most);
            work_on(way, plan, echo, &streams, &mut secured, probe)
        }
    }
}

fn work_on<'a>(
    way: Way,
    plan: &Plan,
    echo: &Echo,
    streams: &[TcpStream],
    layer: &mut impl Layer<'a>,
    probe: Probe<'_>,
) -> io::Result<Outcome> {
    let buffer = buffer_size(echo);
    let home = if way == Way::Ring { Home::new(buffer).map_err(say_refused).ok() } else { None };
    match home {
        Some(mut home) => work(&mut Ring::new(&mut home, streams)?, layer, plan, probe),
        None => work(&mut Epoll::new(streams)?, layer, plan, probe),
    }
}

fn say_refused(e: io::Error) {
    eprintln!("io_uring is refused here ({e}): the load goes by epoll, which is slower");
}

fn check(plan: &Plan, echo: &Echo) -> io::Result<()> {
    let wrong = match echo.pace {
        Pace::Depth(0) => "the depth must be 1 or more",
        Pace::Depth(n) if u32::try_from(n).is_err() => "the depth must be below 2^32",
        Pace::Rate(rate) if !rate.is_finite() || rate <= 0.0 => "the rate must be above 0",
        _ if echo.connections == 0 => "there must be 1 connection or more",
        _ if plan.tls.is_some() && (plan.deflate || echo.path.is_none()) => {
            "TLS takes plain messages of a WebSocket"
        }
        _ if plan.deflate && echo.path.is_none() => "bare TCP cannot be compressed",
        _ => return Ok(()),
    };
    Err(io::Error::new(io::ErrorKind::InvalidInput, wrong))
}

/// Tries again if it was interrupted: the kernel interrupts a thread when it cleans up a ring of an
/// earlier run.
fn insist<T>(mut open: impl FnMut() -> io::Result<T>) -> io::Result<T> {
    loop {
        match open() {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}

/// A connection without a handshake.
fn bare(address: SocketAddr, slot: usize) -> io::Result<TcpStream> {
    let stream = connect::dial(address, connect::source(address, slot), false)
        .map_err(|e| io::Error::new(e.kind(), format!("connecting to {address}: {e}")))?;
    stream.set_write_timeout(None)?;
    sys::linger_zero(stream.as_raw_fd())?;
    Ok(stream)
}

fn buffer_size(echo: &Echo) -> usize {
    let together = if let Pace::Depth(depth) = echo.pace { depth } else { TOGETHER };
    let bytes = together.saturating_mul(echo.size.saturating_add(16));
    bytes.clamp(BUFFER.0, BUFFER.1).next_power_of_two()
}

/// The payloads of the messages in turn, and their frames: compressed with the given window bits,
/// if any.
fn messages(plan: &Plan, echo: &Echo, bits: Option<u8>) -> io::Result<[Vec<Vec<u8>>; 2]> {
    let variety = if plan.deflate { VARIETY } else { 1 };
    let payload = |n| echo.content.payload(echo.size, SEED + n);
    let payloads: Vec<Vec<u8>> = (0..variety).map(payload).collect();
    let opcode = echo.content.opcode();
    let frame = |payload: &Vec<u8>| match bits {
        None => Ok(masked(opcode, payload)),
        Some(bits) => deflated(payload, bits).map(|bytes| {
            let mut frame = masked(opcode, &bytes);
            // RSV1: a compressed message.
            frame[0] |= 0x40;
            frame
        }),
    };
    let frames = payloads.iter().map(frame).collect::<io::Result<_>>()?;
    Ok([payloads, frames])
}

/// The average length of a request, with the largest window.
pub(crate) fn request_bytes(plan: &Plan, echo: &Echo) -> io::Result<f64> {
    let [_, frames] = messages(plan, echo, plan.deflate.then_some(15))?;
    // Far below 2^53, so the conversions are exact.
    Ok(frames.iter().map(Vec::len).sum::<usize>() as f64 / frames.len() as f64)
}

/// The requests and the replies of this plan.
fn common(plan: &Plan, echo: &Echo, agreed: &[Option<Agreed>]) -> io::Result<Common> {
    let bits = agreed.iter().flatten().map(|a| a.client_bits).min();
    let [payloads, frames] = messages(plan, echo, bits)?;
    let opcode = echo.content.opcode();
    let few = (COMPARED_BYTES / (echo.size as u64).max(1)).clamp(1, COMPARED);
    let compared = if plan.verify { u64::MAX } else { few };
    let together = if let Pace::Depth(depth) = echo.pace { depth } else { TOGETHER };
    let requests = Requests::new(&frames, together);
    let expected = if echo.path.is_some() {
        Expected::messages(payloads, opcode, compared)
    } else {
        Expected::bytes(frames, compared)
    };
    Ok(Common { requests, expected })
}

/// One message that does not refer to earlier ones, with the given window bits.
fn deflated(payload: &[u8], bits: u8) -> io::Result<Vec<u8>> {
    if payload.is_empty() {
        // RFC 7692 section 7.2.3.6.
        return Ok(vec![0x00]);
    }
    // zlib has no window of 8 bits; stored blocks need no window.
    let level = Compression::new(if bits < 9 { 0 } else { 6 });
    let mut compress = Compress::new_with_window_bits(level, false, bits.clamp(9, 15));
    let mut out = Vec::with_capacity(payload.len() + payload.len() / 1000 + 64);
    loop {
        let used = usize::try_from(compress.total_in()).map_err(io::Error::other)?;
        compress
            .compress_vec(&payload[used..], &mut out, FlushCompress::Sync)
            .map_err(io::Error::other)?;
        // There is room left, so the compressor has written everything.
        if out.len() < out.capacity() {
            break;
        }
        out.reserve(1024);
    }
    match out.strip_suffix(&[0x00, 0x00, 0xff, 0xff]) {
        Some(message) => Ok(message.to_vec()),
        None => Err(io::Error::other("the compressor did not end its message")),
    }
}

fn work<'a>(
    engine: &mut impl Engine,
    layer: &mut impl Layer<'a>,
    plan: &Plan,
    probe: Probe<'_>,
) -> io::Result<Outcome> {
    layer.session().start();
    let warm = layer.session().now() + plan.warm_up;
    while layer.session().now() < warm {
        turn(engine, layer, plan.busy, warm)?;
    }
    probe(Moment::Begin)?;
    layer.session().begin();
    let begin = layer.session().now();
    let (end, count) = match plan.length {
        Length::Time(time) => (begin.saturating_add(time), u64::MAX),
        Length::Count(count) => (Duration::MAX, count),
    };
    let second = Duration::from_secs(1);
    let mut progress = begin + second;
    while layer.session().now() < end && layer.session().messages < count {
        turn(engine, layer, plan.busy, end.min(progress))?;
        let session = layer.session();
        if session.now() >= progress {
            probe(Moment::Progress(session.messages))?;
            progress += second;
        }
    }
    let session = layer.session();
    let elapsed = session.now() - begin;
    probe(Moment::End)?;
    Ok(Outcome {
        messages: session.messages,
        bytes: session.bytes,
        elapsed,
        latency: session.latency.clone(),
        behind: session.behind(),
        broadcast: None,
    })
}

/// One turn, which ends at `until` at the latest if no input arrives.
fn turn<'a>(
    engine: &mut impl Engine,
    layer: &mut impl Layer<'a>,
    busy: bool,
    until: Duration,
) -> io::Result<()> {
    let session = layer.session();
    let due = session.issue_due().unwrap_or(Duration::MAX);
    let wait = if busy {
        Wait::Poll
    } else {
        Wait::Sleep(until.min(due).saturating_sub(session.now()).min(NAP))
    };
    engine.turn(layer, wait)?;
    layer.session().check_patience()
}

#[cfg(test)]
mod tests;
