//! A raw ring that sends received bytes back: one call into the kernel for each turn, direct
//! descriptors, receives that stay armed and take their buffers from a ring, and sends from the
//! same buffers that complete only if they fail.
//! Such a send runs inside the call that submits it. So when that call is over, and none of its
//! Such a send runs inside the call that submits it. So if none of the completions of that call
//! reports otherwise, all bytes are in the kernel's TCP and the buffers are free again. The input
//! of a connection in one turn is sent with one send, which keeps it in order if a send is short;
//! the rest is then copied, and sent by sends that wait.

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;

use io_uring::{
    CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue, types,
};
use rustix::process::{Resource, getrlimit};

use crate::pool::{Pool, Shape};
use crate::sys::len32;

/// The size of the submission queue; a larger turn takes another call.
const ENTRIES: u32 = 512;
/// As in corecast: few enough to stay in the cache, each for a message of 16 KiB.
const POOL: Shape = Shape { count: 128, size: 16_448, incremental: false };
/// A connection with more waiting bytes than this is cut.
const MAX_WAITING: usize = 64 << 20;

const ACCEPT: u64 = 1 << 56;
const RECEIVE: u64 = 2 << 56;
const SEND: u64 = 3 << 56;
const REST: u64 = 4 << 56;
/// Operations without a result.
const OTHER: u64 = 5 << 56;
const KINDS: u64 = 0xFF << 56;

/// The state of a connection, by its direct descriptor.
#[derive(Default)]
struct Conn {
    /// Received in this turn, or sent by the last call with the result still unknown.
    parts: Vec<Part>,
    /// In the kernel; from `sent` on not known to be sent.
    sending: Vec<u8>,
    sent: usize,
    /// To be sent after `sending`.
    waiting: Vec<u8>,
    /// The socket is full.
    broken: bool,
}

/// The bytes received into one buffer.
struct Part {
    buffer: u16,
    at: *const u8,
    len: u32,
}

impl Part {
    /// The bytes from `from` on.
    fn rest(&self, from: u32) -> &[u8] {
        // SAFETY: the kernel wrote `len` bytes at `at`, in a buffer of the pool which is mapped for
        // as long as the ring, and leaves them alone until the part is dropped and its buffer
        // released.
        let bytes = unsafe { std::slice::from_raw_parts(self.at, self.len as usize) };
        bytes.get(from as usize..).unwrap_or_default()
    }
}

impl Conn {
    fn is_behind(&self) -> bool {
        !self.sending.is_empty() || !self.waiting.is_empty()
    }
}

/// A completion, copied out of the ring.
struct Event {
    tag: u64,
    result: i32,
    flags: u32,
}

impl Event {
    const fn slot(&self) -> u32 {
        (self.tag & 0xFFFF_FFFF) as u32
    }
}

struct Relay<'a> {
    submitter: Submitter<'a>,
    sq: SubmissionQueue<'a>,
    cq: CompletionQueue<'a>,
    pool: &'a mut Pool,
    conns: &'a mut [Conn],
    listener: &'a TcpListener,
    events: Vec<Event>,
    /// Connections that have parts.
    touched: Vec<u32>,
    /// The memory that sends of several parts point to. Every part has a buffer, so there are never
    /// more parts than the capacity, and the memory does not move.
    slices: Vec<libc::iovec>,
    heads: Vec<libc::msghdr>,
    /// Connections that will receive no more; closed once all is sent.
    ended: Vec<u32>,
}

/// Serves until it is killed, or the ring fails.
pub fn run(listener: &TcpListener) -> io::Result<()> {
    let slots = getrlimit(Resource::Nofile).current.unwrap_or(1 << 16).min(1 << 16);
    let slots = u32::try_from(slots).map_err(io::Error::other)?;
    let mut pool = Pool::new(POOL)?;
    let mut conns: Vec<Conn> = (0..slots).map(|_| Conn::default()).collect();
    let mut ring = IoUring::builder()
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_no_sqarray()
        .setup_cqsize(4096)
        .setup_clamp()
        .dontfork()
        .build(ENTRIES)?;
    let (mut submitter, sq, cq) = ring.split();
    submitter.register_ring_fd()?;
    submitter.register_files_sparse(slots)?;
    pool.register(&submitter)?;
    let (pool, conns) = (&mut pool, conns.as_mut_slice());
    let mut relay = Relay {
        submitter,
        sq,
        cq,
        pool,
        conns,
        listener,
        events: Vec::with_capacity(4096),
        touched: Vec::new(),
        slices: Vec::with_capacity(usize::from(POOL.count)),
        heads: Vec::with_capacity(usize::from(POOL.count)),
        ended: Vec::new(),
    };
    relay.accept()?;
    loop {
        relay.turn()?;
    }
}

