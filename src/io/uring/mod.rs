//! The ring of Linux: io_uring, with direct descriptors, multishot accepts and receives, provided
//! buffers, and sends that complete without a completion.
#![allow(unsafe_code, reason = "submissions hand memory to the kernel")]

mod accept;
mod arming;
mod buf_ring;
mod complete;
mod ending;
mod queued;
mod resend;
mod setup;
mod submit;
mod tag;
mod tcp;

use std::collections::VecDeque;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::time::{Duration, Instant};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fixed, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, opcode};

use super::{Accepts, Buffer, Data, Driver, DriverStats, Errno, Event, LoopWaker, Payload};
use crate::base::{Chunk, ConnectionId, Shared};
use crate::config::Buffers;
use accept::Listener;
use buf_ring::BufRing;
use queued::QueuedSends;
pub use setup::{Features, SetupError, kernel_release};
use tag::{Kind, Tag};

/// The group of the provided buffers.
const BUFFER_GROUP: u16 = 0;

/// One core's io_uring.
pub struct UringRing {
    /// Views into `ring`; gone before it is.
    queues: Option<Queues>,
    /// Owned: made by `Box::into_raw`, taken back in `drop`.
    ring: *mut IoUring,
    buffers: BufRing,
    listeners: Vec<Listener>,
    accepts: u32,
    /// Listeners of which places are to be armed again with the next call of `enter`.
    to_rearm: Vec<u16>,
    /// Whether these, or queued sends that got room, wait for the next call of `enter`.
    is_due: bool,
    /// The slots that connections have.
    in_use: u32,
    slots: u32,
    wake: LoopWaker,
    /// The wakers of the rings that this one has woken so far; a tag refers to one by its index.
    known_peers: Vec<LoopWaker>,
    features: Features,
    start: Instant,
    /// The payloads of `send_now` since the last time the completion queue was empty. The kernel
    /// may read them until then; an entry is taken out when its send fell short.
    pinned: Vec<Option<Payload>>,
    /// The same for `send_shared`, of which each may be what many connections are sent.
    shared: Vec<Rc<Shared>>,
    /// The queued sends with their payloads, which the kernel reads while it tries them.
    queued: QueuedSends,
    /// Vectors of sends that are complete, for reuse.
    recycled: Vec<Vec<u8>>,
    /// Submissions for which the queue had no room.
    backlog: VecDeque<Entry>,
    /// Whether the kernel has taken every submission since the last [`unpin`](Self::unpin), so each
    /// send of `pinned` and `shared`. What events add to the queue later does not count.
    submitted: bool,
    /// Events that the kernel has no part in.
    own_events: VecDeque<Event>,
    receives: u32,
    queries: tcp::Queries,
    stats: DriverStats,
}

struct Queues {
    submitter: Submitter<'static>,
    sq: SubmissionQueue<'static>,
    cq: CompletionQueue<'static>,
}

impl std::fmt::Debug for UringRing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("UringRing").field("stats", &self.stats).finish_non_exhaustive()
    }
}

