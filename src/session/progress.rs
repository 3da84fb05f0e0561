//! The rules that distinguish a slow reader from a peer that reads nothing or is gone. They use
//! what the kernel of this side knows of the peer. No socket and no clock: progress and time are
//! arguments.

use std::time::Duration;

use crate::base::{Millis, SendProgress};

/// The lowest rate, in bytes per second, at which a peer is expected to read. A pong has the time
/// that reading everything before its ping takes at this rate, and never less than
/// [`Timeouts::pong`](crate::config::Timeouts::pong).
pub const SLOWEST_READER: u64 = 8 << 10;
/// No more bytes than these are expected in a peer's receive buffer, so no longer than reading them
/// takes is waited for.
const RECEIVE_BUFFER: u64 = 4 << 20;
/// The edge of the window has to move by this number of bytes to count as progress. A window is
/// advertised in units of up to some KiB, and moves by less when a kernel changes its accounting.
const STEP: u64 = 4 << 10;

/// The right edge of a peer's receive window, when it last moved.
#[derive(Clone, Copy, Debug, Default)]
pub struct WindowEdge(u64);

impl WindowEdge {
    /// Whether the edge has moved on since the last time that it had, or since the first call: what
    /// moved before is not known.
    pub fn advances(&mut self, edge: u64) -> bool {
        let is_first = self.0 == 0;
        let moved = edge >= self.0.saturating_add(STEP);
        if moved || is_first {
            self.0 = edge;
        }
        moved && !is_first
    }
}

/// What is remembered of a peer from one query of its progress to the next.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadTracker {
    /// Bytes that the peer is taken to have read, since it spoke after they had been written.
    read: u64,
    /// The value of `read` as soon as it speaks after `marked_at`.
    mark: u64,
    marked_at: Millis,
    /// When the ping was sent that waits for its pong, and the bytes that were written before it.
    pinged_at: Millis,
    pinged: u64,
    edge: WindowEdge,
    moved_at: Millis,
}

impl ReadTracker {
    /// Takes note of how far the peer is, and of when it last spoke.
    pub(super) fn note(&mut self, now: Millis, progress: &SendProgress, last_received: Millis) {
        if last_received > self.marked_at {
            (self.read, self.mark, self.marked_at) = (self.mark, progress.written, now);
        }
        if self.edge.advances(progress.window_edge) {
            self.moved_at = now;
        }
    }

    /// When the pong of the ping sent at `pinged_at` is overdue, unless there is progress before.
    ///
    /// - Until the ping is acknowledged: `pong` after the last progress; or `stall`, if the peer's
    ///   kernel is there: it has closed its window, or acknowledged something a short time ago.
    ///   With segments lost on a slow path it may acknowledge the same for long.
    /// - Then also the time to read all before the ping at [`SLOWEST_READER`], as far as a receive
    ///   buffer holds it: the peer's kernel does not tell how far its program is.
    pub(super) fn pong_due(
        &mut self,
        progress: &SendProgress,
        pinged_at: Millis,
        pong: Duration,
        stall: Duration,
    ) -> Millis {
        if self.pinged_at != pinged_at {
            (self.pinged_at, self.pinged) = (pinged_at, progress.written);
        }
        let has_more = progress.acked < progress.written;
        let is_closed = has_more && !progress.in_flight;
        let since = self.moved_at.max(pinged_at);
        if progress.acked <= self.pinged && has_more {
            let is_there = is_closed || progress.since_ack() < pong / 2;
            return since.after(if is_there { pong.max(stall) } else { pong });
        }
        let before_it = self.pinged.saturating_sub(self.read).min(RECEIVE_BUFFER);
        let patience = if is_closed { pong.max(stall) } else { pong };
        since.after(patience.max(reading_time(before_it)))
    }

    /// Whether it is worth its memory while no pong is owed: not before so much has been written
    /// that reading it may take longer than a pong may.
    pub(super) fn is_needed(&self, pong: Duration) -> bool {
        reading_time(self.mark) > pong
    }
}

const fn reading_time(bytes: u64) -> Duration {
    Duration::from_millis(bytes.saturating_mul(1000) / SLOWEST_READER)
}

#[cfg(test)]
mod tests;
