//! Towards the kernel: the submission queue and the one call.
#![allow(unsafe_code, reason = "submissions hand memory to the kernel")]

use std::os::fd::RawFd;
use std::ptr;
use std::rc::Rc;
use std::time::Duration;

use io_uring::EnterFlags;
use io_uring::opcode;
use io_uring::squeue::{Entry, Flags};
use io_uring::types::{Fd, Fixed, SubmitArgs, Timespec};

use super::tag::{Kind, Tag};
use super::tcp;
use super::{BUFFER_GROUP, UringRing, setup};
use crate::base::{Chunk, ConnectionId, Shared};
use crate::io::{Errno, Event, LoopWaker, Payload, Wake};

/// A send that goes out inline, as far as the socket takes it, and tells of a rest: with WAITALL a
/// short send is an error, so that `CQE_SKIP_SUCCESS` does not swallow its completion.
const NOW: i32 = libc_flags::DONTWAIT | libc_flags::WAITALL | libc_flags::NOSIGNAL;
/// No WAITALL: a queued send completes with each part that the socket takes, which shows that the
/// peer reads. Without room it fails.
pub(super) const QUEUED: i32 = libc_flags::DONTWAIT | libc_flags::NOSIGNAL;

/// The most calls of [`UringRing::collect_ready`], and the completions with which it ends.
const MAX_CALLS: usize = 64;
const MAX_READY: usize = 1024;

/// `IORING_RECVSEND_POLL_FIRST`, for which the crate's multishot receive has no setter.
const POLL_FIRST: u16 = 1;

/// Flags of send(2).
mod libc_flags {
    pub(super) const DONTWAIT: i32 = 0x40;
    pub(super) const WAITALL: i32 = 0x100;
    pub(super) const NOSIGNAL: i32 = 0x4000;
}

impl UringRing {
    /// Puts a file of this ring into a slot, in place of that of the connection, which is closed.
    /// Returns whether that was possible.
    pub(super) fn replace_file(&self, slot: u32) -> bool {
        let (queues, fd) = (self.queues.as_ref(), self.wake.as_raw_fd());
        queues.is_some_and(|queues| queues.submitter.register_files_update(slot, &[fd]).is_ok())
    }

    /// Queues a submission. Everything it points to must live until its completion; the callers,
    /// all in this folder, keep it in `pinned`, `shared`, `queued`, `buffers`
    /// or the names of a listener.
    #[inline]
    pub(super) fn push(&mut self, entry: Entry) {
        if self.backlog.is_empty() && self.try_push(&entry) {
            return;
        }
        self.push_late(entry);
    }