impl UringRing {
    /// A ring that serves `slots` connections. To be made on the thread that will use it: the
    /// kernel lets no other submit to it.
    ///
    /// # Errors
    /// What keeps io_uring from being used here, with what to do about it.
    pub fn new(slots: u32, buffers: Buffers, wake: LoopWaker) -> Result<Self, SetupError> {
        let (ring, mut features) = setup::retry_memory(setup::build)?;
        let max = buffers.max;
        let buffers = Buffers::new(buffers.count, buffers.size).growing_to(max);
        let mut buffers = BufRing::new(buffers);
        buffers.commit();
        let fd = ring.as_raw_fd();
        let ring = Box::into_raw(Box::new(ring));
        // SAFETY: `ring` comes from `Box::into_raw` just now, and nothing else refers to it. The
        // views made from this reference are dropped before the box is taken back, in `drop`.
        let (mut submitter, sq, cq) = unsafe { &mut *ring }.split();
        features.registered_ring = submitter.register_ring_fd().is_ok();
        let setup = Self::register(&submitter, slots, &buffers);
        let mut this = Self {
            queues: Some(Queues { submitter, sq, cq }),
            ring,
            buffers,
            listeners: Vec::new(),
            accepts: 0,
            to_rearm: Vec::new(),
            is_due: false,
            in_use: 0,
            slots: slots.min(ConnectionId::MAX_SLOTS),
            wake,
            known_peers: Vec::new(),
            features,
            start: super::clock::start(),
            pinned: Vec::new(),
            shared: Vec::new(),
            queued: QueuedSends::default(),
            recycled: Vec::new(),
            backlog: VecDeque::new(),
            submitted: false,
            own_events: VecDeque::new(),
            receives: 0,
            queries: tcp::Queries::default(),
            stats: DriverStats::default(),
        };
        setup?;
        this.watch_wake();
        // A filter may refuse this call alone: better now than once the server says that it serves.
        this.call(0, EnterFlags::GETEVENTS, None).map_err(setup::refused_enter)?;
        this.wake.set_ring(Some(fd));
        Ok(this)
    }

    /// Gives the ring its listeners.
    #[must_use]
    pub fn with_listeners(mut self, listeners: Vec<OwnedFd>) -> Self {
        let places = accept::places(listeners.len());
        let new = |socket| Listener::new(socket, places);
        self.listeners = listeners.into_iter().map(new).collect();
        self
    }

    fn register(
        submitter: &Submitter<'_>,
        slots: u32,
        buffers: &BufRing,
    ) -> Result<(), SetupError> {
        let slots = slots.min(ConnectionId::MAX_SLOTS);
        submitter.register_files_sparse(slots).map_err(|error| setup::refused_register(&error))?;
        // Half-closing is the only operation that needs a kernel thread; one is enough.
        let _ = submitter.register_iowq_max_workers(&mut [1, 1]);
        setup::retry_memory(|| {
            let (address, len) = (buffers.address(), buffers.len());
            // SAFETY: the ring of buffers has as many entries as said, page-aligned, and lives
            // until after the io_uring is closed: `drop` sees to the order.
            unsafe { submitter.register_buf_ring_with_flags(address, len, BUFFER_GROUP, 0) }
                .map_err(|error| setup::refused_register(&error))
        })
    }

    /// What this kernel offers and what is used of it.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }
}

impl Driver for UringRing {
    type Waker = LoopWaker;

    fn waker(&self) -> LoopWaker {
        self.wake.clone()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn slots(&self) -> u32 {
        self.slots
    }

    fn accept(&mut self, listener: usize, kind: Accepts) {
        self.arm(listener, kind);
    }

    fn cancel_accept(&mut self, listener: usize) {
        self.end_accepts(listener);
    }

    fn accept_burst(&self, kind: Accepts) -> u32 {
        accept::burst(kind)
    }

    fn stop_accepting(&mut self, kept: &[bool]) {
        self.close_listeners(kept);
    }

    fn receive(&mut self, id: ConnectionId, poll_first: bool) {
        self.push_receive(id, poll_first);
    }

    fn receive_once(&mut self, id: ConnectionId) {
        self.push_receive_once(id);
    }

    fn cancel_receive(&mut self, id: ConnectionId) {
        self.cancel(Tag::new(Kind::Receive, id, 0), Tag::new(Kind::CancelReceive, id, 0));
    }

    #[inline]
    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.buffers.bytes(buffer)
    }

    fn is_short_of_buffers(&self) -> bool {
        self.buffers.lent() * 4 >= u32::from(self.buffers.count()) * 3
    }

    fn free_buffers(&self) -> usize {
        u32::from(self.buffers.count()).saturating_sub(self.buffers.lent()) as usize
    }

    #[inline]
    fn release(&mut self, buffer: Buffer) {
        self.buffers.release(buffer);
    }

