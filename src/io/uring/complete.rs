//! From the kernel: completions become events.

use std::os::fd::RawFd;
use std::rc::Rc;

use io_uring::{EnterFlags, cqueue};

use super::UringRing;
use super::tag::{Kind, Tag};
use super::tcp;
use crate::base::{Chunk, ConnectionId, SendProgress};
use crate::io::{Data, Errno, Event, Payload, Received, Wake};

impl UringRing {
    /// The events of its own, the next of the kernel's, or the end of those, by which the memory
    /// of all sends is free.
    #[inline(never)]
    pub(super) fn next_rare_event(&mut self) -> Option<Event> {
        loop {
            if let Some(event) = self.own_events.pop_front() {
                return Some(event);
            }
            let queues = self.queues.as_mut()?;
            if let Some(cqe) = queues.cq.next() {
                match self.translate(Tag(cqe.user_data()), cqe.result(), cqe.flags()) {
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

    /// Has what is queued sent before anything is received: more buffers hold replies than are left
    /// to receive into, and those that are sent can be given back before. A call that asks for no
    /// events submits only, and completes what fails at once.
    #[cold]
    pub(super) fn send_first(&mut self) {
        if self.call(0, EnterFlags::empty(), None).is_err() {
            return;
        }
        if let Some(queues) = &mut self.queues {
            queues.cq.sync();
        }
        while let Some(cqe) = self.queues.as_mut().and_then(|queues| queues.cq.next()) {
            self.keep_event(Tag(cqe.user_data()), cqe.result(), cqe.flags());
        }
        // Failures among what overflowed are not known yet.
        if self.queues.as_ref().is_some_and(|queues| !queues.sq.cq_overflow()) {
            self.unpin();
        }
    }

    /// Only bytes that came on a receive that stays armed.
    #[inline(always)]
    pub(super) fn translate_data(&mut self, tag: Tag, result: i32, flags: u32) -> Option<Data> {
        let len = usize::try_from(result).ok()?;
        if len == 0 || !tag.is_receive() || !cqueue::more(flags) {
            return None;
        }
        let buffer = self.buffers.lend(cqueue::buffer_select(flags)?);
        Some(Data { id: tag.id(), buffer, len })
    }

    /// The next completion, if it is the usual one; what else is next becomes an own event.
    /// Inlined, so that what came is never in memory.
    #[inline(always)]
    pub(super) fn take_data(&mut self) -> Option<Data> {
        if !self.own_events.is_empty() {
            return None;
        }
        let cqe = self.queues.as_mut()?.cq.next()?;
        let (tag, result, flags) = (Tag(cqe.user_data()), cqe.result(), cqe.flags());
        let data = self.translate_data(tag, result, flags);
        if data.is_none() {
            self.keep_event(tag, result, flags);
        }
        data
    }

    /// Keeps what a completion means for [`next_rare_event`](Self::next_rare_event).
    #[inline(never)]
    pub(super) fn keep_event(&mut self, tag: Tag, result: i32, flags: u32) {
        if let Some(event) = self.translate(tag, result, flags) {
            self.own_events.push_back(event);
        }
    }

    fn translate(&mut self, tag: Tag, result: i32, flags: u32) -> Option<Event> {
        let (id, armed) = (tag.id(), cqueue::more(flags));
        match tag.kind()? {
            Kind::Receive => {
                self.receives = self.receives.saturating_sub(u32::from(!armed));
                Some(Event::Received { id, outcome: self.received(result, flags), armed })
            }
            Kind::SendNow => {
                let rest = self.pinned.get_mut(usize::from(tag.index()))?.take()?;
                Some(short_send(id, rest, result))
            }
            Kind::SendShared => {
                let bytes = Rc::clone(self.shared.get(usize::from(tag.index()))?);
                Some(short_send(id, Payload::Chunk(Chunk::Shared { bytes, from: 0 }), result))
            }
            Kind::SendQueued => self.queued_tried(id, outcome(result)),
            Kind::Writable => self.queued_has_room(id),
            Kind::Accept => {
                self.accepts = self.accepts.saturating_sub(u32::from(!armed));
                self.accepted(usize::from(tag.index()), id.slot, outcome(result), armed)
            }
            Kind::Progress => Some(Event::Progress { id, progress: self.end_query(result) }),
            Kind::CancelReceive => Some(Event::NotCancelled { id }),
            Kind::HalfClose => Some(Event::HalfClosed { id }),
            Kind::Wake => {
                self.wake.take();
                if !armed {
                    self.watch_wake();
                }
                Some(Event::Woken)
            }
            Kind::PeerWake => Some(Event::Woken),
            Kind::WakePeer => {
                // The message failed: wake that ring through its eventfd.
                self.known_peers.get(usize::from(tag.index()))?.wake();
                None
            }
            Kind::CloseListener => self.accept_is_cancelled(usize::from(tag.index())),
            Kind::Ignore => None,
        }
    }

    #[inline]
    fn received(&mut self, result: i32, flags: u32) -> Received {
        let buffer = cqueue::buffer_select(flags).map(|id| self.buffers.lend(id));
        match (outcome(result), buffer) {
            (Ok(len @ 1..), Some(buffer)) => Received::Data { buffer, len: len as usize },
            (outcome, buffer) => {
                // A completion with an error can come with a buffer, which has to be released too.
                if let Some(buffer) = buffer {
                    self.buffers.release(buffer);
                }
                match outcome {
                    Ok(_) => Received::Eof,
                    Err(Errno::NOBUFS) => {
                        self.buffers.miss(self.stats.enters);
                        Received::NoBuffers
                    }
                    Err(Errno::CANCELED | Errno::INTR | Errno::AGAIN) => Received::Cancelled,
                    Err(errno) => Received::Failed(errno),
                }
            }
        }
    }

    /// The answer of a query whose descriptor was installed as `result`. The next one may begin: if
    /// its connection has ended meanwhile, its answer is about nothing or about another connection,
    /// and carries an id that is no longer valid.
    pub(super) fn end_query(&mut self, result: RawFd) -> Option<SendProgress> {
        self.queries.installed = self.queries.installed.saturating_sub(1);
        if let Some(next) = self.queries.waiting.pop_front() {
            self.query(next);
        }
        tcp::progress_of_installed(result)
    }

    /// The completion queue is empty: every `send_now` without a completion is complete if it was
    /// submitted, so its memory is free.
    pub(super) fn unpin(&mut self) {
        if self.submitted {
            self.submitted = false;
            self.shared.clear();
            while let Some(pinned) = self.pinned.pop() {
                match pinned {
                    Some(Payload::Received { buffer, .. }) => self.buffers.release(buffer),
                    Some(Payload::Chunk(Chunk::Owned { bytes, .. })) => self.recycled.push(bytes),
                    Some(Payload::Chunk(Chunk::Shared { .. })) | None => {}
                }
            }
        }
        self.buffers.commit();
    }
}

fn short_send(id: ConnectionId, mut rest: Payload, result: i32) -> Event {
    let error = match outcome(result) {
        Ok(sent) => {
            rest.skip(sent as usize);
            None
        }
        Err(Errno::AGAIN) => None,
        Err(errno) => Some(errno),
    };
    Event::ShortSend { id, rest, error }
}

/// The result of a completion, as the kernel means it.
#[allow(clippy::cast_sign_loss, reason = "checked to be positive")]
#[inline]
fn outcome(result: i32) -> Result<u32, Errno> {
    if result < 0 { Err(Errno::from_raw_os_error(-result)) } else { Ok(result as u32) }
}
