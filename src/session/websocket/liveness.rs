//! Whether the peer is still there: pings after silence, and the idle timeout.

use crate::base::{Millis, SendProgress};
use crate::config::Config;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::append_frame;
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::progress::ReadTracker;
use crate::session::reason::{CloseReason, Policy};
use crate::session::state::{Phase, Session};

/// How often the peer's progress is queried between a ping and the time its pong is due.
const QUERIES: u32 = 3;

impl Session {
    /// Restarts the silence timers: the peer was not being read, so its silence proves nothing. An
    /// incomplete message has [`Timeouts::message`](crate::config::Timeouts::message) from now on
    /// at least. The time for what has come of it is not given again, or a peer could hold that
    /// for as long once more whenever something of it waits.
    pub fn reset_idle(&mut self, now: Millis, config: &Config) {
        (self.last_received, self.last_message) = (now, now);
        if let Some(assembly) = &mut self.assembly {
            assembly.give_time(now);
        }
        if self.pong_due != Millis::NEVER {
            self.pong_due = now.after(config.timeouts.pong);
        }
    }

    /// Does what is due of an open connection. Returns whether the peer's progress is to be
    /// queried.
    pub(in crate::session) fn keep_alive(
        &mut self,
        now: Millis,
        backlog: usize,
        pools: &mut Pools,
        out: &mut Output,
    ) -> bool {
        let timeouts = &pools.config.timeouts;
        let (ping_after, pong, idle) = (timeouts.ping_after, timeouts.pong, timeouts.idle);
        let idle_at = idle.map_or(Millis::NEVER, |idle| self.last_message.after(idle));
        let ping_at = self.last_received.after(ping_after);
        if idle_at <= now {
            self.begin_close(now, CloseReason::Idle, "idle for too long", pools, out);
            return false;
        }
        if self.pong_due != Millis::NEVER {
            self.deadline = now.after(pong / QUERIES).min(idle_at);
            return true;
        }
        if ping_at <= now && backlog == 0 {
            append_frame(out.appendable(|| pools.buffers.take()), Opcode::Ping, false, &[]);
            self.pong_due = now.after(pong);
            // If the pong comes soon, the next ping is due before it would have been.
            self.deadline = now.after((pong / QUERIES).min(ping_after)).min(idle_at);
            return true;
        }
        let ping_at = if ping_at <= now { now.after(ping_after) } else { ping_at };
        self.deadline = ping_at.min(idle_at);
        // A peer that sends messages is not pinged. How much it is sent has to be known all the
        // same, for the time when it falls silent.
        self.last_message.after(ping_after) > now
    }

    /// The peer's progress, which [`handle_timeout`](Self::handle_timeout) wanted queried: closes
    /// the connection if its pong is overdue by the rules of [`ReadTracker`]. If the kernel does
    /// not tell, that is [`Timeouts::pong`](crate::config::Timeouts::pong) after the ping.
    pub fn handle_progress(
        &mut self,
        now: Millis,
        progress: Option<&SendProgress>,
        tracker: &mut ReadTracker,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        if self.phase != Phase::Open || self.is_stream() {
            return;
        }
        if let Some(progress) = progress {
            tracker.note(now, progress, self.last_received);
        }
        if self.pong_due == Millis::NEVER {
            return;
        }
        let (pong, stall) = (pools.config.timeouts.pong, pools.config.timeouts.stall);
        let due = progress.map_or(self.pong_due, |progress| {
            tracker.pong_due(progress, self.pong_due.before(pong), pong, stall)
        });
        if due <= now {
            self.begin_close(now, CloseReason::NoPong, "no pong in time", pools, out);
        } else {
            self.deadline = self.deadline.min(due);
        }
    }

    /// Whether what `tracker` has noted is of use for the next query.
    #[must_use]
    pub fn needs(&self, tracker: &ReadTracker, now: Millis, config: &Config) -> bool {
        let pong = config.timeouts.pong;
        // Most pings are answered before the first query that follows them.
        let asked_before = self.pong_due <= now.after(pong.saturating_sub(pong / QUERIES / 2));
        self.phase == Phase::Open && (asked_before || tracker.is_needed(pong))
    }

    /// What is due of an open connection: an incomplete message, then the peer itself. Returns
    /// whether the peer's progress is to be queried.
    pub(in crate::session) fn handle_open_timeout(
        &mut self,
        now: Millis,
        backlog: usize,
        pools: &mut Pools,
        out: &mut Output,
    ) -> bool {
        let timeout = pools.config.timeouts.message;
        let due = self.assembly.as_ref().map_or(Millis::NEVER, |assembly| assembly.due(timeout));
        if due <= now {
            let policy = Policy::MessageTime;
            self.begin_close(now, CloseReason::Policy(policy), policy.reason(), pools, out);
            return false;
        }
        let query = self.keep_alive(now, backlog, pools, out);
        if self.phase == Phase::Open {
            self.deadline = self.deadline.min(due);
        }
        query
    }

    /// The first deadlines of an open connection.
    pub(in crate::session) fn start_keepalive(&mut self, now: Millis, config: &Config) {
        let timeouts = &config.timeouts;
        self.last_message = now;
        let idle_at = timeouts.idle.map_or(Millis::NEVER, |idle| now.after(idle));
        self.deadline = now.after(timeouts.ping_after).min(idle_at);
    }
}
