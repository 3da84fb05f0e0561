//! epoll: for kernels and containers without io_uring.
//!
//! Every socket is registered once, edge-triggered. A call of [`Driver::enter`] collects which of
//! them are ready; [`Driver::next_event`] receives from one after the other, so that a buffer is
//! filled when its bytes are about to be handled; sends are tried when they are asked for, which
//! the worker does at the end of its turn.

mod accept;
mod listener;
mod pool;
mod receive;
mod send;
mod table;
mod wait;

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, CreateFlags, EventFlags};
use rustix::net::{Shutdown, shutdown};

use super::{
    Accepts, Buffer, Data, Driver, DriverStats, Errno, Event, LoopWaker, Payload, Received,
    tcp_info,
};
use crate::base::{Chunk, ConnectionId, Shared};
use crate::config::Buffers;
use listener::Listener;
use pool::Pool;
use table::{Flags, Table};

/// The most connections that are accepted between two calls of `enter`.
const ACCEPTS: u32 = 64;
/// The most receives between two calls of `enter`, about as many as one call of io_uring reports.
/// Those that are left come first after the next. With twice as many, honest clients waited twice
/// as long for what hostile ones had decompressed.
const RECEIVES: u32 = 32;
/// The same under load, so that each connection that has sent something is served.
const COLLECTED: u32 = 256;
/// The most sockets of which one call of epoll_wait(2) reports.
const REPORTS: usize = 256;

/// What the data of a registration names, beside its lower half.
const CONNECTION: u64 = 0;
const LISTENER: u64 = 1 << 32;
const WAKE: u64 = 2 << 32;

/// One core's epoll.
pub struct EpollDriver {
    epoll: OwnedFd,
    wake: LoopWaker,
    start: Instant,
    pool: Pool,
    table: Table,
    listeners: Vec<Listener>,
    /// The listener that accepts first.
    next_listener: usize,
    /// Where the kernel writes which sockets are ready.
    reports: Vec<epoll::Event>,
    /// Slots to receive from, each once, in the order in which they are served.
    readable: VecDeque<u32>,
    /// Slots whose queued send is to be tried again, each once.
    writable: VecDeque<u32>,
    /// The queued sends that wait for room, by slot.
    queued: HashMap<u32, Queued>,
    /// Events that came up at a call of the worker, and wakes.
    events: VecDeque<Event>,
    /// How many of these are handed out before the next call of `enter`.
    due: usize,
    accepts_left: u32,
    receives_left: u32,
    resend_left: usize,
    /// There may be events that are not received data.
    has_rare: bool,
    /// Vectors of sends that are complete, for reuse.
    recycled: Vec<Vec<u8>>,
    /// Receives that are armed.
    receives: u32,
    stats: DriverStats,
}

impl std::fmt::Debug for EpollDriver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EpollDriver").field("stats", &self.stats).finish_non_exhaustive()
    }
}

/// A queued send that waits for room.
#[derive(Debug)]
struct Queued {
    id: ConnectionId,
    chunk: Chunk,
    max: usize,
}

impl EpollDriver {
    /// A driver that serves `slots` connections of `listeners`.
    ///
    /// # Errors
    /// If the process has no descriptor left, or may not use epoll.
    pub fn new(
        slots: u32,
        buffers: Buffers,
        listeners: Vec<OwnedFd>,
        wake: LoopWaker,
    ) -> Result<Self, Errno> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let edges = EventFlags::IN | EventFlags::ET;
        epoll::add(&epoll, wake.as_fd(), epoll::EventData::new_u64(WAKE), edges)?;
        for (index, listener) in (0..).zip(&listeners) {
            rustix::io::ioctl_fionbio(listener, true)?;
            epoll::add(&epoll, listener, epoll::EventData::new_u64(LISTENER | index), edges)?;
        }
        Ok(Self {
            epoll,
            wake,
            start: super::clock::start(),
            pool: Pool::new(buffers),
            table: Table::new(slots.min(ConnectionId::MAX_SLOTS)),
            listeners: listeners.into_iter().map(Listener::new).collect(),
            next_listener: 0,
            reports: Vec::with_capacity(REPORTS),
            readable: VecDeque::new(),
            writable: VecDeque::new(),
            queued: HashMap::new(),
            events: VecDeque::new(),
            due: 0,
            accepts_left: 0,
            receives_left: 0,
            resend_left: 0,
            has_rare: false,
            recycled: Vec::new(),
            receives: 0,
            stats: DriverStats::default(),
        })
    }
}

impl Driver for EpollDriver {
    type Waker = LoopWaker;

