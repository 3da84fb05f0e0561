//! The subscribers of a fan-out, and waiting for a burst on all of them in one thread.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use crate::load::tls::Connection;

/// The number of subscribers that are tried at first, if the next one has no input.
const WINDOW: usize = 8;

/// The expected input.
pub(super) struct Burst<'a> {
    pub(super) publisher: &'a TcpStream,
    /// The bytes that the publisher sends.
    pub(super) wire: &'a [u8],
    /// The number of bytes of `wire` that are written.
    pub(super) sent: usize,
    /// The bytes that each subscriber receives for it.
    pub(super) expected: &'a [u8],
    /// The first subscriber that has not received it.
    pub(super) first: usize,
    /// Whether every byte is compared.
    pub(super) check: bool,
    /// The time without progress after which it fails.
    pub(super) patience: Duration,
}

pub(super) struct Group {
    connections: Vec<Connection>,
    /// The number of bytes of the burst that each has received.
    got: Vec<usize>,
    /// The order in which subscribers completed the previous burst, which servers usually keep.
    order: Vec<usize>,
    /// Those that have completed this burst.
    ended: Vec<usize>,
    /// The first position in `order` that is not done, and the number of positions after it that
    /// are tried.
    front: usize,
    width: usize,
    /// The poller on which it sleeps, unless it never sleeps.
    epoll: Option<OwnedFd>,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl Group {
    /// Takes nonblocking streams.
    pub(super) fn new(
        connections: Vec<Connection>,
        publisher: &TcpStream,
        busy: bool,
    ) -> io::Result<Self> {
        let mut sleeper = None;
        if !busy {
            let epoll = epoll::create(CreateFlags::CLOEXEC)?;
            for (index, connection) in connections.iter().enumerate() {
                let data = EventData::new_u64(index as u64);
                epoll::add(&epoll, &connection.stream, data, EventFlags::IN)?;
            }
            let flags = EventFlags::IN | EventFlags::OUT | EventFlags::ET;
            epoll::add(&epoll, publisher, EventData::new_u64(connections.len() as u64), flags)?;
            sleeper = Some(epoll);
        }
        Ok(Self {
            got: vec![0; connections.len()],
            order: (0..connections.len()).collect(),
            ended: Vec::with_capacity(connections.len()),
            connections,
            front: 0,
            width: WINDOW,
            epoll: sleeper,
            events: Vec::with_capacity(1024),
            buffer: vec![0; 1 << 18],
        })
    }

    /// Drops input until none has arrived for this time.
    pub(super) fn settle(&mut self, silence: Duration) -> io::Result<()> {
        let mut last = Instant::now();
        while last.elapsed() < silence {
            for connection in &mut self.connections {
                while read(connection, &mut self.buffer)? > 0 {
                    last = Instant::now();
                }
            }
            std::thread::sleep(silence / 20);
        }
        Ok(())
    }

    /// The input of the first subscriber, possibly none.
    pub(super) fn first(&mut self) -> io::Result<&[u8]> {
        let n = read(&mut self.connections[0], &mut self.buffer)?;
        Ok(&self.buffer[..n])
    }

    /// An error if any subscriber has further input.
    pub(super) fn silent(&mut self) -> io::Result<()> {
        for connection in &mut self.connections {
            if read(connection, &mut self.buffer)? > 0 {
                return Err(more());
            }
        }
        Ok(())
    }

    /// Writes the burst and waits until all have received it.
    pub(super) fn exchange(&mut self, burst: &Burst<'_>) -> io::Result<()> {
        let Burst { first, expected, mut sent, .. } = *burst;
        self.got[..first].fill(expected.len());
        self.got[first..].fill(0);
        self.ended.clear();
        self.ended.extend(0..first);
        (self.front, self.width) = (0, WINDOW);
        let mut quiet_since = None;
        while self.ended.len() < self.connections.len() {
            let written = write(burst.publisher, &burst.wire[sent..])?;
            sent += written;
            let moved = if self.epoll.is_some() { self.sleep(burst)? } else { self.scan(burst)? };
            if moved || written > 0 {
                quiet_since = None;
                continue;
            }
            let since = *quiet_since.get_or_insert_with(Instant::now);
            if since.elapsed() > burst.patience {
                let (n, all) = (self.connections.len() - self.ended.len(), self.connections.len());
                return Err(io::Error::other(format!(
                    "{n} of {all} subscribers did not get a whole burst within {} s",
                    burst.patience.as_secs_f32()
                )));
            }
        }
        std::mem::swap(&mut self.order, &mut self.ended);
        // Input of the publisher is not needed, but must be read.
        while read(&mut &*burst.publisher, &mut self.buffer)? > 0 {}
        Ok(())
    }

    /// Tries the subscribers that are probably next; more of them while they have no input.
    fn scan(&mut self, burst: &Burst<'_>) -> io::Result<bool> {
        let before = self.front;
        let done = burst.expected.len();
        while self.order.get(self.front).is_some_and(|&index| self.got[index] == done) {
            self.front += 1;
        }
        self.width = self.width.saturating_sub(self.front - before).max(WINDOW);
        let end = (self.front + self.width).min(self.order.len());
        let mut moved = false;
        for at in self.front..end {
            let index = self.order[at];
            if self.got[index] < done {
                moved |= self.take(index, burst)?;
            }
        }
        if !moved {
            self.width = (self.width * 2).min(self.order.len());
        }
        Ok(moved)
    }

    /// Waits for input, and reads it.
    fn sleep(&mut self, burst: &Burst<'_>) -> io::Result<bool> {
        let Some(epoll) = &self.epoll else { return Ok(false) };
        let timeout = Timespec::try_from(burst.patience).map_err(io::Error::other)?;
        self.events.clear();
        match epoll::wait(epoll, spare_capacity(&mut self.events), Some(&timeout)) {
            Err(rustix::io::Errno::INTR) => {}
            done => _ = done?,
        }
        let events = std::mem::take(&mut self.events);
        for event in &events {
            let index = usize::try_from(event.data.u64()).unwrap_or(usize::MAX);
            if index < self.connections.len() {
                self.take(index, burst)?;
            }
        }
        self.events = events;
        Ok(!self.events.is_empty())
    }

    /// Reads the input of one subscriber, possibly none.
    fn take(&mut self, index: usize, burst: &Burst<'_>) -> io::Result<bool> {
        let want = &burst.expected[self.got[index]..];
        let connection = &mut self.connections[index];
        // Room for one byte too many, so that it is noticed. TLS needs room for its records.
        let room = match connection.records {
            Some(_) => self.buffer.len(),
            None => self.buffer.len().min(want.len() + 1),
        };
        let n = read(connection, &mut self.buffer[..room])?;
        if n > want.len() {
            return Err(more());
        }
        if burst.check && self.buffer[..n] != want[..n] {
            let text = "what a subscriber got differs from the first delivery: either it is wrong, \
                        or the server sent something else, such as a ping";
            return Err(io::Error::other(text));
        }
        self.got[index] += n;
        if n > 0 && n == want.len() {
            self.ended.push(index);
        }
        Ok(n > 0)
    }
}

fn more() -> io::Error {
    io::Error::other("more was delivered than was published")
}

/// Reads the available input, possibly none; the end of the stream is an error.
fn read(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    match stream.read(buffer) {
        Ok(0) => Err(io::Error::other("the server closed a connection")),
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Err(e) => Err(io::Error::other(format!("a connection broke: {e}"))),
        done => done,
    }
}

/// Writes as much as there is room for, possibly nothing.
pub(super) fn write(mut stream: &TcpStream, bytes: &[u8]) -> io::Result<usize> {
    if bytes.is_empty() {
        return Ok(0);
    }
    match stream.write(bytes) {
        Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(0),
        Err(e) => Err(io::Error::other(format!("publishing: {e}"))),
        done => done,
    }
}
