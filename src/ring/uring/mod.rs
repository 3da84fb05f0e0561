//! The ring of Linux: io_uring, with direct descriptors, multishot accepts and receives, provided
//! buffers, and sends that complete without a completion.
#![allow(unsafe_code, reason = "submissions hand memory to the kernel")]

mod buf_ring;
mod setup;
mod tag;
mod wake;

use std::collections::{HashMap, VecDeque};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::time::{Duration, Instant};

use io_uring::squeue::{Entry, Flags};
use io_uring::types::{CancelBuilder, Fd, Fixed, SubmitArgs, Timespec};
use io_uring::{CompletionQueue, EnterFlags, IoUring, SubmissionQueue, Submitter, cqueue, opcode};

use super::{Buffer, Errno, Event, Payload, Received, Ring, RingStats, Token};
use crate::config::Buffers;
use buf_ring::BufRing;
pub use setup::{Features, SetupError, kernel_release};
use tag::{Kind, Tag};
pub use wake::EventFdWaker;

/// The group of the provided buffers.
const BUFFER_GROUP: u16 = 0;
/// `IORING_RECVSEND_POLL_FIRST`, for which the crate's multishot receive has no setter.
const POLL_FIRST: u16 = 1;
/// A send that goes out inline, as far as the socket takes it, and tells of a rest: with WAITALL a
/// short send is an error, so that `CQE_SKIP_SUCCESS` does not swallow its completion.
const NOW: i32 = libc_flags::DONTWAIT | libc_flags::WAITALL | libc_flags::NOSIGNAL;
const QUEUED: i32 = libc_flags::WAITALL | libc_flags::NOSIGNAL;

/// Flags of send(2).
mod libc_flags {
    pub(super) const DONTWAIT: i32 = 0x40;
    pub(super) const WAITALL: i32 = 0x100;
    pub(super) const NOSIGNAL: i32 = 0x4000;
}

