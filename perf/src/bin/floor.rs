//! The lower bound: a raw ring that relays frames and does nothing else. All input of one turn is
//! one run of bytes, sent to each subscriber with one send that completes only if it fails.
//!
//! `floor serve --listen ADDR --cores N`; it prints its address as corecast does.

#![allow(unsafe_code)]

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use corecast::protocol::websocket::handshake::accept_key;
use io_uring::{
    CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue, types,
};
use rustix::process::{Resource, getrlimit};

use corecast_perf::frames::{self, CLOSE, Head};
use corecast_perf::pool::{Pool, Shape};
use corecast_perf::sys::{self, len32};

/// Sends for each call into the kernel; also the size of the submission queue.
const CHUNK: u32 = 128;

/// A burst of 64 small frames fits one buffer.
const POOL: Shape = Shape { count: 128, size: 16_448, incremental: false };

const ACCEPT: u64 = 1 << 32;
const RECEIVE: u64 = 2 << 32;
const SEND: u64 = 3 << 32;
const TAIL: u64 = 4 << 32;
const REST: u64 = 5 << 32;
const KINDS: u64 = !0 << 32;

/// The state of a connection.
#[derive(Default)]
struct Conn {
    open: bool,
    /// Bytes of an incomplete head or frame.
    carry: Vec<u8>,
}

/// A completion, copied out of the ring.
struct Event {
    tag: u64,
    result: i32,
    flags: u32,
}

struct Floor<'a> {
    submitter: Submitter<'a>,
    sq: SubmissionQueue<'a>,
    cq: CompletionQueue<'a>,
    /// The flags of every call.
    wait: EnterFlags,
    pool: &'a mut Pool,
    listener: &'a TcpListener,
    /// By the number of the direct descriptor.
    conns: Vec<Conn>,
    subscribers: Vec<u32>,
    /// Frames to be sent, already in the server's form.
    fresh: Vec<u8>,
    /// Frames that the kernel reads: not changed until all sends of them are over.
    shared: &'a mut Vec<u8>,
    /// Short sends of `shared` that wait for room.
    tails: usize,
    /// Responses to handshakes; the kernel reads them in the next call.
    answers: &'a mut Vec<Vec<u8>>,
    events: Vec<Event>,
}

fn build(no_sqarray: bool) -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_cqsize(4096)
        .setup_clamp()
        .dontfork();
    if no_sqarray {
        builder.setup_no_sqarray();
    }
    builder.build(CHUNK)
}

/// Serves until it is killed.
fn main() -> io::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let ["serve", "--listen", address, "--cores", core] =
        arguments.iter().map(String::as_str).collect::<Vec<_>>()[..]
    else {
        return Err(io::Error::other("usage: floor serve --listen ADDR:PORT --cores N"));
    };
    sys::pin(core.parse().map_err(io::Error::other)?)?;
    let listener = TcpListener::bind(address)?;
    // Accepted sockets inherit this option.
    rustix::net::sockopt::set_tcp_nodelay(&listener, true)?;
    let mut pool = Pool::new(POOL)?;
    let (mut shared, mut answers) = (Vec::with_capacity(1 << 20), Vec::new());
    // As in corecast, flags that older kernels lack are optional: the first is from 6.6, the other
    // from 6.15.
    let mut ring = build(true).or_else(|_| build(false))?;
    let wait = if ring.params().is_feature_no_iowait() {
        EnterFlags::NO_IOWAIT
    } else {
        EnterFlags::empty()
    };
    let slots = getrlimit(Resource::Nofile).current.unwrap_or(1 << 16).min(1 << 16);
    let slots = u32::try_from(slots).map_err(io::Error::other)?;
    let (mut submitter, sq, cq) = ring.split();
    submitter.register_ring_fd()?;
    submitter.register_files_sparse(slots)?;
    pool.register(&submitter)?;
    let mut floor = Floor {
        submitter,
        sq,
        cq,
        wait,
        pool: &mut pool,
        listener: &listener,
        conns: (0..slots).map(|_| Conn::default()).collect(),
        subscribers: Vec::new(),
        fresh: Vec::with_capacity(1 << 20),
        shared: &mut shared,
        tails: 0,
        answers: &mut answers,
        events: Vec::with_capacity(4096),
    };
    eprintln!("listening on {}", listener.local_addr()?);
    floor.accept()?;
    loop {
        floor.turn()?;
    }
}

