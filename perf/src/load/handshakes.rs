//! Handshakes: connect, upgrade, close, repeatedly, with a number of them in flight.
//!
//! Each connection does the full closing handshake: the client's close frame, the server's, then
//! the end of the stream, which the server must send first (RFC 6455 section 7.1.1). A server that
//! waits for the client's end instead is detected at the start, and gets it after its close frame.
//! Connections come from thousands of addresses in turn, so that ports do not run out.

mod cycle;

use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event};

use self::cycle::{Cycle, Shared, Step};
use super::connect::{self, TIMEOUT};
use super::open::Opener;
use super::{Handshakes, Length, Moment, Outcome, Plan};

/// Source addresses that are used in turn.
const SOURCES: usize = 4096;

/// Responses that are always checked completely, not only for their status and end.
const CHECKED: usize = 100;

/// The number of errors after which a run fails.
const ENOUGH: u64 = 100;

/// If a server does not end the stream within this time after its close frame, the client does.
const ENDS_WITHIN: Duration = Duration::from_millis(250);

/// The longest sleep, so that the end of a run is noticed.
const NAP: Duration = Duration::from_millis(20);

/// Runs the load; `probe` is called at each event of the run.
pub fn run(
    plan: &Plan,
    work: &Handshakes,
    probe: &mut dyn FnMut(Moment) -> io::Result<()>,
) -> io::Result<Outcome> {
    Load::open(plan, work, TIMEOUT)?.run(plan, probe)
}

struct Load {
    shared: Shared,
    places: Vec<Cycle>,
    /// Whether every response is checked completely.
    verify: bool,
    /// Zero if the load never sleeps.
    nap: Timespec,
    patience: Duration,
    /// The time of the last input.
    moved: Instant,
    /// Connections begun so far.
    begun: usize,
    /// Whether new connections are started when others end.
    more: bool,
    in_flight: usize,
    ended: u64,
    errors: u64,
    first_error: Option<io::Error>,
    latency: Histogram<u64>,
    events: Vec<Event>,
}

impl Load {
    fn open(plan: &Plan, work: &Handshakes, patience: Duration) -> io::Result<Self> {
        let room = connect::room_for_files()?;
        if work.concurrent == 0 || work.concurrent > room {
            let text = format!("needs 1 to {room} handshakes at a time (RLIMIT_NOFILE)");
            return Err(io::Error::other(text));
        }
        let nap = if plan.busy { Duration::ZERO } else { NAP };
        let mut load = Self {
            shared: Shared {
                address: plan.address,
                path: work.path.clone(),
                deflate: plan.deflate,
                opener: Opener::new(plan.address, plan.tls)?,
                resumes: false,
                we_end: false,
                epoll: epoll::create(CreateFlags::CLOEXEC)?,
                buffer: vec![0; 1 << 16],
                bytes: 0,
            },
            places: (0..work.concurrent).map(|_| Cycle::new()).collect(),
            verify: plan.verify,
            nap: Timespec::try_from(nap).map_err(io::Error::other)?,
            patience,
            moved: Instant::now(),
            begun: 0,
            more: false,
            in_flight: 0,
            ended: 0,
            errors: 0,
            first_error: None,
            latency: Histogram::new(3).map_err(io::Error::other)?,
            events: Vec::with_capacity(1024),
        };
        load.learn()?;
        if load.shared.opener.tickets.is_some() {
            load.collect_tickets(work.concurrent)?;
        }
        Ok(load)
    }

    /// Does one handshake to find out which side ends the stream.
    fn learn(&mut self) -> io::Result<()> {
        let mut ending = None;
        self.begin(0);
        while self.in_flight > 0 {
            self.turn()?;
            if self.places[0].is_ending() {
                let since: &mut Instant = ending.get_or_insert_with(Instant::now);
                if since.elapsed() > ENDS_WITHIN {
                    self.shared.we_end = true;
                    self.places[0].end();
                    self.in_flight = 0;
                }
            }
        }
        self.first_error.take().map_or(Ok(()), Err)
    }

