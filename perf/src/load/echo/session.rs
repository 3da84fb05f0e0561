//! All connections of an echo: their messages in flight, and the counts.

use std::collections::VecDeque;
use std::io;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use super::output::{Output, Requests};
use super::replies::{Expected, Replies};
use crate::load::Pace;
use crate::load::engine::Traffic;

/// The limit of messages in flight on one connection in an open loop.
const MOST: u64 = 65_536;

/// Open loop: the limit of messages that one turn sends, so that replies are read in between.
const AT_ONCE: u64 = 4096;

/// The time without a reply after which the run fails.
const TIMEOUT: Duration = Duration::from_secs(10);

/// The highest recorded latency: a minute.
const LONGEST: u64 = 60_000_000_000;

/// The state of one connection.
pub(in crate::load) struct Common {
    pub(super) requests: Requests,
    pub(super) expected: Expected,
}

impl Common {
    /// The bytes of the first message's frame.
    pub(super) fn message(&self) -> usize {
        self.requests.first()
    }
}

struct Client {
    replies: Replies,
    output: Output,
    /// Closed loop: the send times of the messages in flight, with the number of messages of each.
    times: VecDeque<(u64, u32)>,
    /// The number of messages passed to the output so far.
    issued: u64,
    /// Open loop: the number of messages that were due so far.
    due: u64,
    /// It is in the list of connections that are ready to send.
    ready: bool,
}

impl Client {
    fn in_flight(&self) -> u64 {
        self.issued - self.replies.done
    }
}

/// The load on one server. Times are nanoseconds since its beginning.
pub(in crate::load) struct Session<'a> {
    common: &'a Common,
    clients: Vec<Client>,
    ready: Vec<usize>,
    pace: Pace,
    base: Instant,
    now: u64,
    /// The time of the last reply, or of the first send after a pause.
    moved: u64,
    in_flight: u64,
    /// Open loop: the start time, and the number of messages that were due since.
    begun: u64,
    due: u64,
    /// More messages were due than one turn sends.
    late: bool,
    recording: bool,
    /// The time at which counting began.
    counted: u64,
    pub(super) messages: u64,
    pub(super) bytes: u64,
    pub(super) latency: Histogram<u64>,
}

impl<'a> Session<'a> {
    pub(super) fn new(common: &'a Common, replies: Vec<Replies>, pace: Pace) -> io::Result<Self> {
        let client = |replies| Client {
            replies,
            output: Output::default(),
            times: VecDeque::new(),
            issued: 0,
            due: 0,
            ready: false,
        };
        Ok(Self {
            common,
            clients: replies.into_iter().map(client).collect(),
            ready: Vec::new(),
            pace,
            base: Instant::now(),
            now: 0,
            moved: 0,
            in_flight: 0,
            begun: 0,
            due: 0,
            late: false,
            recording: false,
            counted: 0,
            messages: 0,
            bytes: 0,
            latency: Histogram::new_with_bounds(1, LONGEST, 3).map_err(io::Error::other)?,
        })
    }

    /// Sends the first messages.
    pub(super) fn start(&mut self) {
        self.woke();
        (self.begun, self.moved) = (self.now, self.now);
        if let Pace::Depth(depth) = self.pace {
            for slot in 0..self.clients.len() {
                self.issue(slot, depth);
            }
        }
    }

    /// Starts counting.
    pub(super) fn begin(&mut self) {
        self.woke();
        (self.recording, self.counted) = (true, self.now);
    }

    /// The time of the last turn.
    pub(super) fn now(&self) -> Duration {
        Duration::from_nanos(self.now)
    }

    /// The time at which message `number` of all connections is due.
    fn due_at(&self, rate: f64, number: u64) -> u64 {
        // Exact to the nanosecond for months; conversions to integers saturate.
        self.begun + (number as f64 * 1e9 / rate) as u64
    }

    /// Open loop: sends the messages that are due, and returns the time of the next.
    pub(super) fn issue_due(&mut self) -> Option<Duration> {
        let Pace::Rate(rate) = self.pace else { return None };
        let most = self.due + AT_ONCE;
        loop {
            let next = self.due_at(rate, self.due);
            self.late = next <= self.now;
            if !self.late || self.due == most {
                return Some(Duration::from_nanos(next));
            }
            let slot = usize::try_from(self.due % self.clients.len() as u64).unwrap_or(0);
            self.due += 1;
            let client = &mut self.clients[slot];
            client.due += 1;
            if client.in_flight() < MOST {
                self.issue(slot, 1);
            }
        }
    }

    fn issue(&mut self, slot: usize, count: usize) {
        if count == 0 {
            return;
        }
        if self.in_flight == 0 {
            self.moved = self.now;
        }
        self.in_flight += count as u64;
        let client = &mut self.clients[slot];
        client.issued += count as u64;
        client.output.request(&self.common.requests, count);
        if let Pace::Depth(_) = self.pace {
            client.times.push_back((self.now, u32::try_from(count).unwrap_or(u32::MAX)));
        }
        self.list(slot);
    }

