//! Many connections in one process: opened quickly, kept alive, and watched for a broadcast.

use std::collections::VecDeque;
use std::io::{self, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, Event, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;

use crate::frames::{self, CLOSE, Head, Offer, PING, PONG};
use crate::load::connect::{self, TIMEOUT};
use crate::load::open::{self, Opener};
use crate::load::tls::{Client, Connection, Tls};
use crate::wire::pattern;

/// The number of handshakes in flight.
const UNDER_WAY: usize = 64;

/// The interval at which held connections are checked for pings.
const ROUND: Duration = Duration::from_secs(2);

/// Payload bytes of the broadcast.
const BROADCAST: usize = 64;

/// A held connection.
struct Held {
    connection: Connection,
    /// An incomplete frame.
    carry: Vec<u8>,
}

/// All connections of this process.
pub(super) struct Hold {
    held: Vec<Held>,
    buffer: Vec<u8>,
}

/// A handshake in flight.
struct Asked {
    stream: TcpStream,
    handshake: Option<Client>,
    key: String,
    came: Vec<u8>,
}

impl Hold {
    /// Opens `count` connections, of which the first is number `first` of the whole load. The error
    /// contains the number of open connections.
    pub(super) fn open(
        address: SocketAddr,
        tls: Option<Tls>,
        path: &str,
        count: usize,
        first: usize,
    ) -> io::Result<Self> {
        let mut hold = Self { held: Vec::with_capacity(count), buffer: vec![0; 1 << 16] };
        let opener = Opener::new(address, tls)?;
        let mut asked = VecDeque::with_capacity(UNDER_WAY);
        let failed = |open: usize, e: io::Error| {
            io::Error::new(e.kind(), format!("only {open} of {count} connections are open: {e}"))
        };
        for n in 0..count {
            if asked.len() == UNDER_WAY {
                hold.finish(&mut asked, path).map_err(|e| failed(hold.held.len(), e))?;
            }
            let next = ask(&opener, address, path, first + n);
            let next = next.map_err(|e| failed(hold.held.len(), e))?;
            asked.push_back(next);
        }
        while !asked.is_empty() {
            hold.finish(&mut asked, path).map_err(|e| failed(hold.held.len(), e))?;
        }
        Ok(hold)
    }

    /// Waits for the response to the oldest handshake.
    fn finish(&mut self, asked: &mut VecDeque<Asked>, path: &str) -> io::Result<()> {
        let Some(mut one) = asked.pop_front() else { return Ok(()) };
        if let Some(client) = one.handshake {
            let buffer = &mut self.buffer;
            let opened = open::finish(client, one.stream, &mut one.came, buffer)?;
            connect::check_answer(&one.came, path, &one.key, false)?;
            opened.stream.set_nonblocking(true)?;
            let carry = opened.rest.clone();
            self.held.push(Held { connection: opened.connection(), carry });
            return Ok(());
        }
        let end = loop {
            if let Some(end) = frames::head_end(&one.came) {
                break end;
            }
            match one.stream.read(&mut self.buffer) {
                Ok(0) => break one.came.len(),
                Ok(n) => one.came.extend_from_slice(&self.buffer[..n]),
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) if e.kind() == ErrorKind::WouldBlock => {
                    let text = format!("no answer to a handshake within {TIMEOUT:?}");
                    return Err(io::Error::other(text));
                }
                Err(e) => return Err(io::Error::new(e.kind(), format!("no answer: {e}"))),
            }
        };
        connect::check_answer(&one.came[..end], path, &one.key, false)?;
        one.stream.set_nonblocking(true)?;
        let connection = Connection { stream: one.stream, records: None };
        self.held.push(Held { connection, carry: one.came.split_off(end) });
        Ok(())
    }

    /// Holds all connections for the given time, and answers pings.
    pub(super) fn keep(&mut self, time: Duration) -> io::Result<()> {
        let begin = Instant::now();
        while begin.elapsed() < time {
            std::thread::sleep(ROUND.min(time.saturating_sub(begin.elapsed())));
            self.drain()?;
        }
        Ok(())
    }

    /// As `keep`, until `input` is readable.
    pub(super) fn keep_until(&mut self, input: &impl std::os::fd::AsFd) -> io::Result<()> {
        let round = Timespec::try_from(ROUND).map_err(io::Error::other)?;
        loop {
            match poll(&mut [PollFd::new(input, PollFlags::IN)], Some(&round)) {
                Ok(0) => self.drain()?,
                Ok(_) => return Ok(()),
                Err(rustix::io::Errno::INTR) => {}
                Err(e) => return Err(e.into()),
            }
        }
    }

    /// Reads all input that has arrived, and answers pings.
    fn drain(&mut self) -> io::Result<()> {
        for held in &mut self.held {
            held.take(&mut self.buffer, &mut |_| Ok(()))?;
        }
        Ok(())
    }

    /// Reads all input that has arrived, and prepares for one more message on each connection.
    pub(super) fn watch(&mut self) -> io::Result<Watch<'_>> {
        self.drain()?;
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        for (index, held) in self.held.iter().enumerate() {
            epoll::add(
                &epoll,
                &held.connection.stream,
                EventData::new_u64(index as u64),
                EventFlags::IN,
            )?;
        }
        Ok(Watch { hold: self, epoll })
    }
}

