//! Stopping: no new connections, a close frame to all there are, and a limit to the patience.

use std::time::Duration;

use super::core::{BATCH, Core};
use super::draining::{Drain, Manner};
use super::slots::{Blocked, Receive};
use super::spread::Spread;
use crate::base::Millis;
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, Outbound, Phase};

/// How often receives are armed again while connections are waited for.
const REARM_EVERY: Duration = Duration::from_millis(250);

/// Why the connections end that are cut.
const GOING_AWAY: CloseReason = CloseReason::Local(CloseCode::GOING_AWAY);

/// The time that connections for administration have to end.
const ADMIN_ENDS: Duration = Duration::from_secs(1);

/// After the deadline, for what was cut to come back from the kernel.
pub(crate) const AFTER_DRAIN: Duration = Duration::from_millis(500);

/// The most slots that are looked at in one turn to find those that are in use.
const MAX_LOOKED_AT: usize = 4096;

impl<D: Driver> Core<D> {
    /// Begins to stop, unless it has begun.
    pub(super) fn begin_drain(&mut self, manner: Manner) {
        let config = &self.pools.config;
        if let Some(drain) = &mut self.drain {
            let is_to_end = drain.manner.stays && !manner.stays;
            drain.manner = manner;
            if is_to_end {
                drain.end_by(self.now.after(config.timeouts.drain));
            }
            return;
        }
        // A successor accepts already.
        let delay = if manner.hands_over { Duration::ZERO } else { config.draining.delay };
        let delay = delay.min(config.timeouts.drain);
        self.drain = Some(Drain {
            manner,
            began: self.now,
            deadline: self.now.after(config.timeouts.drain),
            tells_at: self.now.after(delay),
            spread: Spread::new(0, self.now, Duration::ZERO, 0),
            cursor: None,
            rearm_at: Millis::NEVER,
            rearming: None,
            cutting: false,
            ends_admin: false,
        });
    }

    pub(super) fn drain_has_more(&self) -> bool {
        let has_more = |drain: &Drain| {
            drain.cursor.is_some() || drain.rearming.is_some() || drain.next() <= self.now
        };
        self.drain.as_ref().is_some_and(has_more)
    }

    pub(super) fn drain_deadline(&self) -> Millis {
        self.drain.as_ref().map_or(Millis::NEVER, Drain::next)
    }

    /// The delay is over: no new connections, and those that there are begin to be told.
    fn begin_to_tell(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.tells_at > self.now {
            return;
        }
        // The seed differs from loop to loop and from start to start; it need not be secret.
        let seed = self.now.0 ^ self.stats.turns << 20 ^ self.stats.accepted << 40;
        let window = self.pools.config.draining.window;
        drain.tells_at = Millis::NEVER;
        drain.spread = Spread::new(self.slots.end(), self.now, window, seed);
        drain.rearm_at = self.now.after(REARM_EVERY);
        // Without a window all are told at once in any case.
        drain.cursor = (!window.is_zero()).then_some(0);
        let serves = drain.manner.hands_over;
        self.stop_accepting(!serves);
        if serves {
            // Who asks is to be answered by the successor.
            self.accepting.admin_stopped = true;
            self.driver.stop_accepting(&[]);
        }
    }

    /// Arms the receives of a batch of the connections that are waited for again. Linux was seen to
    /// keep a multishot receive armed without a word on a connection that is reset while data
    /// arrives; one that is armed later finds the end at once.
    fn rearm_some(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        if drain.rearm_at <= self.now && drain.rearming.is_none() {
            drain.rearming = Some(0);
            drain.rearm_at = self.now.after(REARM_EVERY);
        }
        let Some(start) = drain.rearming else { return };
        let (batch, next) = self.slots.used_from(start, BATCH);
        drain.rearming = next;
        let tells_late = drain.manner.hands_over && drain.spread.is_over();
        for index in batch {
            let Some(slot) = self.slots.at(index) else { continue };
            match slot.session.phase() {
                Phase::Closing | Phase::Lingering => {
                    let id = slot.id();
                    // It is armed again when the cancel has come back.
                    slot.blocked.set(Blocked::REARMING, slot.receive == Receive::Armed);
                    self.update_receive(id);
                }
                _ if tells_late => self.tell(index),
                _ => {}
            }
        }
    }

