//! How a running server is stopped.

use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard, PoisonError};
use std::time::Duration;

use super::handle::ServerHandle;
use super::offered::{Handed, Ready};
use crate::config::Config;
use crate::io::Wake;
use crate::worker::AFTER_DRAIN;

impl ServerHandle {
    /// Whether the server drains or stops.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.0.parts.stop.drain.load(Ordering::Acquire) || self.is_halting()
    }

    pub(super) fn is_halting(&self) -> bool {
        self.0.parts.stop.halt.load(Ordering::Acquire)
    }

    /// Starts draining: accepts no new connections and closes the open ones, as
    /// [`Config::draining`](crate::config::Config::draining) says. Those that are left after
    /// [`Timeouts::drain`](crate::config::Timeouts::drain) are cut.
    pub fn drain(&self) {
        self.begin_drain(false);
    }

    /// Starts draining as [`drain`](Self::drain) does, but the loops do not end once the
    /// connections are gone: listeners for administration are served until [`drain`](Self::drain)
    /// or [`stop`](Self::stop) is called.
    pub fn drain_and_stay(&self) {
        self.begin_drain(true);
    }

    /// A successor serves with the listening sockets of this server, so this one drains. What it
    /// has accepted before is served, and told to connect again.
    pub(super) fn hand_over(&self) {
        self.0.parts.stop.hands_over.store(true, Ordering::Release);
        self.drain();
    }

    /// Whether this server has taken the listening sockets of another one
    /// ([`Server::hand_over`](super::Server::hand_over)).
    #[must_use]
    pub fn is_successor(&self) -> bool {
        self.0.parts.succeeds
    }

    fn ready(&self) -> MutexGuard<'_, Option<Ready>> {
        self.0.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// This may be taken by a successor, unless the server drains.
    pub(super) fn set_ready(&self, ready: Ready) {
        let mut place = self.ready();
        match self.is_draining() {
            true => ready.end(),
            false => *place = Some(ready),
        }
    }

    /// Duplicates of what a successor may take; `None` if the server drains. Nobody waits while
    /// they are sent.
    pub(super) fn lend(&self) -> io::Result<Option<Vec<Handed>>> {
        let ready = self.ready();
        let copies = ready.as_ref().map(Ready::copies).transpose()?;
        // With the lock: who begins to drain after this sees it.
        self.0.parts.stop.lends.store(copies.is_some(), Ordering::Release);
        Ok(copies)
    }

    /// The successor serves, or will not.
    pub(super) fn end_lending(&self) {
        self.0.parts.stop.lends.store(false, Ordering::Release);
    }

    /// Whether another server has the listening sockets, or starts with them.
    pub(super) fn has_handed_over(&self) -> bool {
        let stop = &self.0.parts.stop;
        // In this order: one is set before the other is unset.
        stop.lends.load(Ordering::Acquire) || stop.hands_over.load(Ordering::Acquire)
    }

    fn begin_drain(&self, stays: bool) {
        let time = self.config().timeouts.drain.saturating_add(AFTER_DRAIN);
        // Before anything ends, since the process may end with it.
        self.hand_nothing_over();
        if !self.set_drain(stays, time) {
            return;
        }
        for control in &self.0.parts.controls {
            control.waker.wake();
        }
        self.hand_nothing_over();
    }

    /// Tells the loops to drain, and to end within this time unless they are to stay. Returns false
    /// if they were told so before. Nobody who only wants a drain keeps one from ending.
    fn set_drain(&self, stays: bool, time: Duration) -> bool {
        let _deciding = self.0.deciding.lock().unwrap_or_else(PoisonError::into_inner);
        let stop = &self.0.parts.stop;
        if self.is_draining() && (stays || !stop.stays.load(Ordering::Acquire)) {
            return false;
        }
        if !stays {
            self.0.ending.expect_within(time);
        }
        stop.stays.store(stays, Ordering::Release);
        stop.drain.store(true, Ordering::Release);
        true
    }

    /// Closes the sockets that a successor could take: what listens is to refuse.
    fn hand_nothing_over(&self) {
        let ready = self.ready().take();
        if let Some(ready) = ready {
            ready.end();
        }
    }

    /// Stops at once: connections are cut without a close frame.
    /// [`Handler::close`](crate::app::Handler::close) is called for each, with 1001.
    pub fn stop(&self) {
        self.hand_nothing_over();
        self.0.parts.stop.halt.store(true, Ordering::Release);
        self.0.ending.expect_within(Duration::ZERO);
        self.0.parts.controls.iter().for_each(|control| control.notify());
        self.hand_nothing_over();
    }

    /// The settings that hold.
    pub(super) fn config(&self) -> Arc<Config> {
        self.0.parts.config.get()
    }
}