/// One core's io_uring.
pub struct UringRing {
    /// Views into `ring`; gone before it is.
    queues: Option<Queues>,
    /// Owned: made by `Box::into_raw`, taken back in `drop`.
    ring: *mut IoUring,
    buffers: BufRing,
    listeners: Vec<OwnedFd>,
    accepts: u16,
    wake: EventFdWaker,
    features: Features,
    start: Instant,
    /// The payloads of `send_now` since the last time the completion queue was empty. The kernel
    /// may read them until then; an entry is taken out when its send fell short.
    pinned: Vec<Option<Payload>>,
    /// The payloads of queued sends, by slot: the kernel reads them until their completion.
    queued: HashMap<u32, Vec<u8>>,
    /// Vectors of sends that are complete.
    spent: Vec<Vec<u8>>,
    /// Submissions for which the queue had no room.
    backlog: VecDeque<Entry>,
    /// Events that the kernel has no part in.
    own_events: VecDeque<Event>,
    receives: u32,
    stats: RingStats,
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
    /// A ring that serves `slots` connections of `listeners`. To be made on the thread that will
    /// use it: the kernel lets no other submit to it.
    ///
    /// # Errors
    /// What keeps io_uring from being used here, with what to do about it.
    pub fn new(
        slots: u32,
        buffers: Buffers,
        listeners: Vec<OwnedFd>,
        wake: EventFdWaker,
    ) -> Result<Self, SetupError> {
        let (ring, mut features) = setup::build()?;
        let mut buffers = BufRing::new(Buffers::new(buffers.count, buffers.size));
        buffers.commit();
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
            listeners,
            accepts: 0,
            wake,
            features,
            start: Instant::now(),
            pinned: Vec::new(),
            queued: HashMap::new(),
            spent: Vec::new(),
            backlog: VecDeque::new(),
            own_events: VecDeque::new(),
            receives: 0,
            stats: RingStats::default(),
        };
        setup?;
        this.watch_wake();
        Ok(this)
    }

    fn register(
        submitter: &Submitter<'_>,
        slots: u32,
        buffers: &BufRing,
    ) -> Result<(), SetupError> {
        let slots = slots.min(Token::MAX_SLOTS);
        submitter.register_files_sparse(slots).map_err(|error| setup::explain_io(&error))?;
        // Half-closing is the only operation that needs a kernel thread; one is enough.
        let _ = submitter.register_iowq_max_workers(&mut [1, 1]);
        // SAFETY: the ring of buffers has as many entries as said, page-aligned, and lives until
        // after the io_uring is closed: `drop` sees to the order.
        unsafe {
            submitter.register_buf_ring_with_flags(
                buffers.address(),
                buffers.count(),
                BUFFER_GROUP,
                0,
            )
        }
        .map_err(|error| setup::explain_io(&error))
    }

    /// What this kernel offers and what is used of it.
    #[must_use]
    pub const fn features(&self) -> &Features {
        &self.features
    }

    fn watch_wake(&mut self) {
        const READABLE: u32 = 1;
        let entry = opcode::PollAdd::new(Fd(self.wake.as_raw_fd()), READABLE)
            .multi(true)
            .build()
            .user_data(Tag::plain(Kind::Wake, 0).0);
        self.push(entry);
    }

    /// Queues a submission. Everything it points to must live until its completion; the callers,
    /// all in this file, keep it in `pinned`, `queued` or `buffers`.
    #[inline]
    fn push(&mut self, entry: Entry) {
        if self.backlog.is_empty() && self.try_push(&entry) {
            return;
        }
        // The queue is full: let the kernel take what is there. This runs no completions, so it
        // may happen in the middle of a turn.
        self.backlog.push_back(entry);
        self.submit_backlog();
    }

    #[inline]
    fn try_push(&mut self, entry: &Entry) -> bool {
        let Some(queues) = &mut self.queues else { return false };
        // SAFETY: the memory that the entry refers to is owned by this ring until the completion
        // (see `push`), or is an argument of no pointer at all.
        unsafe { queues.sq.push(entry) }.is_ok()
    }

    fn submit_backlog(&mut self) {
        while !self.backlog.is_empty() {
            if self.call(0, EnterFlags::empty(), None).is_err() {
                self.stats.refused += 1;
                return;
            }
            let mut moved = false;
            while let Some(entry) = self.backlog.pop_front() {
                if !self.try_push(&entry) {
                    self.backlog.push_front(entry);
                    break;
                }
                moved = true;
            }
            if !moved {
                return;
            }
        }
    }

    /// One call into the kernel with everything that is queued.
    fn call(
        &mut self,
        want: u32,
        flags: EnterFlags,
        wait: Option<Duration>,
    ) -> Result<(), Errno> {
        self.stats.enters += 1;
        let Some(queues) = &mut self.queues else { return Err(Errno::BADF) };
        queues.sq.sync();
        #[allow(clippy::cast_possible_truncation, reason = "at most the queue's 256 entries")]
        let count = queues.sq.len() as u32;
        let timespec = Timespec::from(wait.unwrap_or_default());
        let args = SubmitArgs::new().timespec(&timespec);
        let (flags, args) = match wait {
            Some(_) => (flags | EnterFlags::EXT_ARG, Some(&args)),
            None => (flags, None),
        };
        // SAFETY: the entries are valid as `push` promises; the argument lives until the call
        // returns and has the size that the flag EXT_ARG stands for.
        let result = unsafe { queues.submitter.enter(count, want, flags.bits(), args) };
        queues.sq.sync();
        result.map(drop).map_err(|error| setup::errno_of(&error))
    }

    fn send_pinned(&mut self, token: Token, pointer: *const u8, len: usize, payload: Payload) {
        let (Ok(index), Ok(len)) = (u16::try_from(self.pinned.len()), u32::try_from(len)) else {
            // No room to name it: to the caller that is a socket that took nothing.
            let event = Event::FellShort { token, rest: payload, error: None };
            return self.own_events.push_back(event);
        };
        self.pinned.push(Some(payload));
        let entry = opcode::Send::new(Fixed(token.slot), pointer, len)
            .flags(NOW)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Tag::new(Kind::SendNow, token, index).0);
        self.push(entry);
    }

    fn cancel(&mut self, target: Tag) {
        let entry = opcode::AsyncCancel::new(target.0)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Tag::plain(Kind::Ignore, 0).0);
        self.push(entry);
    }

    #[inline]
    fn translate(&mut self, cqe: &cqueue::Entry) -> Option<Event> {
        let tag = Tag(cqe.user_data());
        let (result, flags) = (cqe.result(), cqe.flags());
        let (token, armed) = (tag.token(), cqueue::more(flags));
        match tag.kind()? {
            Kind::Receive => {
                self.receives -= u32::from(!armed);
                Some(Event::Received { token, outcome: self.received(result, flags), armed })
            }
            Kind::SendNow => self.fell_short(token, tag.index(), result),
            Kind::SendQueued => {
                let bytes = self.queued.remove(&token.slot)?;
                let result = outcome(result).map(|sent| sent as usize);
                Some(Event::Sent { token, bytes, result })
            }
            Kind::Accept => {
                let listener = usize::from(tag.index());
                self.accepts -= u16::from(!armed);
                Some(Event::Accepted { listener, result: outcome(result), armed })
            }
            Kind::HalfClose => Some(Event::HalfClosed { token }),
            Kind::Wake => {
                self.wake.take();
                if !armed {
                    self.watch_wake();
                }
                Some(Event::Woken)
            }
            Kind::Ignore => None,
        }
    }

    #[inline]
    fn received(&mut self, result: i32, flags: u32) -> Received {
        let buffer = cqueue::buffer_select(flags).map(|id| self.buffers.lend(id));
        match (outcome(result), buffer) {
            (Ok(len @ 1..), Some(buffer)) => Received::Data { buffer, len: len as usize },
            (outcome, buffer) => {
                // A buffer that comes with an error is ours to give back all the same.
                if let Some(buffer) = buffer {
                    self.buffers.release(buffer);
                }
                match outcome {
                    Ok(_) => Received::Eof,
                    Err(Errno::NOBUFS) => Received::NoBuffers,
                    Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => Received::Cancelled,
                    Err(errno) => Received::Failed(errno),
                }
            }
        }
    }

    fn fell_short(&mut self, token: Token, index: u16, result: i32) -> Option<Event> {
        let mut rest = self.pinned.get_mut(usize::from(index))?.take()?;
        let error = match outcome(result) {
            Ok(sent) => {
                match &mut rest {
                    Payload::Received { start, len, .. } => {
                        *start += sent;
                        *len -= sent.min(*len);
                    }
                    Payload::Owned { from, .. } => *from += sent as usize,
                }
                None
            }
            Err(Errno::AGAIN) => None,
            Err(errno) => Some(errno),
        };
        Some(Event::FellShort { token, rest, error })
    }

    /// The completion queue is empty: every submitted `send_now` without a completion is complete,
    /// so its memory is free.
    fn unpin(&mut self) {
        let submitted = match &mut self.queues {
            Some(queues) => {
                queues.sq.sync();
                queues.sq.is_empty()
            }
            None => false,
        };
        if submitted && self.backlog.is_empty() {
            for payload in self.pinned.drain(..).flatten() {
                match payload {
                    Payload::Received { buffer, .. } => self.buffers.release(buffer),
                    Payload::Owned { bytes, .. } => self.spent.push(bytes),
                }
            }
        }
        self.buffers.commit();
    }
}

