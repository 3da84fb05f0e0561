//! One io_uring: a single call submits the sends of a turn and returns the input.

use std::io;
use std::net::TcpStream;
use std::os::fd::AsRawFd;
use std::time::Duration;

use io_uring::{
    CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, opcode, squeue, types,
};

use super::{Engine, Traffic, Wait};
use crate::pool::{Pool, Shape};
use crate::sys::len32;

/// The number of sends in each call; also the size of the submission queue.
const CHUNK: u32 = 128;

/// The number of receive buffers: enough for many turns, and few enough for the cache.
const BUFFERS: u16 = 128;

const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const ROOM: u64 = 3 << 32;
const KINDS: u64 = !0 << 32;

/// The ring and its memory, which is dropped after it.
pub(in crate::load) struct Home {
    ring: IoUring,
    pool: Pool,
}

impl Home {
    /// An error if the kernel refuses a part. The ring belongs to the calling thread.
    pub(in crate::load) fn new(buffer: usize) -> io::Result<Self> {
        let pool = Pool::new(Shape { count: BUFFERS, size: buffer, incremental: false })?;
        let ring = IoUring::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_taskrun_flag()
            .setup_submit_all()
            .setup_cqsize(4096)
            .setup_clamp()
            .dontfork()
            .build(CHUNK)?;
        pool.register(&ring.submitter())?;
        Ok(Self { ring, pool })
    }
}

/// The engine.
pub(in crate::load) struct Ring<'a> {
    submitter: Submitter<'a>,
    sq: SubmissionQueue<'a>,
    cq: CompletionQueue<'a>,
    pool: &'a mut Pool,
    slots: Vec<Slot>,
    /// Connections for which one send was not enough.
    more: Vec<usize>,
    /// Connections that need a receive.
    arm: Vec<usize>,
    turns: u64,
    /// The last call returned completions. One call runs a limited number of the kernel's tasks,
    /// and no flag is set for the remaining ones.
    brought: bool,
}

/// The operations of a connection.
#[derive(Clone, Copy, Default)]
struct Slot {
    /// The bytes of the last send.
    last: usize,
    /// The turn of the last send.
    turn: u64,
    /// Whether it is in `more`.
    queued: bool,
    /// Whether it waits for room in its socket.
    blocked: bool,
}

impl<'a> Ring<'a> {
    /// The streams must stay open as long as the engine is used.
    pub(in crate::load) fn new(home: &'a mut Home, streams: &[TcpStream]) -> io::Result<Self> {
        let (mut submitter, sq, cq) = home.ring.split();
        submitter.register_ring_fd()?;
        let fds: Vec<_> = streams.iter().map(AsRawFd::as_raw_fd).collect();
        submitter.register_files(&fds)?;
        Ok(Self {
            submitter,
            sq,
            cq,
            pool: &mut home.pool,
            slots: vec![Slot::default(); streams.len()],
            more: Vec::new(),
            arm: (0..streams.len()).collect(),
            turns: 0,
            brought: false,
        })
    }

    fn flush(&mut self, traffic: &mut impl Traffic) -> io::Result<()> {
        self.turns += 1;
        for slot in std::mem::take(&mut self.arm) {
            let receive = opcode::RecvMulti::new(fixed(slot), 0).build();
            self.push(&receive.user_data(RECEIVE | slot as u64))?;
        }
        for slot in std::mem::take(&mut self.more) {
            self.slots[slot].queued = false;
            self.send(traffic, slot)?;
        }
        while let Some(slot) = traffic.next_ready() {
            self.send(traffic, slot)?;
        }
        Ok(())
    }

    /// One send for each turn, because after a short send nothing may be sent before its rest. It
    /// runs inside the call that submits it, and completes only if it fails or is short.
    fn send(&mut self, traffic: &mut impl Traffic, slot: usize) -> io::Result<()> {
        let bytes = traffic.pending(slot);
        if self.slots[slot].blocked || bytes.is_empty() {
            return Ok(());
        }
        if self.slots[slot].turn == self.turns {
            self.again(slot);
            return Ok(());
        }
        let (at, len) = (bytes.as_ptr(), bytes.len().min(1 << 30));
        let send = opcode::Send::new(fixed(slot), at, len32(len))
            .flags(libc::MSG_DONTWAIT | libc::MSG_WAITALL | libc::MSG_NOSIGNAL)
            .build()
            .flags(squeue::Flags::SKIP_SUCCESS);
        self.push(&send.user_data(SEND | slot as u64))?;
        self.slots[slot].last = len;
        self.slots[slot].turn = self.turns;
        traffic.sent(slot, len);
        if !traffic.pending(slot).is_empty() {
            self.again(slot);
        }
        Ok(())
    }