/// Connections that wait for a broadcast.
pub(super) struct Watch<'a> {
    hold: &'a mut Hold,
    /// Created as late as this, so that it is not counted as the kernel's cost of a connection.
    epoll: OwnedFd,
}

impl Watch<'_> {
    /// Waits until every connection has received the broadcast, and returns the time of
    /// `CLOCK_MONOTONIC` in nanoseconds.
    pub(super) fn wait(self, busy: bool, patience: Duration) -> io::Result<u64> {
        let Hold { held, buffer } = self.hold;
        let timeout = if busy { Duration::ZERO } else { patience };
        let timeout = Timespec::try_from(timeout).map_err(io::Error::other)?;
        let mut events: Vec<Event> = Vec::with_capacity(1024);
        let mut got = vec![false; held.len()];
        let mut left = held.len();
        let mut moved = Instant::now();
        while left > 0 {
            events.clear();
            match epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&timeout)) {
                Err(rustix::io::Errno::INTR) => {}
                done => _ = done?,
            }
            for event in &events {
                let index = usize::try_from(event.data.u64()).map_err(io::Error::other)?;
                held[index].take(buffer, &mut |frame| {
                    if frames::message(frame)?.0 != pattern(BROADCAST) {
                        return Err(io::Error::other("a broadcast came with wrong bytes"));
                    }
                    if std::mem::replace(&mut got[index], true) {
                        return Err(io::Error::other("a broadcast came twice"));
                    }
                    left -= 1;
                    Ok(())
                })?;
            }
            if !events.is_empty() {
                moved = Instant::now();
            } else if moved.elapsed() >= patience {
                let text = format!("{left} of {} connections did not get the broadcast", got.len());
                return Err(io::Error::other(text));
            }
        }
        Ok(monotonic_ns())
    }
}

impl Held {
    /// Reads the input; `message` is called with each complete data frame.
    fn take(
        &mut self,
        buffer: &mut [u8],
        message: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        loop {
            match self.connection.read(buffer) {
                Ok(0) => return Err(io::Error::other("the server closed a connection")),
                Ok(n) => self.carry.extend_from_slice(&buffer[..n]),
                Err(e) if e.kind() == ErrorKind::WouldBlock => break,
                Err(e) if e.kind() == ErrorKind::Interrupted => {}
                Err(e) => return Err(io::Error::other(format!("a connection broke: {e}"))),
            }
        }
        let mut done = 0;
        while let Some(head) = Head::parse(&self.carry[done..]) {
            let bytes = &self.carry[done..];
            if head.payload.end > bytes.len() {
                break;
            }
            match head.opcode() {
                CLOSE => return Err(io::Error::other("the server closed a connection")),
                PING => {
                    let pong = frames::masked(PONG, &bytes[head.payload.clone()]);
                    self.connection.send(&pong)?;
                }
                PONG => {}
                _ => message(&bytes[..head.payload.end])?,
            }
            done += head.payload.end;
        }
        if done == self.carry.len() {
            // Releases the memory, because there are many connections.
            self.carry = Vec::new();
            self.connection.shrink();
        } else {
            self.carry.drain(..done);
        }
        Ok(())
    }
}

/// Sends the request of connection `n` of the whole load.
fn ask(opener: &Opener, address: SocketAddr, path: &str, n: usize) -> io::Result<Asked> {
    let mut stream = connect::dial(address, connect::source(address, n), false)
        .map_err(|e| io::Error::new(e.kind(), format!("connecting to {address}: {e}")))?;
    sockopt::set_socket_linger(&stream, Some(Duration::ZERO))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let key = connect::random_key();
    let request = frames::request(path, address, &key, Offer::Nothing);
    let mut handshake = opener.handshake()?;
    match &mut handshake {
        Some(client) => {
            client.send(request.as_bytes())?;
            client.flush(&stream)?;
        }
        None => stream.write_all(request.as_bytes())?,
    }
    Ok(Asked { stream, handshake, key, came: Vec::new() })
}

/// Publishes the broadcast over `connection`, and returns the time.
pub(super) fn publish(connection: &mut Connection) -> io::Result<u64> {
    let frame = frames::masked(frames::BINARY, &pattern(BROADCAST));
    let now = monotonic_ns();
    connection.send(&frame)?;
    Ok(now)
}

/// `CLOCK_MONOTONIC`, which all processes share.
fn monotonic_ns() -> u64 {
    let mut ts = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `ts` is a live timespec that the kernel fills in.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut ts) };
    let secs = u64::try_from(ts.tv_sec).unwrap_or(0);
    secs * 1_000_000_000 + u64::try_from(ts.tv_nsec).unwrap_or(0)
}