    /// The queue is full: lets the kernel take what is there. This runs no completions, so it may
    /// happen in the middle of a turn.
    #[cold]
    fn push_late(&mut self, entry: Entry) {
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

    pub(super) fn submit_backlog(&mut self) {
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
    pub(super) fn call(
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
        self.submitted |= queues.sq.is_empty() && self.backlog.is_empty();
        result.map(drop).map_err(|error| setup::errno_of(&error))
    }

    /// Calls the kernel: submits what is queued, and takes what is complete.
    #[inline]
    pub(super) fn enter_ring(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        self.buffers.begin_call();
        self.submit_backlog();
        if self.buffers.lent() > u32::from(self.buffers.count()) / 2 && !self.pinned.is_empty() {
            self.send_first();
        }
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
                Err(Errno::BUSY) => self.stats.refused += 1,
                Err(Errno::AGAIN | Errno::NOMEM) => {
                    self.stats.refused += 1;
                    // With nothing to do meanwhile, give the system a moment.
                    if queues.cq.is_empty() {
                        std::thread::sleep(Duration::from_millis(1));
                    }
                }
                // Also BADR: the kernel has dropped completions, and nothing is known any more.
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }

    /// Has the kernel complete what else is ready. Since Linux 6.13 one call completes 20 to 40
    /// operations, in the order in which they became ready.
    #[cold]
    pub(super) fn collect_ready(&mut self) {
        for _ in 0..MAX_CALLS {
            let Some(queues) = &mut self.queues else { return };
            if !queues.sq.taskrun() || queues.cq.len() >= MAX_READY {
                return;
            }
            if self.call(0, EnterFlags::GETEVENTS, None).is_err() {
                return;
            }
            if let Some(queues) = &mut self.queues {
                queues.cq.sync();
            }
        }
    }

    #[inline(always)]
    pub(super) fn send_pinned(
        &mut self,
        id: ConnectionId,
        pointer: *const u8,
        len: usize,
        payload: Payload,
    ) {
        let index = self.pinned.len();
        self.pinned.push(Some(payload));
        let (Ok(index), Ok(len)) = (u16::try_from(index), u32::try_from(len)) else {
            return self.give_back(id);
        };
        self.push_send(Kind::SendNow, id, (pointer, len), index);
    }

    /// There is no room to name the payload that was pinned last: to the caller that is a socket
    /// that took nothing.
    #[cold]
    fn give_back(&mut self, id: ConnectionId) {
        if let Some(rest) = self.pinned.pop().flatten() {
            self.own_events.push_back(Event::ShortSend { id, rest, error: None });
        }
    }

    /// One place for what all of `ids` are sent.
    #[inline]
    pub(super) fn send_pinned_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        let (index, len) = (u16::try_from(self.shared.len()), u32::try_from(bytes.len()));
        let (Ok(index), Ok(len)) = (index, len) else {
            for id in ids {
                let rest = Payload::Chunk(Chunk::Shared { bytes: Rc::clone(bytes), from: 0 });
                let event = Event::ShortSend { id: *id, rest, error: None };
                self.own_events.push_back(event);
            }
            return;
        };
        let pointer = bytes.as_ptr();
        self.shared.push(Rc::clone(bytes));
        for id in ids {
            self.push_send(Kind::SendShared, *id, (pointer, len), index);
        }
    }

    /// [`push`](Self::push) of a send, which is built in its place in the queue.
    #[inline]
    fn push_send(&mut self, kind: Kind, id: ConnectionId, bytes: (*const u8, u32), index: u16) {
        let tag = Tag::new(kind, id, index);
        if !self.backlog.is_empty() || !self.try_push(&send_entry(id, bytes, tag)) {
            self.push_send_late(id, bytes, tag);
        }
    }

    #[cold]
    fn push_send_late(&mut self, id: ConnectionId, bytes: (*const u8, u32), tag: Tag) {
        self.push_late(send_entry(id, bytes, tag));
    }

    /// Sends a message (`MSG_RING`) to another ring, where it arrives as a completion. `index` is
    /// the position of its waker in `known_peers`.
    pub(super) fn send_peer_wake(&mut self, ring: RawFd, index: u16) {
        let message = Tag::plain(Kind::PeerWake, 0).0;
        let entry = opcode::MsgRingData::new(Fd(ring), 0, message, None)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(Tag::plain(Kind::WakePeer, index).0);
        self.push(entry);
    }

    /// Cancels the operation `target`. A failure has a completion with the tag `failed`.
    pub(super) fn cancel(&mut self, target: Tag, failed: Tag) {
        let entry = opcode::AsyncCancel::new(target.0)
            .build()
            .flags(Flags::SKIP_SUCCESS)
            .user_data(failed.0);
        self.push(entry);
    }

    pub(super) fn push_receive(&mut self, id: ConnectionId, poll_first: bool) {
        let mut entry = opcode::RecvMulti::new(Fixed(id.slot), BUFFER_GROUP)
            .build()
            .user_data(Tag::new(Kind::Receive, id, 0).0);
        if poll_first {
            let words = (&raw mut entry).cast::<u16>();
            // SAFETY: an entry is the 64 bytes of `struct io_uring_sqe`, so a second u16 lies
            // inside.
            let ioprio = unsafe { words.add(1) };
            // SAFETY: the u16 at byte 2 is the field `ioprio`, initialised like all of the entry,
            // which is ours alone.
            unsafe { *ioprio |= POLL_FIRST };
        }
        self.receives += 1;
        self.push(entry);
    }

    /// A receive that is tried when it is submitted, and so before those that wait for readiness.
    pub(super) fn push_receive_once(&mut self, id: ConnectionId) {
        let entry = opcode::Recv::new(Fixed(id.slot), ptr::null_mut(), 0)
            .buf_group(BUFFER_GROUP)
            .build()
            .flags(Flags::BUFFER_SELECT)
            .user_data(Tag::new(Kind::Receive, id, 0).0);
        self.receives += 1;
        self.push(entry);
    }

    /// Watches the eventfd.
    pub(super) fn watch_wake(&mut self) {
        const READABLE: u32 = 1;
        let entry = opcode::PollAdd::new(Fd(self.wake.as_raw_fd()), READABLE)
            .multi(true)
            .build()
            .user_data(Tag::plain(Kind::Wake, 0).0);
        self.push(entry);
    }

    /// Wakes another ring. If that ring exists, by a message (`MSG_RING`) with the next call into
    /// the kernel; otherwise through its eventfd.
    pub(super) fn wake_ring(&mut self, peer: &LoopWaker) {
        let known = self.known_peers.iter().position(|known| known.is_same(peer));
        let index = known.unwrap_or(self.known_peers.len());
        if known.is_none() {
            self.known_peers.push(peer.clone());
        }
        match (peer.ring(), u16::try_from(index)) {
            (Some(ring), Ok(index)) => self.send_peer_wake(ring, index),
            _ => peer.wake(),
        }
    }

    /// Has an ordinary descriptor made for a connection, through which its progress is asked for.
    pub(super) fn query(&mut self, id: ConnectionId) {
        if !self.features.progress {
            return self.own_events.push_back(Event::Progress { id, progress: None });
        }
        if self.queries.installed >= tcp::MAX_INSTALLED {
            return self.queries.waiting.push_back(id);
        }
        self.queries.installed += 1;
        let entry = opcode::FixedFdInstall::new(Fixed(id.slot), 0)
            .build()
            .user_data(Tag::new(Kind::Progress, id, 0).0);
        self.push(entry);
    }
}

/// A send that has a completion only if it fell short.
#[inline]
fn send_entry(id: ConnectionId, bytes: (*const u8, u32), tag: Tag) -> Entry {
    opcode::Send::new(Fixed(id.slot), bytes.0, bytes.1)
        .flags(NOW)
        .build()
        .flags(Flags::SKIP_SUCCESS)
        .user_data(tag.0)
}