    // Inlined, because the caller usually knows the kind of payload.
    #[inline(always)]
    fn send_now(&mut self, id: ConnectionId, payload: Payload) {
        let (pointer, len) = match &payload {
            Payload::Received { buffer, start, len } => {
                (self.buffers.pointer(buffer, *start, *len), *len as usize)
            }
            Payload::Chunk(chunk) => (chunk.rest().as_ptr(), chunk.rest().len()),
        };
        self.send_pinned(id, pointer, len, payload);
    }

    #[inline]
    fn send_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        self.send_pinned_shared(ids, bytes);
    }

    fn send_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        self.begin_queued(id, chunk, max);
    }

    fn cancel_send(&mut self, id: ConnectionId) {
        self.cancel_queued(id);
    }

    fn query_progress(&mut self, id: ConnectionId) {
        self.query(id);
    }

    fn half_close(&mut self, id: ConnectionId) {
        const SHUT_WR: i32 = 1;
        let entry = opcode::Shutdown::new(Fixed(id.slot), SHUT_WR)
            .build()
            .user_data(Tag::new(Kind::HalfClose, id, 0).0);
        self.push(entry);
    }

    fn close(&mut self, id: ConnectionId) {
        self.in_use = self.in_use.saturating_sub(1);
        let entry = opcode::Close::new(Fixed(id.slot))
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Tag::plain(Kind::Ignore, 0).0);
        self.push(entry);
    }

    fn retire(&mut self, id: ConnectionId) -> bool {
        self.replace_file(id.slot)
    }

    fn wake_peer(&mut self, peer: &LoopWaker) {
        self.wake_ring(peer);
    }

    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        if self.is_due { self.enter_with_due(wait) } else { self.enter_ring(wait) }
    }

    fn collect(&mut self) {
        self.collect_ready();
    }

    fn is_settled(&self) -> bool {
        self.pinned.is_empty() && self.shared.is_empty()
    }

    #[inline(always)]
    fn next_data(&mut self) -> Option<Data> {
        self.take_data()
    }

    fn next_event(&mut self) -> Option<Event> {
        match self.next_data() {
            Some(data) => Some(data.into()),
            None => self.next_rare_event(),
        }
    }

    fn take_recycled(&mut self) -> Option<Vec<u8>> {
        self.recycled.pop()
    }

    fn stats(&self) -> DriverStats {
        #[allow(clippy::cast_possible_truncation, reason = "not above the number of slots")]
        let queued = self.queued.len() as u32;
        DriverStats {
            buffers: u32::from(self.buffers.count()),
            buffers_lent: self.buffers.lent(),
            in_flight: self.receives + self.accepts + queued,
            ..self.stats
        }
    }
}

impl Drop for UringRing {
    fn drop(&mut self) {
        self.wake.set_ring(None);
        let mut idle = true;
        if let Some(mut queues) = self.queues.take() {
            // A thread has few places for registered rings, and they are not freed with the ring.
            let _ = queues.submitter.unregister_ring_fd();
            // The kernel must have let go of buffers and payloads before they are freed.
            let all = CancelBuilder::any();
            let patience = Some(Timespec::new().sec(1));
            let cancelled = queues.submitter.register_sync_cancel(patience, all);
            idle = !matches!(cancelled, Err(error) if error.raw_os_error() != Some(2));
            let _ = queues.submitter.unregister_buf_ring(BUFFER_GROUP);
            tcp::close_installed(&mut queues.cq);
        }
        // SAFETY: `ring` came from `Box::into_raw` in `new`, the views into it are gone, and it is
        // taken back only here.
        drop(unsafe { Box::from_raw(self.ring) });
        if !idle {
            // Better lost than written to after it was freed.
            std::mem::forget(std::mem::take(&mut self.queued));
            for listener in &mut self.listeners {
                std::mem::forget(std::mem::take(&mut listener.names));
            }
            std::mem::forget(std::mem::replace(
                &mut self.buffers,
                BufRing::new(Buffers::new(2, 64)),
            ));
        }
    }
}
