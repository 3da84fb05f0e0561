//! Deadlines: the handshake, silence, the close handshake, lingering.

use crate::base::Millis;
use crate::config::Config;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::handshake::Rejection;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::session::{CloseReason, Connection, Handler, Output, Phase, Shared};

impl Connection {
    /// [`deadline`](Self::deadline) has come: does what is due and sets the next one. Receiving
    /// does not move the deadline, so it often turns out that nothing is due yet.
    ///
    /// `congested` says that replies still wait to be sent; a ping would only wait behind them.
    pub fn handle_timeout<H: Handler>(
        &mut self,
        now: Millis,
        congested: bool,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        match self.phase {
            Phase::Opening if self.aside.is_some() => {
                self.refuse(now, Rejection::Timeout, shared, out);
            }
            Phase::Opening => self.end(Phase::Finished, CloseReason::NoRequest),
            Phase::Open => self.keep_alive(now, congested, shared, out),
            Phase::Closing | Phase::Lingering => {
                self.end(Phase::Finished, CloseReason::Broken);
                // For what is still queued.
                self.deadline = now.after(shared.config.timeouts.stall);
            }
            Phase::Finished => self.deadline = Millis::NEVER,
        }
    }

    /// Its silence up to now is no sign of anything, since it was not read from.
    pub fn excuse(&mut self, now: Millis, config: &Config) {
        (self.last_received, self.last_message) = (now, now);
        if self.pong_due != Millis::NEVER {
            self.pong_due = now.after(config.timeouts.pong);
        }
    }

    fn keep_alive<H>(
        &mut self,
        now: Millis,
        congested: bool,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        let timeouts = &shared.config.timeouts;
        let (ping_after, pong, idle) = (timeouts.ping_after, timeouts.pong, timeouts.idle);
        let idle_at = idle.map_or(Millis::NEVER, |idle| self.last_message.after(idle));
        let ping_at = self.last_received.after(ping_after);
        if idle_at <= now {
            self.close(now, CloseCode::GOING_AWAY, "idle for too long", shared, out);
        } else if self.pong_due <= now {
            self.close(now, CloseCode::GOING_AWAY, "no pong in time", shared, out);
        } else if self.pong_due != Millis::NEVER {
            self.deadline = self.pong_due.min(idle_at);
        } else if ping_at <= now && !congested {
            append_frame(self.output(shared, out), Opcode::Ping, false, &[]);
            self.pong_due = now.after(pong);
            // If the pong comes soon, the next ping is due before it would have been.
            self.deadline = self.pong_due.min(now.after(ping_after)).min(idle_at);
        } else {
            let ping_at = if ping_at <= now { now.after(ping_after) } else { ping_at };
            self.deadline = ping_at.min(idle_at);
        }
    }

    /// Messages may pass from here on: the first deadlines of an open connection.
    pub(in crate::session) fn start_keepalive<H>(&mut self, now: Millis, shared: &Shared<H>) {
        let timeouts = &shared.config.timeouts;
        self.last_message = now;
        let idle_at = timeouts.idle.map_or(Millis::NEVER, |idle| now.after(idle));
        self.deadline = now.after(timeouts.ping_after).min(idle_at);
    }
}
