//! The echo server under test: one thread, one ring, one loop.

mod conn;
mod receive;
mod send;

use std::io;
use std::net::TcpListener;
use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use corecast_perf::meter::ThreadCounters as Counters;
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, squeue, types};

use crate::config::{Receives, Sends, Variant, Workload};
use crate::pieces::{Arena, Sources};
use crate::pool::Pool;
use crate::sys::{Region, len32, thread_cpu_ns, thread_switches};
use conn::Conn;

const RECEIVE: u64 = 1 << 32;
const SEND: u64 = 2 << 32;
const TAIL: u64 = 3 << 32;
const CANCEL: u64 = 4 << 32;
const KINDS: u64 = !0 << 32;

/// The counters of the program itself.
#[derive(Clone, Copy, Default)]
pub(crate) struct Counts {
    pub(crate) messages: u64,
    pub(crate) enters: u64,
    pub(crate) completions: u64,
    /// Receives that found the pool empty.
    pub(crate) starved: u64,
    /// Sends that left bytes over.
    pub(crate) stalls: u64,
}

/// The state of all counters at one moment.
#[derive(Clone, Copy)]
pub(crate) struct Snapshot {
    pub(crate) at: Instant,
    pub(crate) cpu_ns: u64,
    pub(crate) switches: u64,
    pub(crate) instructions: Option<(u64, u64)>,
    pub(crate) counts: Counts,
}

/// A completion, copied out of the ring.
#[derive(Clone, Copy)]
struct Event {
    tag: u64,
    result: i32,
    flags: u32,
}

/// Memory that the kernel reads or writes; it is dropped after the ring.
struct Memory {
    pool: Option<Pool>,
    own: Region,
    arena: Arena,
    sources: Sources,
}

struct Server<'a> {
    variant: Variant,
    submitter: Submitter<'a>,
    sq: SubmissionQueue<'a>,
    cq: CompletionQueue<'a>,
    memory: &'a mut Memory,
    conns: &'a mut [Conn],
    /// Connections with replies to send.
    dirty: Vec<u32>,
    /// Connections whose replies went out with SKIP_SUCCESS in the last batch.
    sent: Vec<u32>,
    /// Connections that need a receive.
    arm: Vec<u32>,
    events: Vec<Event>,
    counts: Counts,
    live: usize,
}

/// How long the server runs before and during the measurement.
#[derive(Clone, Copy)]
pub(crate) struct Window {
    pub(crate) warm: Duration,
    pub(crate) measure: Duration,
}

fn build_ring() -> io::Result<IoUring> {
    let mut builder = IoUring::builder();
    builder
        .setup_single_issuer()
        .setup_defer_taskrun()
        .setup_taskrun_flag()
        .setup_submit_all()
        .setup_no_sqarray()
        .setup_cqsize(4096)
        .setup_clamp()
        .dontfork();
    builder.build(256)
}

fn memory_for(variant: &Variant, load: &Workload) -> io::Result<Memory> {
    let (pool, own) = match variant.receives {
        Receives::Multishot(shape) => (Some(Pool::new(shape)?), 0),
        Receives::OneShot { size, .. } => (None, 2 * size * load.connections),
    };
    Ok(Memory {
        pool,
        own: Region::new(own)?,
        arena: Arena::new(load.connections * (load.reply + 128))?,
        sources: Sources::new(load.reply)?,
    })
}

/// Serves the load's connections until the end of the window and then until they are closed;
/// returns the counters at both ends of the measurement.
pub(crate) fn run(
    variant: &Variant,
    load: &Workload,
    listener: &TcpListener,
    window: Window,
    counters: Option<&Counters>,
) -> io::Result<(Snapshot, Snapshot)> {
    let mut memory = memory_for(variant, load)?;
    let (control, _) = listener.accept()?;
    let mut control = Some(control);
    let mut conns = Vec::with_capacity(load.connections);
    for _ in 0..load.connections {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        conns.push(Conn::new(stream));
    }
    let mut ring = build_ring()?;
    let mut server = Server::new(*variant, &mut ring, &mut memory, &mut conns)?;
    let warm_end = Instant::now() + window.warm;
    let (mut first, mut last) = (None::<Snapshot>, None);
    while server.live > 0 {
        server.turn()?;
        let now = Instant::now();
        match &first {
            None if now >= warm_end => first = Some(server.snapshot(counters)),
            Some(first) if last.is_none() && now >= first.at + window.measure => {
                last = Some(server.snapshot(counters));
                drop(control.take());
            }
            _ => {}
        }
    }
    first.zip(last).ok_or_else(|| io::Error::other("the load ended before the measurement"))
}