    /// Once no other connections are left, nobody is to be told of them any more: closes the
    /// listeners for administration, and their connections as all others.
    fn end_admin(&mut self) {
        let Some(drain) = &mut self.drain else { return };
        let is_last = self.slots.len() as u64 == self.stats.admin && drain.may_end();
        if !is_last || self.accepting.admin.is_empty() || drain.ends_admin {
            return;
        }
        (drain.ends_admin, drain.cutting) = (true, false);
        drain.spread = Spread::new(self.slots.end(), self.now, Duration::ZERO, 0);
        drain.deadline = self.now.after(self.pools.config.timeouts.drain.min(ADMIN_ENDS));
        self.accepting.admin_stopped = true;
        self.driver.stop_accepting(&[]);
    }

    /// Tells the next connections, or cuts them if the time is over.
    pub(super) fn drain_some(&mut self) {
        if self.drain.is_none() {
            return;
        }
        self.begin_to_tell();
        self.rearm_some();
        self.end_admin();
        let Some(drain) = &mut self.drain else { return };
        if drain.deadline <= self.now && !(drain.cutting && drain.cursor.is_some()) {
            drain.cutting = true;
            drain.cursor = Some(0);
            drain.deadline = self.now.after(AFTER_DRAIN);
        }
        let (now, cutting) = (self.now, drain.cutting);
        let due = || if cutting { None } else { drain.spread.next(now) };
        let due = std::iter::from_fn(due).take(MAX_LOOKED_AT);
        let is_used = |index: &u32| self.slots.at(*index).is_some();
        let due: Vec<u32> = due.filter(is_used).take(BATCH).collect();
        due.into_iter().for_each(|index| self.tell(index));
        let Some(start) = self.drain.as_ref().and_then(|drain| drain.cursor) else { return };
        let (batch, next) = self.slots.used_from(start, BATCH);
        if let Some(drain) = &mut self.drain {
            drain.cursor = next;
        }
        for index in batch {
            if cutting {
                self.cut(index);
            } else if self.slots.at(index).is_some_and(|slot| slot.session.phase() != Phase::Open) {
                self.tell(index);
            }
        }
    }

    /// Whether the connection in this slot is one for administration, which ends last.
    fn is_last_to_end(&mut self, index: u32) -> bool {
        let is_admin = self.slots.at(index).is_some_and(|slot| slot.session.is_admin());
        is_admin && !self.accepting.admin_stopped
    }

    fn cut(&mut self, index: u32) {
        if !self.is_last_to_end(index)
            && let Some(slot) = self.slots.at(index)
        {
            let id = slot.id();
            self.abort(id, GOING_AWAY);
        }
    }

    /// Tells the connection in this slot to go, if there is one.
    fn tell(&mut self, index: u32) {
        if self.is_last_to_end(index) || self.is_to_be_served(index) {
            return;
        }
        let code = self.pools.config.draining.code;
        if let Some(slot) = self.slots.at(index) {
            let id = slot.id();
            self.close(id, CloseReason::Local(code.code()), code.text());
        }
    }

    /// Whether the connection in this slot was accepted for a successor, and may still send its
    /// first request or is waiting for the answer.
    fn is_to_be_served(&mut self, index: u32) -> bool {
        let patience = self.pools.config.timeouts.handshake;
        let is_early = self
            .drain
            .as_ref()
            .is_some_and(|drain| drain.manner.hands_over && self.now < drain.began.after(patience));
        is_early && self.slots.at(index).is_some_and(|slot| slot.session.is_before_first_answer())
    }
}
