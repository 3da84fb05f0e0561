//! Whether the peer is still there: pings after silence, and the idle timeout.

use crate::base::Millis;
use crate::config::Config;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::outbound::Output;
use crate::session::pools::Pools;
use crate::session::state::{Phase, Session};

impl Session {
    /// Restarts the silence timers: the peer was not being read, so its silence proves nothing.
    pub fn reset_idle(&mut self, now: Millis, config: &Config) {
        (self.last_received, self.last_message) = (now, now);
        if let Some(assembly) = &mut self.assembly {
            assembly.begun = now;
        }
        if self.pong_due != Millis::NEVER {
            self.pong_due = now.after(config.timeouts.pong);
        }
    }

    pub(in crate::session) fn keep_alive(
        &mut self,
        now: Millis,
        backlog: usize,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let timeouts = &pools.config.timeouts;
        let (ping_after, pong, idle) = (timeouts.ping_after, timeouts.pong, timeouts.idle);
        let idle_at = idle.map_or(Millis::NEVER, |idle| self.last_message.after(idle));
        let ping_at = self.last_received.after(ping_after);
        if idle_at <= now {
            self.begin_close(now, CloseCode::GOING_AWAY, "idle for too long", pools, out);
        } else if self.pong_due <= now {
            self.begin_close(now, CloseCode::GOING_AWAY, "no pong in time", pools, out);
        } else if self.pong_due != Millis::NEVER {
            self.deadline = self.pong_due.min(idle_at);
        } else if ping_at <= now && backlog == 0 {
            append_frame(out.appendable(|| pools.buffers.take()), Opcode::Ping, false, &[]);
            self.pong_due = now.after(pong);
            // If the pong comes soon, the next ping is due before it would have been.
            self.deadline = self.pong_due.min(now.after(ping_after)).min(idle_at);
        } else {
            let ping_at = if ping_at <= now { now.after(ping_after) } else { ping_at };
            self.deadline = ping_at.min(idle_at);
        }
    }

    /// What is due of an open connection: an incomplete message, then the peer itself.
    pub(in crate::session) fn handle_open_timeout(
        &mut self,
        now: Millis,
        backlog: usize,
        pools: &mut Pools,
        out: &mut Output,
    ) {
        let timeout = pools.config.timeouts.message;
        let due = self.assembly.as_ref().map_or(Millis::NEVER, |assembly| assembly.due(timeout));
        if due <= now {
            let (code, reason) = (CloseCode::POLICY_VIOLATION, "a message takes too long");
            return self.begin_close(now, code, reason, pools, out);
        }
        self.keep_alive(now, backlog, pools, out);
        if self.phase == Phase::Open {
            self.deadline = self.deadline.min(due);
        }
    }

    /// The first deadlines of an open connection.
    pub(in crate::session) fn start_keepalive(&mut self, now: Millis, config: &Config) {
        let timeouts = &config.timeouts;
        self.last_message = now;
        let idle_at = timeouts.idle.map_or(Millis::NEVER, |idle| now.after(idle));
        self.deadline = now.after(timeouts.ping_after).min(idle_at);
    }
}