    fn waker(&self) -> LoopWaker {
        self.wake.clone()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn slots(&self) -> u32 {
        self.table.limit()
    }

    fn accept(&mut self, listener: usize, kind: Accepts) {
        if let Some(listener) = self.listeners.get_mut(listener) {
            listener.armed = Some(kind);
        }
    }

    fn cancel_accept(&mut self, listener: usize) {
        self.end_accept(listener);
    }

    fn accept_burst(&self, _kind: Accepts) -> u32 {
        ACCEPTS
    }

    fn stop_accepting(&mut self, kept: &[bool]) {
        for index in 0..self.listeners.len() {
            if kept.get(index) != Some(&true) {
                self.accept_last(index);
                self.end_accept(index);
                // Others may have the same socket: then it stays registered when it is closed.
                if let Some(socket) = &self.listeners[index].socket {
                    let _ = epoll::delete(&self.epoll, socket);
                }
                self.listeners[index].close();
            }
        }
    }

    fn receive(&mut self, id: ConnectionId, _poll_first: bool) {
        let Some(slot) = self.table.get_mut(id.slot) else { return };
        slot.generation = id.generation;
        if !slot.flags.contains(Flags::RECEIVING) {
            slot.flags.insert(Flags::RECEIVING);
            self.receives += 1;
        }
        if slot.flags.contains(Flags::READABLE) && !slot.flags.contains(Flags::IN_READABLE) {
            slot.flags.insert(Flags::IN_READABLE);
            self.readable.push_back(id.slot);
        }
    }

    fn receive_once(&mut self, id: ConnectionId) {
        self.receive(id, false);
        if let Some(slot) = self.table.get_mut(id.slot) {
            slot.flags.insert(Flags::ONCE);
        }
    }

    fn cancel_receive(&mut self, id: ConnectionId) {
        let event = if self.end_receive(id.slot) {
            Event::Received { id: id.masked(), outcome: Received::Cancelled, armed: false }
        } else {
            Event::NotCancelled { id: id.masked() }
        };
        self.events.push_back(event);
    }

    #[inline]
    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.pool.bytes(buffer)
    }

    #[inline]
    fn release(&mut self, buffer: Buffer) {
        self.pool.release(buffer);
    }

    fn is_short_of_buffers(&self) -> bool {
        self.pool.lent() * 4 >= u32::from(self.pool.max()) * 3
    }

    fn free_buffers(&self) -> usize {
        u32::from(self.pool.max()).saturating_sub(self.pool.lent()) as usize
    }

    #[inline(always)]
    fn send_now(&mut self, id: ConnectionId, payload: Payload) {
        self.try_send_now(id, payload);
    }

    #[inline]
    fn send_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        self.try_send_shared(ids, bytes);
    }

    fn send_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        if let Some(event) = self.try_queued(Queued { id: id.masked(), chunk, max }) {
            self.events.push_back(event);
        }
    }

    fn cancel_send(&mut self, id: ConnectionId) {
        if let Some(Queued { id, chunk, .. }) = self.take_queued(id.slot) {
            self.events.push_back(Event::Sent { id, chunk, result: Err(Errno::CANCELED) });
        }
    }

    fn query_progress(&mut self, id: ConnectionId) {
        let progress = self.table.socket(id).and_then(|socket| tcp_info::progress(socket.as_fd()));
        self.events.push_back(Event::Progress { id: id.masked(), progress });
    }

    fn half_close(&mut self, id: ConnectionId) {
        // It fails only if the connection has ended already.
        let _ = self.table.socket(id).map(|socket| shutdown(socket, Shutdown::Write));
        self.events.push_back(Event::HalfClosed { id: id.masked() });
    }

    fn close(&mut self, id: ConnectionId) {
        self.close_socket(id.slot);
        self.table.give_back(id.slot);
    }

    fn retire(&mut self, id: ConnectionId) -> bool {
        self.close_socket(id.slot);
        true
    }

    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        self.wait_for_reports(wait)
    }

    fn collect(&mut self) {
        self.receives_left = COLLECTED;
    }

    fn is_settled(&self) -> bool {
        true
    }

    #[inline(always)]
    fn next_data(&mut self) -> Option<Data> {
        if self.has_rare { None } else { self.take_data() }
    }

    fn next_event(&mut self) -> Option<Event> {
        // Rare events come first, and what becomes one while there are none comes at once.
        if self.has_rare
            && let Some(event) = self.next_rare_event()
        {
            return Some(event);
        }
        match self.take_data() {
            Some(data) => Some(data.into()),
            None if self.has_rare => self.next_rare_event(),
            None => None,
        }
    }

    fn take_recycled(&mut self) -> Option<Vec<u8>> {
        self.recycled.pop()
    }

    fn stats(&self) -> DriverStats {
        let accepts = self.listeners.iter().filter(|listener| listener.armed.is_some()).count();
        let others = u32::try_from(accepts + self.queued.len()).unwrap_or(u32::MAX);
        DriverStats {
            buffers: u32::from(self.pool.count()),
            buffers_lent: self.pool.lent(),
            in_flight: self.receives.saturating_add(others),
            ..self.stats
        }
    }
}
