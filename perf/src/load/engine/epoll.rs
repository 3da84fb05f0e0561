//! Nonblocking sockets and epoll.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};

use super::{Engine, Traffic, Wait};

/// The limit of events in one turn.
const EVENTS: usize = 256;

/// The size of one read.
const READ: usize = 256 << 10;

/// The engine.
pub(in crate::load) struct Epoll<'a> {
    epoll: OwnedFd,
    streams: &'a [TcpStream],
    /// Connections that wait for room in their socket.
    blocked: Vec<bool>,
    /// Connections for which one write was not enough, and a flag for each connection in that list.
    more: Vec<usize>,
    queued: Vec<bool>,
    events: Vec<Event>,
    buffer: Vec<u8>,
}

impl<'a> Epoll<'a> {
    /// Takes ownership of the streams; they become nonblocking.
    pub(in crate::load) fn new(streams: &'a [TcpStream]) -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (slot, stream) in streams.iter().enumerate() {
            stream.set_nonblocking(true)?;
            epoll::add(&epoll, stream, EventData::new_u64(slot as u64), EventFlags::IN)?;
        }
        Ok(Self {
            epoll,
            streams,
            blocked: vec![false; streams.len()],
            more: Vec::new(),
            queued: vec![false; streams.len()],
            events: Vec::with_capacity(EVENTS),
            buffer: vec![0; READ],
        })
    }

    fn flush(&mut self, traffic: &mut impl Traffic) -> io::Result<()> {
        for slot in std::mem::take(&mut self.more) {
            self.queued[slot] = false;
            self.write(traffic, slot)?;
        }
        while let Some(slot) = traffic.next_ready() {
            self.write(traffic, slot)?;
        }
        Ok(())
    }

    /// One write, so that no connection delays the others.
    fn write(&mut self, traffic: &mut impl Traffic, slot: usize) -> io::Result<()> {
        let bytes = traffic.pending(slot);
        if self.blocked[slot] || bytes.is_empty() {
            return Ok(());
        }
        match (&self.streams[slot]).write(bytes) {
            Ok(n) => {
                traffic.sent(slot, n);
                if !traffic.pending(slot).is_empty() {
                    self.again(slot);
                }
                Ok(())
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => {
                self.blocked[slot] = true;
                self.watch(slot, EventFlags::IN | EventFlags::OUT)
            }
            Err(e) if e.kind() == ErrorKind::Interrupted => {
                self.again(slot);
                Ok(())
            }
            // Input that the server sent before its end may still be readable.
            Err(e) if gone(&e) => Ok(()),
            Err(e) => Err(traffic.ended(slot, Some(e))),
        }
    }

    /// The next turn writes more.
    fn again(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.queued[slot], true) {
            self.more.push(slot);
        }
    }

    fn watch(&self, slot: usize, flags: EventFlags) -> io::Result<()> {
        let data = EventData::new_u64(slot as u64);
        Ok(epoll::modify(&self.epoll, &self.streams[slot], data, flags)?)
    }

    fn wait(&mut self, wait: Wait) -> io::Result<()> {
        let limit = match wait {
            Wait::Sleep(limit) if self.more.is_empty() => limit,
            _ => Duration::ZERO,
        };
        let limit = Timespec::try_from(limit).map_err(io::Error::other)?;
        self.events.clear();
        let events = rustix::buffer::spare_capacity(&mut self.events);
        match epoll::wait(&self.epoll, events, Some(&limit)) {
            Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
            Err(e) => Err(e.into()),
        }
    }

    fn read(&mut self, traffic: &mut impl Traffic, slot: usize) -> io::Result<()> {
        match (&self.streams[slot]).read(&mut self.buffer) {
            Ok(0) => Err(traffic.ended(slot, None)),
            Ok(n) => traffic.received(slot, &self.buffer[..n]),
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(()),
            Err(e) => Err(traffic.ended(slot, Some(e))),
        }
    }
}

/// Whether the error means that the other side has disconnected.
fn gone(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset)
}

impl Engine for Epoll<'_> {
    fn turn<T: Traffic>(&mut self, traffic: &mut T, wait: Wait) -> io::Result<()> {
        self.flush(traffic)?;
        self.wait(wait)?;
        traffic.woke();
        for at in 0..self.events.len() {
            let Event { flags, data } = self.events[at];
            let slot = usize::try_from(data.u64()).map_err(io::Error::other)?;
            if flags.contains(EventFlags::OUT) && self.blocked[slot] {
                self.blocked[slot] = false;
                self.watch(slot, EventFlags::IN)?;
                self.again(slot);
            }
            if flags.intersects(EventFlags::IN | EventFlags::ERR | EventFlags::HUP) {
                self.read(traffic, slot)?;
            }
        }
        Ok(())
    }
}