    fn list(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.clients[slot].ready, true) {
            self.ready.push(slot);
        }
    }

    /// Replies have arrived, and as many messages may be sent.
    fn complete(&mut self, slot: usize, count: usize) -> io::Result<()> {
        let client = &self.clients[slot];
        if client.replies.done > client.issued {
            let surplus = client.replies.done - client.issued;
            return Err(self.wrong(slot, &format!("is one of {surplus} that answer nothing")));
        }
        self.moved = self.now;
        self.in_flight -= count as u64;
        if self.recording {
            self.messages += count as u64;
        }
        match self.pace {
            Pace::Depth(_) => {
                self.record_sent(slot, count);
                self.issue(slot, count);
            }
            Pace::Rate(rate) => {
                self.record_due(slot, count, rate);
                let client = &self.clients[slot];
                let room = (MOST - client.in_flight()).min(client.due - client.issued);
                self.issue(slot, usize::try_from(room).unwrap_or(usize::MAX));
            }
        }
        Ok(())
    }

    /// Latencies from the send times.
    fn record_sent(&mut self, slot: usize, count: usize) {
        let times = &mut self.clients[slot].times;
        let mut left = u32::try_from(count).unwrap_or(u32::MAX);
        while left > 0 {
            let Some((sent, number)) = times.front_mut() else { return };
            let of_them = left.min(*number);
            if self.recording {
                self.latency.saturating_record_n(self.now - *sent, u64::from(of_them));
            }
            left -= of_them;
            *number -= of_them;
            if *number == 0 {
                times.pop_front();
            }
        }
    }

    /// Latencies from the times at which the messages were due, computed from their numbers.
    fn record_due(&mut self, slot: usize, count: usize, rate: f64) {
        if !self.recording {
            return;
        }
        let done = self.clients[slot].replies.done;
        for own in done - count as u64..done {
            let number = own * self.clients.len() as u64 + slot as u64;
            let due = self.due_at(rate, number);
            // The load pauses while meters are read, which must not count as latency of the server.
            if due < self.counted {
                continue;
            }
            self.latency.saturating_record(self.now.saturating_sub(due));
        }
    }

    /// Open loop: the number of messages that are due and not sent.
    pub(super) fn behind(&self) -> u64 {
        let Pace::Rate(rate) = self.pace else { return 0 };
        let due = if self.late {
            ((self.now - self.begun) as f64 * rate / 1e9) as u64 + 1
        } else {
            self.due
        };
        let sent = |c: &Client| c.issued - c.output.waiting(&self.common.requests) as u64;
        due.saturating_sub(self.clients.iter().map(sent).sum())
    }

    /// An error if no reply has come for too long.
    pub(super) fn check_patience(&self) -> io::Result<()> {
        if self.in_flight == 0 || self.now - self.moved < TIMEOUT.as_nanos() as u64 {
            return Ok(());
        }
        let waiting = self.clients.iter().filter(|c| c.in_flight() > 0).count();
        Err(io::Error::other(format!(
            "nothing came back for {} s: {waiting} of {} connections wait for {} replies; look at \
             the server's log, and whether it echoes at this path",
            TIMEOUT.as_secs(),
            self.clients.len(),
            self.in_flight,
        )))
    }

    fn wrong(&self, slot: usize, what: &str) -> io::Error {
        let number = self.clients[slot].replies.done;
        io::Error::other(format!("connection {slot}: what came after {number} replies {what}"))
    }
}

impl Traffic for Session<'_> {
    fn woke(&mut self) {
        self.now = u64::try_from(self.base.elapsed().as_nanos()).unwrap_or(u64::MAX);
    }

    fn received(&mut self, slot: usize, bytes: &[u8]) -> io::Result<()> {
        if self.recording {
            self.bytes += bytes.len() as u64;
        }
        let Client { replies, output, .. } = &mut self.clients[slot];
        let mut pinged = false;
        let taken = replies.take(&self.common.expected, bytes, &mut |payload| {
            output.pong(payload);
            pinged = true;
        });
        let count = taken.map_err(|what| self.wrong(slot, &what))?;
        if pinged {
            self.list(slot);
        }
        if count > 0 { self.complete(slot, count) } else { Ok(()) }
    }

    fn ended(&self, slot: usize, cause: Option<io::Error>) -> io::Error {
        match cause {
            Some(e) => self.wrong(slot, &format!("is an error: {e}")),
            None => self.wrong(slot, "is the end: the server closed without a close frame"),
        }
    }

    fn next_ready(&mut self) -> Option<usize> {
        let slot = self.ready.pop()?;
        self.clients[slot].ready = false;
        Some(slot)
    }

    fn pending(&self, slot: usize) -> &[u8] {
        self.clients[slot].output.pending(&self.common.requests)
    }

    fn sent(&mut self, slot: usize, bytes: usize) {
        self.clients[slot].output.sent(&self.common.requests, bytes);
    }

    fn unsent(&mut self, slot: usize, bytes: usize) {
        self.clients[slot].output.unsent(&self.common.requests, bytes);
    }
}

/// What the engines carry: the messages, or their records.
pub(super) trait Layer<'a>: Traffic {
    fn session(&mut self) -> &mut Session<'a>;
}

impl<'a> Layer<'a> for Session<'a> {
    fn session(&mut self) -> &mut Self {
        self
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