impl<'a> Server<'a> {
    fn new(
        variant: Variant,
        ring: &'a mut IoUring,
        memory: &'a mut Memory,
        conns: &'a mut [Conn],
    ) -> io::Result<Self> {
        let (mut submitter, sq, cq) = ring.split();
        if variant.registered_ring {
            submitter.register_ring_fd()?;
        }
        if variant.direct {
            let fds: Vec<_> = conns.iter().map(|c| c.stream.as_raw_fd()).collect();
            submitter.register_files(&fds)?;
        }
        if let Some(pool) = &memory.pool {
            pool.register(&submitter)?;
        }
        let live = conns.len();
        Ok(Self {
            variant,
            submitter,
            sq,
            cq,
            memory,
            conns,
            dirty: Vec::with_capacity(live),
            sent: Vec::with_capacity(live),
            arm: (0..len32(live)).collect(),
            events: Vec::with_capacity(4096),
            counts: Counts::default(),
            live,
        })
    }

    fn snapshot(&self, counters: Option<&Counters>) -> Snapshot {
        Snapshot {
            at: Instant::now(),
            cpu_ns: thread_cpu_ns(),
            switches: thread_switches(),
            instructions: counters.map(Counters::read),
            counts: self.counts,
        }
    }

    /// One iteration: queue receives and replies, enter, handle what completed.
    fn turn(&mut self) -> io::Result<()> {
        let mut dirty = std::mem::take(&mut self.dirty);
        for slot in dirty.drain(..) {
            self.flush(slot)?;
        }
        self.dirty = dirty;
        let mut arm = std::mem::take(&mut self.arm);
        for slot in arm.drain(..) {
            self.arm_receive(slot)?;
        }
        self.arm = arm;
        self.enter(1)?;
        let mut events = std::mem::take(&mut self.events);
        self.drain(&mut events)?;
        events.clear();
        self.events = events;
        Ok(())
    }

    fn enter(&mut self, want: usize) -> io::Result<()> {
        self.sq.sync();
        let queued = len32(self.sq.len());
        let mut flags = EnterFlags::EXT_ARG | EnterFlags::NO_IOWAIT;
        if want > 0 {
            flags |= EnterFlags::GETEVENTS;
        }
        let limit = types::Timespec::new().sec(10);
        let args = types::SubmitArgs::new().timespec(&limit);
        self.counts.enters += 1;
        // SAFETY: `args` is the structure that EXT_ARG announces and lives through the call; all
        // memory behind the queued entries outlives the ring.
        let done = unsafe { self.submitter.enter(queued, len32(want), flags.bits(), Some(&args)) };
        match done {
            Ok(_) => Ok(()),
            Err(e) if e.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(e) if e.raw_os_error() == Some(libc::ETIME) => {
                Err(io::Error::other("no event for 10 s: the load process stopped talking"))
            }
            Err(e) => Err(e),
        }
    }

    fn push(&mut self, entry: &squeue::Entry) -> io::Result<()> {
        // SAFETY: every caller keeps the memory behind its entry valid until it completes.
        if unsafe { self.sq.push(entry) }.is_ok() {
            return Ok(());
        }
        self.enter(0)?;
        self.sq.sync();
        // SAFETY: as above; the entry was not taken by the first attempt.
        unsafe { self.sq.push(entry) }.map_err(io::Error::other)
    }

    /// Send completions first (they decide which memory is free), then the receives.
    fn drain(&mut self, events: &mut Vec<Event>) -> io::Result<()> {
        self.cq.sync();
        for c in &mut self.cq {
            events.push(Event { tag: c.user_data(), result: c.result(), flags: c.flags() });
        }
        self.cq.sync();
        if self.cq.overflow() > 0 || self.sq.cq_overflow() {
            return Err(io::Error::other("the completion queue overflowed: make it larger"));
        }
        self.counts.completions += events.len() as u64;
        for event in events.iter() {
            match event.tag & KINDS {
                SEND => self.on_send(slot_of(event.tag), event.result)?,
                TAIL => self.on_tail(slot_of(event.tag), event.result)?,
                _ => {}
            }
        }
        if self.variant.sends == Sends::SkipSuccess {
            self.release_sent();
        }
        for event in events.iter().filter(|e| e.tag & KINDS == RECEIVE) {
            self.on_receive(slot_of(event.tag), event.result, event.flags)?;
        }
        if let Some(pool) = &mut self.memory.pool {
            pool.publish();
        }
        Ok(())
    }
}

fn slot_of(tag: u64) -> u32 {
    u32::try_from(tag & !KINDS).unwrap_or(0)
}

impl Drop for Server<'_> {
    fn drop(&mut self) {
        if self.variant.registered_ring {
            // The registration would keep the ring alive, and a task has only 16 of them. A
            // failure shows at the next registration.
            let _ = self.submitter.unregister_ring_fd();
        }
    }
}
