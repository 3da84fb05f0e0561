//! Fan-out: a publisher sends bursts of messages, each of which must reach every subscriber.
//!
//! The publisher sends a burst of frames with one write; when every subscriber has all of it, the
//! next burst follows. The form of a delivery is learnt from a first message, whose payload is
//! always checked; all other deliveries must have the same bytes. So a server must not send
//! anything else to its subscribers: a run should be shorter than the 30 seconds after which
//! servers send pings.

mod group;

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use self::group::{Burst, Group, write};
use super::connect::{self, TIMEOUT};
use super::open::Opener;
use super::tls::Connection;
use super::{Fanout, Length, Moment, Outcome, Plan};
use crate::frames::{self, BINARY, CLOSE, Head, Offer, TEXT};

/// The time without input after the subscriptions, before the first message.
const SILENCE: Duration = Duration::from_millis(100);

/// Runs the load; `probe` is called at each event of the run.
pub fn run(
    plan: &Plan,
    work: &Fanout,
    probe: &mut dyn FnMut(Moment) -> io::Result<()>,
) -> io::Result<Outcome> {
    Load::open(plan, work, TIMEOUT)?.run(plan, probe)
}

/// All connections to one server.
struct Load {
    publisher: Connection,
    subscribers: Group,
    count: usize,
    burst: usize,
    /// The publisher's frames of one burst.
    frames: Vec<u8>,
    /// The bytes that each subscriber receives for it.
    expected: Vec<u8>,
    patience: Duration,
}

impl Load {
    /// Connects all clients, subscribes, and learns the form of a delivery from a first message.
    fn open(plan: &Plan, work: &Fanout, patience: Duration) -> io::Result<Self> {
        let room = connect::room_for_files()?;
        if work.subscribers == 0 || work.burst == 0 || work.subscribers >= room {
            let text =
                format!("needs 1 to {room} subscribers (RLIMIT_NOFILE), bursts of 1 or more");
            return Err(io::Error::other(text));
        }
        let opener = Opener::new(plan.address, plan.tls)?;
        let subscribers: Vec<Connection> = (0..work.subscribers)
            .map(|n| subscriber(&opener, plan, work, n))
            .collect::<Result<_, _>>()?;
        let source = connect::source(plan.address, work.subscribers);
        let publisher = opener.open(&work.publisher, Offer::Nothing, source)?.connection();
        publisher.stream.set_nonblocking(true)?;
        let mut load = Self {
            subscribers: Group::new(subscribers, &publisher.stream, plan.busy)?,
            publisher,
            count: work.subscribers,
            burst: work.burst,
            frames: Vec::new(),
            expected: Vec::new(),
            patience,
        };
        load.subscribers.settle(SILENCE)?;
        load.learn(&payload(work.size, plan.deflate), plan.deflate, work.subscribe.is_some())?;
        load.frames = load.frames.repeat(work.burst);
        load.expected = load.expected.repeat(work.burst);
        // One burst is always compared.
        load.exchange(true)?;
        Ok(load)
    }

    /// Publishes one message. The delivery to the first subscriber is checked against the payload;
    /// the others must receive the same bytes.
    fn learn(&mut self, payload: &Payload, deflate: bool, json: bool) -> io::Result<()> {
        self.frames = payload.frame(json);
        let wire = self.publisher.wire(&self.frames);
        let (begin, mut sent) = (Instant::now(), 0);
        let mut came = Vec::new();
        let frame = loop {
            sent += write(&self.publisher.stream, &wire[sent..])?;
            came.extend_from_slice(self.subscribers.first()?);
            if let Some(frame) = data_frame(&mut came)? {
                break frame;
            }
            if begin.elapsed() > self.patience {
                return Err(io::Error::other(
                    "the first subscriber did not get the first message: check both paths and \
                     the subscription",
                ));
            }
            std::thread::sleep(Duration::from_micros(50));
        };
        let (text, compressed) = frames::message(&frame)?;
        if !payload.is_in(&text, json) {
            let text = String::from_utf8_lossy(&text);
            return Err(io::Error::other(format!("a delivery does not hold the payload: {text}")));
        }
        if deflate && !compressed {
            return Err(io::Error::other(
                "the server agreed to permessage-deflate, but delivers uncompressed messages",
            ));
        }
        self.expected = frame;
        self.subscribers.exchange(&Burst {
            publisher: &self.publisher.stream,
            wire: &wire,
            sent,
            expected: &self.expected,
            first: 1,
            check: true,
            patience: self.patience,
        })
    }

    /// Publishes one burst and waits until every subscriber has all of it.
    fn exchange(&mut self, check: bool) -> io::Result<()> {
        let sealed;
        let wire = if self.publisher.records.is_some() {
            sealed = self.publisher.wire(&self.frames);
            &sealed
        } else {
            &self.frames
        };
        self.subscribers.exchange(&Burst {
            publisher: &self.publisher.stream,
            wire,
            sent: 0,
            expected: &self.expected,
            first: 0,
            check,
            patience: self.patience,
        })
    }