    /// The next turn sends more.
    fn again(&mut self, slot: usize) {
        if !std::mem::replace(&mut self.slots[slot].queued, true) {
            self.more.push(slot);
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: receives write to the pool, which outlives the ring; bytes to be sent stay in
        // place until the call that submits them, in which the kernel copies them.
        if unsafe { self.sq.push(entry) }.is_ok() {
            return Ok(());
        }
        self.enter(0, EnterFlags::empty(), None)?;
        self.sq.sync();
        // SAFETY: as above; the entry was not taken by the first attempt.
        unsafe { self.sq.push(entry) }.map_err(io::Error::other)
    }

    /// Submits the queued entries and waits for `want` completions, for at most `limit`.
    fn enter(&mut self, want: u32, flags: EnterFlags, limit: Option<Duration>) -> io::Result<()> {
        self.sq.sync();
        let queued = len32(self.sq.len());
        let done = match limit.map(types::Timespec::from) {
            Some(limit) => {
                let flags = (flags | EnterFlags::EXT_ARG).bits();
                let args = types::SubmitArgs::new().timespec(&limit);
                // SAFETY: `args` is what EXT_ARG announces and lives through the call; the memory
                // of all entries is as `push` says.
                unsafe { self.submitter.enter(queued, want, flags, Some(&args)) }
            }
            // SAFETY: no argument is passed; the memory of all entries is as `push` says.
            None => unsafe { self.submitter.enter::<()>(queued, want, flags.bits(), None) },
        };
        match done {
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) if matches!(e.raw_os_error(), Some(libc::ETIME | libc::EBUSY)) => Ok(()),
            Err(e) => Err(e),
            Ok(_) => Ok(()),
        }
    }

    fn flagged(&self) -> bool {
        self.sq.taskrun() || self.sq.cq_overflow()
    }

    fn drain(&mut self, traffic: &mut impl Traffic) -> io::Result<()> {
        self.cq.sync();
        self.brought = !self.cq.is_empty();
        while let Some(c) = self.cq.next() {
            let slot = usize::try_from(c.user_data() & !KINDS).map_err(io::Error::other)?;
            match c.user_data() & KINDS {
                RECEIVE => self.received(traffic, slot, c.result(), c.flags())?,
                SEND => self.fell_short(traffic, slot, c.result())?,
                _ => {
                    self.slots[slot].blocked = false;
                    self.again(slot);
                }
            }
        }
        self.cq.sync();
        self.pool.publish();
        Ok(())
    }

    fn received(
        &mut self,
        traffic: &mut impl Traffic,
        slot: usize,
        result: i32,
        flags: u32,
    ) -> io::Result<()> {
        let buffer = cqueue::buffer_select(flags);
        match (usize::try_from(result), buffer) {
            (Ok(len), Some(bid)) if len > 0 => {
                let at = self.pool.take(bid, len, false);
                // SAFETY: the kernel wrote `len` bytes at `at` and hands them over with this
                // completion; the buffer is released after the last use of the slice.
                let bytes = unsafe { std::slice::from_raw_parts(at, len) };
                traffic.received(slot, bytes)?;
                self.pool.release(bid);
            }
            (Ok(_), _) => return Err(traffic.ended(slot, None)),
            (Err(_), _) if result == -libc::ENOBUFS => {}
            (Err(_), _) => {
                return Err(traffic.ended(slot, Some(io::Error::from_raw_os_error(-result))));
            }
        }
        if !cqueue::more(flags) {
            self.arm.push(slot);
        }
        Ok(())
    }

    /// The socket is full: the rest waits for room.
    fn fell_short(
        &mut self,
        traffic: &mut impl Traffic,
        slot: usize,
        result: i32,
    ) -> io::Result<()> {
        let taken = match result {
            n if n >= 0 => usize::try_from(n).map_err(io::Error::other)?,
            n if n == -libc::EAGAIN => 0,
            // The receive reports it, after all input that the server sent before.
            n if n == -libc::EPIPE || n == -libc::ECONNRESET => {
                self.slots[slot].blocked = true;
                return Ok(());
            }
            n => return Err(traffic.ended(slot, Some(io::Error::from_raw_os_error(-n)))),
        };
        let state = &mut self.slots[slot];
        state.blocked = true;
        traffic.unsent(slot, state.last - taken);
        let room = opcode::PollAdd::new(fixed(slot), libc::POLLOUT as u32).build();
        self.push(&room.user_data(ROOM | slot as u64))
    }
}

fn fixed(slot: usize) -> types::Fixed {
    types::Fixed(len32(slot))
}

impl Engine for Ring<'_> {
    fn turn<T: Traffic>(&mut self, traffic: &mut T, wait: Wait) -> io::Result<()> {
        // Short sends may have overflowed, and nothing may be sent after those.
        if !self.sq.cq_overflow() {
            self.flush(traffic)?;
        }
        self.sq.sync();
        let flags = EnterFlags::GETEVENTS;
        match wait {
            Wait::Sleep(limit) if self.more.is_empty() && !self.sq.cq_overflow() => {
                self.enter(1, flags | EnterFlags::NO_IOWAIT, Some(limit))?;
            }
            // The kernel sets a flag when a call is needed to run its tasks.
            _ if self.sq.is_empty() && !self.brought && !self.flagged() => {}
            _ => self.enter(0, flags, None)?,
        }
        traffic.woke();
        self.drain(traffic)
    }
}

impl Drop for Ring<'_> {
    fn drop(&mut self) {
        // A registered ring would outlive its owner, and a task has only 16 of them. A failure
        // shows at the next registration.
        let _ = self.submitter.unregister_ring_fd();
    }
}