/// The result of a completion, as the kernel means it.
#[allow(clippy::cast_sign_loss, reason = "checked to be positive")]
#[inline]
fn outcome(result: i32) -> Result<u32, Errno> {
    if result < 0 { Err(Errno::from_raw_os_error(-result)) } else { Ok(result as u32) }
}

impl Ring for UringRing {
    type Waker = EventFdWaker;

    fn waker(&self) -> EventFdWaker {
        self.wake.clone()
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn accept(&mut self, listener: usize) {
        let (Some(fd), Ok(index)) = (self.listeners.get(listener), u16::try_from(listener)) else {
            return;
        };
        let entry = opcode::AcceptMulti::new(Fd(fd.as_raw_fd()))
            .allocate_file_index(true)
            .build()
            .user_data(Tag::plain(Kind::Accept, index).0);
        self.accepts += 1;
        self.push(entry);
    }

    fn stop_accepting(&mut self) {
        for index in 0..self.listeners.len() {
            let index = u16::try_from(index).unwrap_or(u16::MAX);
            self.cancel(Tag::plain(Kind::Accept, index));
        }
        // The accepts hold the sockets until they are cancelled, at the next call.
        self.listeners.clear();
    }

    fn receive(&mut self, token: Token, poll_first: bool) {
        let mut entry = opcode::RecvMulti::new(Fixed(token.slot), BUFFER_GROUP)
            .build()
            .user_data(Tag::new(Kind::Receive, token, 0).0);
        if poll_first {
            // SAFETY: an entry is the 64 bytes of `struct io_uring_sqe`, whose `ioprio` is the
            // u16 at byte 2; `entry` is ours alone.
            unsafe { *(&raw mut entry).cast::<u16>().add(1) |= POLL_FIRST };
        }
        self.receives += 1;
        self.push(entry);
    }

    fn cancel_receive(&mut self, token: Token) {
        self.cancel(Tag::new(Kind::Receive, token, 0));
    }

    #[inline]
    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.buffers.bytes(buffer)
    }

    #[inline]
    fn release(&mut self, buffer: Buffer) {
        self.buffers.release(buffer);
    }