    fn run(
        mut self,
        plan: &Plan,
        probe: &mut dyn FnMut(Moment) -> io::Result<()>,
    ) -> io::Result<Outcome> {
        let warm = Instant::now();
        while warm.elapsed() < plan.warm_up {
            self.exchange(plan.verify)?;
        }
        let mut latency = Histogram::new(3).map_err(io::Error::other)?;
        let deliveries = self.count as u64 * self.burst as u64;
        let mut bursts = 0;
        probe(Moment::Begin)?;
        let begin = Instant::now();
        let (mut last, mut reported) = (begin, begin);
        loop {
            self.exchange(plan.verify)?;
            bursts += 1;
            let now = Instant::now();
            let ns = u64::try_from((now - last).as_nanos()).map_err(io::Error::other)?;
            latency.record(ns).map_err(io::Error::other)?;
            last = now;
            let ended = match plan.length {
                Length::Time(length) => now - begin >= length,
                Length::Count(count) => bursts >= count,
            };
            if ended {
                break;
            }
            if now - reported >= Duration::from_secs(1) {
                reported = now;
                probe(Moment::Progress(bursts * deliveries))?;
                // The time for reading meters is not part of the next burst.
                last = Instant::now();
            }
        }
        probe(Moment::End)?;
        self.subscribers.silent()?;
        Ok(Outcome {
            messages: bursts * deliveries,
            bytes: bursts * self.count as u64 * self.expected.len() as u64,
            elapsed: last - begin,
            latency,
            behind: 0,
            broadcast: None,
        })
    }
}

/// Opens the `n`-th subscriber.
fn subscriber(opener: &Opener, plan: &Plan, work: &Fanout, n: usize) -> io::Result<Connection> {
    let offer = if plan.deflate { Offer::NoTakeover } else { Offer::Nothing };
    let source = connect::source(plan.address, n);
    let opened = opener.open(&work.subscriber, offer, source)?;
    if plan.deflate && !opened.deflate.is_some_and(|agreed| agreed.server_no_takeover) {
        return Err(io::Error::other(
            "the server does not agree to permessage-deflate with server_no_context_takeover, \
             without which deliveries cannot be compared",
        ));
    }
    // Input after the response is dropped, as `settle` does.
    let mut connection = opened.connection();
    if let Some(text) = &work.subscribe {
        connection.send(&frames::masked(TEXT, text.as_bytes()))?;
    }
    connection.stream.set_nonblocking(true)?;
    Ok(connection)
}

/// Takes the first data frame of the input, and drops control frames before it.
fn data_frame(came: &mut Vec<u8>) -> io::Result<Option<Vec<u8>>> {
    while let Some(head) = Head::parse(came).filter(|head| head.payload.end <= came.len()) {
        let frame: Vec<u8> = came.drain(..head.payload.end).collect();
        match head.opcode() {
            CLOSE => return Err(io::Error::other("the server closed a subscriber")),
            opcode if opcode > CLOSE => {}
            _ if came.is_empty() => return Ok(Some(frame)),
            _ => return Err(io::Error::other("one message was delivered as more than one frame")),
        }
    }
    Ok(None)
}

/// The published message.
struct Payload {
    text: String,
    /// Whether it is valid JSON.
    json: bool,
}

impl Payload {
    /// The publisher's frame: a command in JSON, or the payload alone.
    fn frame(&self, command: bool) -> Vec<u8> {
        let text = &self.text;
        match (command, self.json) {
            (true, true) => {
                frames::masked(TEXT, format!(r#"{{"publish":"bench","data":{text}}}"#).as_bytes())
            }
            (true, false) => {
                frames::masked(TEXT, format!(r#"{{"publish":"bench","data":"{text}"}}"#).as_bytes())
            }
            (false, true) => frames::masked(TEXT, text.as_bytes()),
            (false, false) => frames::masked(BINARY, text.as_bytes()),
        }
    }

    /// Whether a delivery contains it.
    fn is_in(&self, delivery: &[u8], command: bool) -> bool {
        let text = self.text.as_bytes();
        if command {
            text.is_empty() || delivery.windows(text.len()).any(|part| part == text)
        } else {
            delivery == text
        }
    }
}

/// A payload of `size` bytes: letters, or for deflate an array of records in JSON, as in data
/// feeds.
fn payload(size: usize, deflate: bool) -> Payload {
    let letters = |n| (b'a'..=b'z').cycle().step_by(7).take(n).map(char::from).collect::<String>();
    /// The length of the brackets and an empty string at the end.
    const FRAME: usize = "[\"\"]".len();
    if !deflate || size < FRAME {
        return Payload { text: letters(size), json: false };
    }
    let mut random = fastrand::Rng::with_seed(size as u64);
    let mut text = String::from("[");
    loop {
        let (id, price) = (random.u32(..1_000_000), random.u32(100..100_000));
        let (side, user) = (["buy", "sell"][random.usize(..2)], random.u16(..5000));
        let record = format!(
            r#"{{"id":{id},"user":"user-{user}","side":"{side}","price":{}.{:02},"open":{}}},"#,
            price / 100,
            price % 100,
            random.bool()
        );
        if text.len() + record.len() + FRAME - 1 > size {
            break;
        }
        text += &record;
    }
    let rest = letters(size - text.len() - (FRAME - 1));
    Payload { text: format!("{text}\"{rest}\"]"), json: true }
}

#[cfg(test)]
mod tests;