    /// Does full handshakes until there is a ticket for each handshake in flight; from then on
    /// every session must be resumed, and brings new tickets.
    fn collect_tickets(&mut self, needed: usize) -> io::Result<()> {
        let count = |load: &Self| load.shared.opener.tickets.as_ref().map_or(0, |all| all.count());
        while count(self) < needed {
            let before = count(self);
            self.learn()?;
            if count(self) <= before {
                return Err(io::Error::other("the server sends too few tickets to resume by"));
            }
        }
        self.shared.resumes = true;
        Ok(())
    }

    fn run(
        mut self,
        plan: &Plan,
        probe: &mut dyn FnMut(Moment) -> io::Result<()>,
    ) -> io::Result<Outcome> {
        self.more = true;
        for place in 0..self.places.len() {
            self.begin(place);
        }
        let warm = Instant::now();
        while warm.elapsed() < plan.warm_up {
            self.turn()?;
        }
        self.latency.reset();
        let (ended, bytes) = (self.ended, self.shared.bytes);
        probe(Moment::Begin)?;
        let begin = Instant::now();
        let mut reported = begin;
        let elapsed = loop {
            self.turn()?;
            let now = Instant::now();
            let over = match plan.length {
                Length::Time(length) => now - begin >= length,
                Length::Count(count) => self.ended - ended >= count,
            };
            if over {
                break now - begin;
            }
            if now - reported >= Duration::from_secs(1) {
                reported = now;
                probe(Moment::Progress(self.ended - ended))?;
            }
        };
        probe(Moment::End)?;
        let (messages, bytes) = (self.ended - ended, self.shared.bytes - bytes);
        let latency = self.latency.clone();
        // Handshakes in flight must still end correctly.
        self.more = false;
        while self.in_flight > 0 {
            self.turn()?;
        }
        match self.first_error {
            None => Ok(Outcome { messages, bytes, elapsed, latency, behind: 0, broadcast: None }),
            Some(e) => Err(failed(self.errors, &e)),
        }
    }

    /// Waits for events and handles them.
    fn turn(&mut self) -> io::Result<()> {
        let mut events = std::mem::take(&mut self.events);
        events.clear();
        match epoll::wait(&self.shared.epoll, spare_capacity(&mut events), Some(&self.nap)) {
            Err(rustix::io::Errno::INTR) => {}
            done => _ = done?,
        }
        for event in &events {
            let place = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
            let step = self.places[place].ready(&mut self.shared, event.flags, place);
            self.stepped(place, step);
        }
        let (now, any) = (Instant::now(), !events.is_empty());
        self.events = events;
        if any {
            self.moved = now;
        } else if now - self.moved > self.patience {
            let (n, secs) = (self.in_flight, self.patience.as_secs_f32());
            let text = format!("{n} handshakes are under way, and nothing came for {secs} s");
            return Err(io::Error::other(text));
        }
        match &self.first_error {
            Some(e) if self.errors >= ENOUGH => Err(failed(self.errors, e)),
            _ => Ok(()),
        }
    }

    /// Starts the next connection in a free place; after too many errors none.
    fn begin(&mut self, place: usize) {
        while self.errors < ENOUGH {
            let source = connect::spread(self.shared.address, self.begun % SOURCES);
            let check = self.verify || self.begun < CHECKED;
            self.begun += 1;
            match self.places[place].begin(&self.shared, source, check, place) {
                Ok(()) => {
                    self.in_flight += 1;
                    return;
                }
                Err(e) => self.note(e),
            }
        }
    }

    /// Handles an event.
    fn stepped(&mut self, place: usize, step: io::Result<Step>) {
        match step {
            Ok(Step::Waits) => return,
            Ok(Step::Upgraded(took)) => {
                let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
                if let Err(e) = self.latency.record(ns) {
                    self.note(io::Error::other(e));
                }
                return;
            }
            Ok(Step::Ended) => self.ended += 1,
            Err(e) => self.note(e),
        }
        self.places[place].end();
        self.in_flight -= 1;
        if self.more {
            self.begin(place);
        }
    }

    fn note(&mut self, error: io::Error) {
        self.errors += 1;
        self.first_error.get_or_insert(error);
    }
}

fn failed(errors: u64, first: &io::Error) -> io::Error {
    io::Error::other(format!("{errors} connections failed; the first: {first}"))
}

#[cfg(test)]
mod tests;