impl Relay<'_> {
    fn turn(&mut self) -> io::Result<()> {
        let unknown = self.ended.iter().any(|slot| !self.conns[*slot as usize].parts.is_empty());
        self.enter(u32::from(!unknown))?;
        let mut events = std::mem::take(&mut self.events);
        self.collect(&mut events)?;
        // First the rest of the last turn's sends, then the bytes after it.
        for event in events.iter().filter(|event| event.tag & KINDS == SEND) {
            self.fell_short(event)?;
        }
        self.release_parts();
        for event in events.drain(..) {
            self.handle(&event)?;
        }
        self.events = events;
        self.send_parts()?;
        self.close_ended()?;
        self.pool.publish();
        Ok(())
    }

    fn enter(&mut self, want: u32) -> io::Result<()> {
        self.sq.sync();
        let (queued, flags) = (len32(self.sq.len()), EnterFlags::NO_IOWAIT | EnterFlags::GETEVENTS);
        // SAFETY: no argument is passed; the memory of all queued entries (the pool and what
        // the connections send) is owned by `run`, declared before the ring, and outlives it.
        match unsafe { self.submitter.enter::<()>(queued, want, flags.bits(), None) } {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => Err(e),
            _ => Ok(()),
        }
    }

    /// All completions so far, also those that overflowed.
    fn collect(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        loop {
            self.cq.sync();
            events.extend((&mut self.cq).map(|c| Event {
                tag: c.user_data(),
                result: c.result(),
                flags: c.flags(),
            }));
            self.cq.sync();
            if !self.sq.cq_overflow() {
                return Ok(());
            }
            self.enter(0)?;
        }
    }

    /// Queues an entry, after a call into the kernel if the queue is full.
    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: what the entry points to stays as it is until its completion, or until the end of
        // the call that submits it where it completes only if it fails.
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
        let goes_on = cqueue::more(event.flags);
        match event.tag & KINDS {
            ACCEPT => {
                match u32::try_from(event.result) {
                    Ok(slot) => self.receive(slot)?,
                    Err(_) => eprintln!(
                        "cannot accept: {}; raise the limit of open files",
                        io::Error::from_raw_os_error(-event.result)
                    ),
                }
                if goes_on { Ok(()) } else { self.accept() }
            }
            RECEIVE => {
                let slot = event.slot();
                if let Some(buffer) = cqueue::buffer_select(event.flags) {
                    self.received(slot, buffer, u32::try_from(event.result).unwrap_or(0))?;
                }
                if goes_on {
                    return Ok(());
                }
                if event.result > 0 || event.result == -libc::ENOBUFS {
                    return self.receive(slot);
                }
                self.ended.push(slot);
                Ok(())
            }
            REST => self.rest_sent(event),
            _ => Ok(()),
        }
    }

    fn received(&mut self, slot: u32, buffer: u16, len: u32) -> io::Result<()> {
        let at = self.pool.take(buffer, len as usize, false).cast_const();
        let part = Part { buffer, at, len };
        let conn = &mut self.conns[slot as usize];
        if !conn.is_behind() && !conn.broken && len > 0 {
            if conn.parts.is_empty() {
                self.touched.push(slot);
            }
            conn.parts.push(part);
            return Ok(());
        }
        if !conn.broken {
            conn.waiting.extend_from_slice(part.rest(0));
        }
        self.pool.release(buffer);
        if conn.waiting.len() <= MAX_WAITING {
            return Ok(());
        }
        (conn.broken, conn.waiting) = (true, Vec::new());
        let cut = opcode::Shutdown::new(types::Fixed(slot), libc::SHUT_RDWR).build();
        self.push(&cut.user_data(OTHER))
    }

    /// Sends received bytes, with one send for each connection.
    fn send_parts(&mut self) -> io::Result<()> {
        self.slices.clear();
        self.heads.clear();
        let touched = std::mem::take(&mut self.touched);
        for &slot in &touched {
            let flags = libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
            let send = match self.conns[slot as usize].parts.as_slice() {
                [part] => opcode::Send::new(types::Fixed(slot), part.at, part.len).flags(flags),
                _ => {
                    let head = self.head(slot);
                    let send = opcode::SendMsg::new(types::Fixed(slot), head);
                    self.quick(send.flags(flags.cast_unsigned()).build(), slot)?;
                    continue;
                }
            };
            self.quick(send.build(), slot)?;
        }
        self.touched = touched;
        Ok(())
    }

    fn quick(&mut self, send: squeue::Entry, slot: u32) -> io::Result<()> {
        self.push(&send.flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND | u64::from(slot)))
    }

    /// The parts of a connection as one message.
    fn head(&mut self, slot: u32) -> *const libc::msghdr {
        let first = self.slices.len();
        self.slices.extend(self.conns[slot as usize].parts.iter().map(|part| libc::iovec {
            iov_base: part.at.cast_mut().cast(),
            iov_len: part.len as usize,
        }));
        // SAFETY: an all-zero msghdr is one without address, slices and control data.
        let mut head: libc::msghdr = unsafe { std::mem::zeroed() };
        head.msg_iovlen = self.slices.len() - first;
        head.msg_iov = self.slices[first..].as_mut_ptr();
        self.heads.push(head);
        self.heads[self.heads.len() - 1..].as_ptr()
    }

    /// The send of a connection's parts was short.
    fn fell_short(&mut self, event: &Event) -> io::Result<()> {
        let slot = event.slot();
        let conn = &mut self.conns[slot as usize];
        if event.result < 0 && event.result != -libc::EAGAIN {
            // Its receive ends by itself.
            conn.broken = true;
            return Ok(());
        }
        let mut sent = u32::try_from(event.result).unwrap_or(0);
        for part in &conn.parts {
            conn.waiting.extend_from_slice(part.rest(sent));
            sent = sent.saturating_sub(part.len);
        }
        self.send_waiting(slot)
    }

    /// All sends of the last turn are over.
    fn release_parts(&mut self) {
        for slot in self.touched.drain(..) {
            for part in self.conns[slot as usize].parts.drain(..) {
                self.pool.release(part.buffer);
            }
        }
    }

    /// Passes waiting bytes to the kernel, unless a send is in flight.
    fn send_waiting(&mut self, slot: u32) -> io::Result<()> {
        let conn = &mut self.conns[slot as usize];
        if conn.sending.is_empty() {
            conn.sent = 0;
            std::mem::swap(&mut conn.sending, &mut conn.waiting);
        } else if conn.sent == conn.sending.len() {
            (conn.sent, conn.sending) = (0, std::mem::take(&mut conn.waiting));
        }
        let rest = conn.sending.get(conn.sent..).unwrap_or_default();
        if rest.is_empty() {
            return Ok(());
        }
        let send = opcode::Send::new(types::Fixed(slot), rest.as_ptr(), len32(rest.len()))
            .flags(libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build();
        self.push(&send.user_data(REST | u64::from(slot)))
    }

    fn rest_sent(&mut self, event: &Event) -> io::Result<()> {
        let conn = &mut self.conns[event.slot() as usize];
        match usize::try_from(event.result) {
            Ok(sent) if sent > 0 && !conn.broken => conn.sent += sent,
            _ => {
                conn.broken = true;
                (conn.sending, conn.waiting) = (Vec::new(), Vec::new());
            }
        }
        self.send_waiting(event.slot())
    }

    /// Closes those connections of which all received bytes are sent.
    fn close_ended(&mut self) -> io::Result<()> {
        let mut ended = std::mem::take(&mut self.ended);
        for slot in &ended {
            let conn = &mut self.conns[*slot as usize];
            if conn.parts.is_empty() && !conn.is_behind() {
                *conn = Conn::default();
                let close = opcode::Close::new(types::Fixed(*slot)).build();
                self.push(&close.flags(squeue::Flags::SKIP_SUCCESS).user_data(OTHER))?;
            }
        }
        ended.retain(|slot| {
            let conn = &self.conns[*slot as usize];
            !conn.parts.is_empty() || conn.is_behind()
        });
        self.ended = ended;
        Ok(())
    }
}
