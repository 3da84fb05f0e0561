//! The one call that may sleep, and the order in which its results are handed out.

use std::mem;
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventFlags};

use super::table::Flags;
use super::{ACCEPTS, CONNECTION, EpollDriver, LISTENER, RECEIVES, REPORTS, WAKE};
use crate::io::{Errno, Event, RESENT};

/// After one of these there may be something to receive, if only an end or an error.
const RECEIVABLE: EventFlags = EventFlags::IN.union(BEHIND_DATA);
/// What stands behind data in the receive buffer and does not show in the length of a receive. At
/// urgent data a receive ends early.
const BEHIND_DATA: EventFlags =
    EventFlags::RDHUP.union(EventFlags::HUP).union(EventFlags::ERR).union(EventFlags::PRI);
/// After one of these a queued send takes something, or fails.
const SENDABLE: EventFlags = EventFlags::OUT.union(EventFlags::HUP).union(EventFlags::ERR);

/// What is asked of a connection: if it is a receive alone, which is not listed yet, bytes that
/// came are the usual case.
const ASKED: Flags = Flags::RECEIVING.union(Flags::IN_READABLE).union(Flags::SENDING);

/// What a connection is registered for.
pub(super) const CONNECTION_EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::PRI)
    .union(EventFlags::ET);

impl EpollDriver {
    /// Collects what is ready. Sleeps for `wait` at most, and only if nothing is left from before.
    pub(super) fn wait_for_reports(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        let wait = wait.filter(|_| !self.has_work()).unwrap_or_default();
        let timeout = Timespec::try_from(wait).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        self.stats.enters += 1;
        let mut reports = mem::take(&mut self.reports);
        reports.clear();
        // The capacity is that of `new`.
        debug_assert!(reports.capacity() >= REPORTS);
        let result = epoll::wait(&self.epoll, spare_capacity(&mut reports), Some(&timeout));
        for report in &reports {
            // Copied, as the struct of the kernel is packed.
            let (data, flags) = (report.data, report.flags);
            self.on_report(data.u64(), flags);
        }
        self.reports = reports;
        self.due = self.events.len();
        (self.accepts_left, self.receives_left, self.resend_left) = (ACCEPTS, RECEIVES, RESENT);
        self.has_rare = self.due > 0 || !self.writable.is_empty() || self.may_accept();
        match result {
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(errno) => Err(errno),
        }
    }

    /// Whether there are events without asking the kernel.
    fn has_work(&self) -> bool {
        !self.events.is_empty()
            || !self.readable.is_empty()
            || !self.writable.is_empty()
            || self.may_accept()
    }

    #[inline]
    fn on_report(&mut self, data: u64, flags: EventFlags) {
        #[allow(clippy::cast_possible_truncation, reason = "the lower half is the index")]
        let index = data as u32;
        match data - u64::from(index) {
            CONNECTION => self.on_ready(index, flags),
            kind => self.on_other_report(kind, index as usize),
        }
    }

    #[cold]
    #[inline(never)]
    fn on_other_report(&mut self, kind: u64, index: usize) {
        match kind {
            LISTENER => {
                // A listener that is closed may be reported while a child process that was just
                // started still has it.
                if let Some(listener) = self.listeners.get_mut(index) {
                    listener.is_ready = true;
                }
            }
            // The count of the eventfd is left as it is: each write is a new edge.
            WAKE => self.events.push_back(Event::Woken),
            _ => {}
        }
    }

    /// A slot without a connection is reported only as said above, and one with another connection
    /// is tried in vain.
    #[inline]
    fn on_ready(&mut self, index: u32, flags: EventFlags) {
        let Some(slot) = self.table.get_mut(index) else { return };
        if flags.intersection(RECEIVABLE) == EventFlags::IN
            && slot.flags.intersection(ASKED) == Flags::RECEIVING
        {
            slot.flags.insert(Flags::READABLE | Flags::IN_READABLE);
            self.readable.push_back(index);
        } else {
            self.on_ready_otherwise(index, flags);
        }
    }

    /// There is more than data for one who waits for them, or something else.
    #[cold]
    #[inline(never)]
    fn on_ready_otherwise(&mut self, index: u32, flags: EventFlags) {
        let Some(slot) = self.table.get_mut(index) else { return };
        if flags.intersects(RECEIVABLE) {
            slot.flags.insert(Flags::READABLE);
            if flags.intersects(BEHIND_DATA) {
                slot.flags.insert(Flags::TO_THE_END);
            }
            if slot.flags.contains(Flags::RECEIVING) && !slot.flags.contains(Flags::IN_READABLE) {
                slot.flags.insert(Flags::IN_READABLE);
                self.readable.push_back(index);
            }
        }
        if flags.intersects(SENDABLE)
            && slot.flags.contains(Flags::SENDING)
            && !slot.flags.contains(Flags::IN_WRITABLE)
        {
            slot.flags.insert(Flags::IN_WRITABLE);
            self.writable.push_back(index);
        }
    }

    /// The next event that is not received data.
    #[cold]
    pub(super) fn next_rare_event(&mut self) -> Option<Event> {
        if self.due > 0 {
            self.due -= 1;
            if let Some(event) = self.events.pop_front() {
                return Some(event);
            }
        }
        if let Some(event) = self.next_resent() {
            return Some(event);
        }
        let event = self.next_accepted();
        self.has_rare = event.is_some();
        event
    }
}