impl Floor<'_> {
    fn turn(&mut self) -> io::Result<()> {
        self.enter(1)?;
        self.answers.clear();
        let mut events = std::mem::take(&mut self.events);
        self.cq.sync();
        events.extend((&mut self.cq).map(|c| Event {
            tag: c.user_data(),
            result: c.result(),
            flags: c.flags(),
        }));
        self.cq.sync();
        for event in events.drain(..) {
            self.handle(&event)?;
        }
        self.events = events;
        self.pool.publish();
        // Failures of sends may have overflowed, and these need `shared` unchanged.
        if !self.fresh.is_empty() && self.tails == 0 && !self.sq.cq_overflow() {
            self.fan_out()?;
        }
        Ok(())
    }

    /// Queues the new frames for every subscriber; a full queue is submitted, and the rest is
    /// submitted with the next call.
    fn fan_out(&mut self) -> io::Result<()> {
        std::mem::swap(&mut self.fresh, self.shared);
        self.fresh.clear();
        let (at, len) = (self.shared.as_ptr(), len32(self.shared.len()));
        let subscribers = std::mem::take(&mut self.subscribers);
        for &slot in &subscribers {
            self.push(&quick_send(slot, at, len, SEND))?;
        }
        self.subscribers = subscribers;
        Ok(())
    }

    fn enter(&mut self, want: u32) -> io::Result<()> {
        self.sq.sync();
        let queued = len32(self.sq.len());
        let mut flags = self.wait;
        if want > 0 {
            flags |= EnterFlags::GETEVENTS;
        }
        // SAFETY: no argument is passed; the memory of all queued entries (the pool, `shared`,
        // `answers`) is owned by `main` outside of this loop and outlives the ring.
        match unsafe { self.submitter.enter::<()>(queued, want, flags.bits(), None) } {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: `shared` and `answers` keep their contents until the kernel is done with them.
        if unsafe { self.sq.push(entry) }.is_ok() {
            return Ok(());
        }
        self.enter(0)?;
        self.sq.sync();
        // SAFETY: as above; the entry was not taken by the first attempt.
        unsafe { self.sq.push(entry) }.map_err(io::Error::other)
    }

    fn accept(&mut self) -> io::Result<()> {
        let listener = types::Fd(self.listener.as_raw_fd());
        let accept = opcode::AcceptMulti::new(listener).allocate_file_index(true).build();
        self.push(&accept.user_data(ACCEPT))
    }

    fn receive(&mut self, slot: u32) -> io::Result<()> {
        let receive = opcode::RecvMulti::new(types::Fixed(slot), 0).build();
        self.push(&receive.user_data(RECEIVE | u64::from(slot)))
    }

    fn handle(&mut self, event: &Event) -> io::Result<()> {
        let slot = u32::try_from(event.tag & !KINDS).unwrap_or(0);
        let ended = !cqueue::more(event.flags);
        match event.tag & KINDS {
            ACCEPT => {
                let slot = u32::try_from(event.result)
                    .map_err(|_| io::Error::from_raw_os_error(-event.result))?;
                self.conns[slot as usize] = Conn::default();
                self.receive(slot)?;
                if ended {
                    self.accept()?;
                }
            }
            RECEIVE => {
                if let Some(bid) = cqueue::buffer_select(event.flags) {
                    self.received(slot, bid, usize::try_from(event.result).unwrap_or(0))?;
                }
                if ended && (event.result > 0 || event.result == -libc::ENOBUFS) {
                    self.receive(slot)?;
                } else if ended {
                    self.subscribers.retain(|s| *s != slot);
                    let close = opcode::Close::new(types::Fixed(slot)).build();
                    self.push(&close.flags(squeue::Flags::SKIP_SUCCESS).user_data(REST))?;
                }
            }
            SEND if event.result >= 0 || event.result == -libc::EAGAIN => {
                let sent = usize::try_from(event.result).unwrap_or(0);
                let rest = &self.shared[sent..];
                let send = opcode::Send::new(types::Fixed(slot), rest.as_ptr(), len32(rest.len()))
                    .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
                    .build();
                self.tails += 1;
                self.push(&send.user_data(TAIL))?;
            }
            TAIL => self.tails -= 1,
            // The receive reports that the peer has disconnected.
            _ => {}
        }
        Ok(())
    }

    fn received(&mut self, slot: u32, bid: u16, len: usize) -> io::Result<()> {
        let at = self.pool.take(bid, len, false);
        // SAFETY: the kernel wrote `len` bytes at `at` and hands them over with this completion;
        // the buffer is released after the last use of the slice.
        let bytes = unsafe { std::slice::from_raw_parts(at, len) };
        let conn = &mut self.conns[slot as usize];
        conn.carry.extend_from_slice(bytes);
        self.pool.release(bid);
        if !conn.open {
            let Some(end) = frames::head_end(&conn.carry) else { return Ok(()) };
            let head: Vec<u8> = conn.carry.drain(..end).collect();
            conn.open = true;
            self.answer(slot, &head)?;
        }
        self.relay(slot);
        Ok(())
    }

    fn answer(&mut self, slot: u32, head: &[u8]) -> io::Result<()> {
        let head = String::from_utf8_lossy(head);
        if head.lines().next().is_some_and(|line| line.contains("role=sub")) {
            self.subscribers.push(slot);
        }
        let key = accept_key(frames::field(&head, "Sec-WebSocket-Key").unwrap_or_default());
        let answer = format!(
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {}\r\n\r\n",
            String::from_utf8_lossy(&key)
        )
        .into_bytes();
        let send = quick_send(slot, answer.as_ptr(), len32(answer.len()), REST);
        self.answers.push(answer);
        self.push(&send)
    }

    /// Takes the complete frames that a connection sent; they are relayed at the end of the turn.
    fn relay(&mut self, slot: u32) {
        let carry = &mut self.conns[slot as usize].carry;
        let mut done = 0;
        while let Some(head) = Head::parse(&carry[done..]) {
            let frame = &carry[done..];
            if head.payload.end > frame.len() {
                break;
            }
            done += head.payload.end;
            if head.opcode() >= CLOSE {
                continue;
            }
            let start = self.fresh.len();
            head.relay(frame, &mut self.fresh);
            // In JSON mode a message makes a connection a subscriber.
            let payload = self.fresh.len() - head.payload.len();
            if self.fresh[payload..].starts_with(b"{\"subscribe\"") {
                self.fresh.truncate(start);
                self.subscribers.push(slot);
            }
        }
        carry.drain(..done);
    }
}

/// A send that runs inside the call that submits it and completes only if it fails or is short.
fn quick_send(slot: u32, at: *const u8, len: u32, kind: u64) -> squeue::Entry {
    opcode::Send::new(types::Fixed(slot), at, len)
        .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
        .build()
        .flags(squeue::Flags::SKIP_SUCCESS)
        .user_data(kind | u64::from(slot))
}