    #[inline]
    fn send_now(&mut self, token: Token, payload: Payload) {
        let (pointer, len) = match &payload {
            Payload::Received { buffer, start, len } => {
                (self.buffers.pointer(buffer, *start), *len as usize)
            }
            Payload::Owned { bytes, from } => {
                let bytes = bytes.get(*from..).unwrap_or_default();
                (bytes.as_ptr(), bytes.len())
            }
        };
        self.send_pinned(token, pointer, len, payload);
    }

    fn send_queued(&mut self, token: Token, bytes: Vec<u8>, from: usize, max: usize) {
        let piece = bytes.get(from..).unwrap_or_default();
        let len = u32::try_from(piece.len().min(max)).unwrap_or(u32::MAX);
        let entry = opcode::Send::new(Fixed(token.slot), piece.as_ptr(), len)
            .flags(QUEUED)
            .build()
            .user_data(Tag::new(Kind::SendQueued, token, 0).0);
        // The bytes stay where they are when the vector moves.
        let earlier = self.queued.insert(token.slot, bytes);
        debug_assert!(earlier.is_none(), "one queued send for a connection at a time");
        self.push(entry);
    }

    fn cancel_send(&mut self, token: Token) {
        self.cancel(Tag::new(Kind::SendQueued, token, 0));
    }

    fn half_close(&mut self, token: Token) {
        const SHUT_WR: i32 = 1;
        let entry = opcode::Shutdown::new(Fixed(token.slot), SHUT_WR)
            .build()
            .user_data(Tag::new(Kind::HalfClose, token, 0).0);
        self.push(entry);
    }

    fn close(&mut self, token: Token) {
        let entry = opcode::Close::new(Fixed(token.slot))
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Tag::plain(Kind::Ignore, 0).0);
        self.push(entry);
    }

    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        self.buffers.commit();
        self.submit_backlog();
        let wait = if self.backlog.is_empty() && self.own_events.is_empty() { wait } else { None };
        let mut flags = EnterFlags::GETEVENTS;
        if self.features.no_iowait {
            flags |= EnterFlags::NO_IOWAIT;
        }
        let result = self.call(u32::from(wait.is_some()), flags, wait);
        if let Some(queues) = &mut self.queues {
            queues.cq.sync();
            match result {
                Ok(()) | Err(Errno::TIME | Errno::INTR) => {}
                // The completion queue ran over: what is in it goes first.
                Err(Errno::BUSY | Errno::BADR) => self.stats.refused += 1,
                Err(Errno::AGAIN | Errno::NOMEM) => {
                    self.stats.refused += 1;
                    // With nothing to do meanwhile, give the system a moment.
                    if queues.cq.is_empty() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    #[inline]
    fn next_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.own_events.pop_front() {
                return Some(event);
            }
            let queues = self.queues.as_mut()?;
            if let Some(cqe) = queues.cq.next() {
                match self.translate(&cqe) {
                    Some(event) => return Some(event),
                    None => continue,
                }
            }
            queues.cq.sync();
            if !queues.cq.is_empty() {
                continue;
            }
            // Completions that did not fit wait inside the kernel; a failed send may be among
            // them, so its memory is not free before they are seen.
            if queues.sq.cq_overflow() {
                self.stats.overflows += 1;
                if self.call(0, EnterFlags::GETEVENTS, None).is_ok() {
                    let queues = self.queues.as_mut()?;
                    queues.cq.sync();
                    if !queues.cq.is_empty() {
                        continue;
                    }
                }
                return None;
            }
            self.unpin();
            return None;
        }
    }

    fn spent(&mut self) -> Option<Vec<u8>> {
        self.spent.pop()
    }

    fn stats(&self) -> RingStats {
        #[allow(clippy::cast_possible_truncation, reason = "not above the number of slots")]
        let queued = self.queued.len() as u32;
        RingStats {
            buffers_lent: self.buffers.lent(),
            in_flight: self.receives + u32::from(self.accepts) + queued,
            ..self.stats
        }
    }
}

impl Drop for UringRing {
    fn drop(&mut self) {
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
        }
        // SAFETY: `ring` came from `Box::into_raw` in `new`, and the views into it are gone.
        drop(unsafe { Box::from_raw(ptr::replace(&raw mut self.ring, ptr::null_mut())) });
        if !idle {
            // Better lost than written to after it was freed.
            std::mem::forget(std::mem::take(&mut self.queued));
            std::mem::forget(std::mem::replace(&mut self.buffers, BufRing::new(Buffers::new(2, 64))));
        }
    }
}
