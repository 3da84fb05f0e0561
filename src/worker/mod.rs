//! The loop of one core: events of its driver in, output of its connections out.
//!
//! A turn is: one call into the kernel, every event it brought, then one send for each connection
//! that has output. Generic over the [`Driver`], so that tests run this code under a simulated
//! kernel, and over the [`Service`], so that an application's code is compiled into it. The loop
//! knows neither topics nor applications.

mod accept;
mod access;
mod budget;
mod buffers;
mod closes;
mod closing;
mod core;
mod deferred;
mod deferring;
mod drain;
mod draining;
mod fair_queue;
mod input;
mod inspect;
mod inspected;
mod listeners;
mod memory;
mod metered;
mod meters;
mod outbound;
mod outbox;
mod progress;
mod rearm;
mod receive;
mod refusals;
mod retry;
mod send;
mod slots;
mod spread;
mod stats;
mod survey;
#[cfg(test)]
mod tests;
mod timers;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::io::{Accepts, Driver, Errno};
use crate::protocol::websocket::CloseCode;
use crate::session::{CloseReason, RouteCounts, Service, Wakeup};
pub use closes::Closes;
use core::Core;
pub(crate) use drain::AFTER_DRAIN;
use draining::{Drain, Manner};
pub use inspected::{Inspected, Totals};
pub use listeners::Listeners;
pub use stats::{LimitCounts, Stats};

/// How many deliveries are made in one turn: enough to be worth a call into the kernel, few enough
/// not to delay the events of the next turn.
const DELIVERIES: usize = 128;
/// Of so many turns the time of one is measured: the clock is not for nothing.
const MEASURED: u64 = 64;
/// The longest sleep: nothing depends on it.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// The connections of one core, the loop that serves them, and the service that answers them.
#[derive(Debug)]
pub struct Worker<D: Driver, S> {
    core: Core<D>,
    service: S,
    stop: Arc<AtomicBool>,
    stays: Arc<AtomicBool>,
    hands_over: Arc<AtomicBool>,
    /// Among the loops of the server.
    number: usize,
}

impl<D: Driver, S: Service> Worker<D, S> {
    /// A worker over `driver`, which has these listeners; a number of them means that none is
    /// shared. It begins to drain once `stop` is set and the driver is woken.
    pub fn new(
        driver: D,
        config: Arc<Config>,
        mut service: S,
        listeners: impl Into<Listeners>,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let mut core = Core::new(driver, config, listeners.into());
        service.use_ledger(&core.pools.ledger);
        core.driver.use_ledger(&core.pools.ledger);
        let kind = match service.wants_peers() {
            true => Accepts::MultishotWithPeers,
            false => Accepts::Multishot,
        };
        core.accepting.accept_by(kind, core.driver.accept_burst(kind));
        core.arm_accepts();
        Self { core, service, stop, stays: Arc::default(), hands_over: Arc::default(), number: 0 }
    }

    /// Gives the worker its number, with which the access log names connections.
    #[must_use]
    pub fn with_number(self, number: usize) -> Self {
        Self { number, ..self }
    }

    /// While `stays` is set, the worker does not end once it has drained; it goes on serving the
    /// listeners for administration. Wake the driver after a change.
    #[must_use]
    pub fn with_stays(self, stays: Arc<AtomicBool>) -> Self {
        Self { stays, ..self }
    }

    /// If `hands_over` is set, a successor has the listening sockets: what was accepted before the
    /// worker began to drain is served, handshakes included.
    #[must_use]
    pub fn with_hand_over(self, hands_over: Arc<AtomicBool>) -> Self {
        Self { hands_over, ..self }
    }

    /// Gives the worker the wakers of all cores, by their numbers.
    #[must_use]
    pub fn with_peers(mut self, peers: Vec<D::Waker>) -> Self {
        self.core.peers = peers;
        self
    }

    /// Lets a turn do about `units` of work, each about a nanosecond, instead of 2,000,000: for
    /// tests of what is left to later turns.
    #[cfg(any(test, feature = "sim"))]
    #[must_use]
    pub fn with_work_per_turn(mut self, units: u64) -> Self {
        self.core.budget = budget::Budget::new(units);
        self
    }

    /// Serves until it is told to stop and every connection has ended.
    ///
    /// # Errors
    /// Failures of the driver that trying again cannot mend.
    pub fn run(&mut self) -> Result<(), Errno> {
        while !self.is_done() {
            self.turn()?;
        }
        self.core.refusals.log(Millis::NEVER);
        // The last closes are still queued.
        self.core.driver.enter(None)
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// Failures of the driver that trying again cannot mend.
    pub fn turn(&mut self) -> Result<(), Errno> {
        let mut wait = self.wait();
        if wait.is_some() && !self.service.may_sleep() {
            wait = None;
        }
        self.core.driver.enter(wait)?;
        // What the driver did for the sends of the last turn.
        self.core.charge_driver();
        if self.core.pools.work.used() >= self.core.budget.received
            || !self.core.deferring.is_empty()
            || self.core.awaiting_buffer.are_few(self.core.now)
        {
            // The last turn left work or had much of it, or receives find no buffers, which costs
            // little: each connection that has sent something is served in this one.
            self.core.driver.collect();
        }
        let began = self.core.driver.now();
        self.core.now = Millis::from(began);
        self.service.clock(began);
        let input_waits = self.core.deferring.await_room();
        self.service.start_turn(self.core.now, input_waits);
        // No client is charged for what the service does by itself, but it makes the turn longer.
        let by_itself = self.service.take_work();
        self.core.pools.work.begin_turn();
        if !self.core.deferring.is_empty() {
            self.retry_deferred();
        }
        self.core.pools.work.allow(self.core.budget.received);
        self.handle_events();
        if !self.core.driver.is_settled() {
            self.settle()?;
        }
        // From here on it is known of every earlier send whether it was complete.
        while let Some(memory) = self.core.driver.take_recycled() {
            self.core.pools.give(memory);
        }
        if self.stop.load(Ordering::Acquire) {
            self.drain();
        }
        if !self.core.closing.is_empty() {
            self.reap();
        }
        if self.core.has_discarded() {
            self.core.free_discarded();
        }
        if self.core.refusals.due() <= self.core.now {
            self.core.refusals.log(self.core.now);
        }
        self.expire();
        self.core.arm_accepts();
        self.core.rearm_waiting();
        self.core.drain_some();
        self.core.drops = self.core.budget.drops;
        self.service.end_turn(self.core.now, DELIVERIES, &mut self.core);
        let by_itself = by_itself.saturating_add(self.service.take_work());
        self.core.pools.work.charge(by_itself);
        self.core.close_too_slow();
        if self.core.is_short_of_memory() {
            self.core.watch_memory();
        }
        self.flush();
        if !self.core.pools.answered.is_empty() {
            self.log_answered();
        }
        self.core.stats.turns += 1;
        if self.core.stats.turns.is_multiple_of(MEASURED) || self.service.has_written() {
            self.measure(began);
        }
        Ok(())
    }

    /// Handles all that the call into the kernel has brought.
    #[inline(always)]
    fn handle_events(&mut self) {
        if self.core.meters.are_used {
            self.handle_metered();
        } else {
            self.handle_each::<false>();
        }
    }

    /// Looks at the clock at the end of a turn.
    #[cold]
    fn measure(&mut self, began: Duration) {
        let now = self.core.driver.now();
        self.core.stats.turn_times.observe(now.saturating_sub(began));
        self.service.written(now);
    }

    /// Memory is short, and sends of the last turn are still waiting. Nothing may overtake them, so
    /// nothing can be sent before the kernel has taken them. What is received meanwhile waits:
    /// its replies would fill the memory.
    #[cold]
    #[inline(never)]
    fn settle(&mut self) -> Result<(), Errno> {
        while !self.core.driver.is_settled() {
            self.core.driver.enter(None)?;
            self.defer_events();
        }
        Ok(())
    }

    /// How long the next call into the kernel may sleep. `None` if there is work.
    fn wait(&self) -> Option<Duration> {
        let core = &self.core;
        let is_unfinished =
            !core.outbox.is_empty() || !core.closing.is_empty() || !core.awaiting_send.is_empty();
        let goes_on = !core.large_messages_wait();
        let has_room = || !core.lacks_memory() && self.service.has_room();
        let has_deferred = core.deferring.has_work(goes_on, has_room);
        if is_unfinished
            || has_deferred
            || core.drain_has_more()
            || !core.awaiting_buffer.is_empty()
            || !core.due.is_empty()
            || core.has_discarded()
        {
            return None;
        }
        let Wakeup::At(service) = self.service.wakeup() else { return None };
        let timer = core.wheel.next_ms().map_or(Millis::NEVER, Millis);
        let next = timer.min(core.accepting.retry_at()).min(core.drain_deadline()).min(service);
        let next = next.min(core.watch_memory_at()).min(core.refusals.due());
        let next = next.min(core.meters.due());
        Some(core.now.until(next).min(LONGEST_SLEEP))
    }

    /// Whether the worker was told to stop and has nothing left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.core.drain.as_ref().is_some_and(Drain::may_end)
            && self.core.slots.len() == 0
            && self.core.accepting.is_idle()
    }

    /// Begins to stop: every connection gets a close frame, as
    /// [`Config::draining`](crate::config::Config::draining) says, and has until the drain deadline
    /// to leave. Does nothing when called again.
    pub fn drain(&mut self) {
        self.core.begin_drain(Manner {
            stays: self.stays.load(Ordering::Acquire),
            hands_over: self.hands_over.load(Ordering::Acquire),
        });
    }

    /// From now on these settings hold, for the service as well. What was decided at a handshake
    /// stays.
    pub fn reconfigure(&mut self, config: Arc<Config>) {
        self.service.reconfigure(&config);
        self.core.meters.reconfigure(&config, self.core.driver.slots());
        self.core.pools.reconfigure(config);
    }

    /// Ends every connection at once: the service is told of each, and nothing more is sent. Then
    /// the worker is of no more use; the driver resets the connections when it is dropped.
    pub fn abandon(&mut self) {
        for index in self.core.slots.used_from(0, usize::MAX).0 {
            let Some(mut slot) = self.core.slots.remove(index) else { continue };
            slot.session.abort(CloseReason::Local(CloseCode::GOING_AWAY));
            self.core.count_end(&slot.session);
            self.service.left(slot.id());
            slot.session.finish(&mut self.core.pools, &mut self.service);
        }
    }

    /// The number of connections.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.core.slots.len()
    }

    /// The open connections of the application.
    pub fn open_connections(&self) -> impl Iterator<Item = ConnectionId> {
        self.core.slots.open()
    }

    /// The counters of this worker and of its driver.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            driver: self.core.driver.stats(),
            memory: self.core.pools.ledger.used() as u64,
            queued_bytes: self.core.pools.queued.used() as u64,
            sessions: self.core.pools.counts,
            ..self.core.stats
        }
    }

    /// What is counted of the routes by which connections came.
    #[must_use]
    pub const fn by_route(&self) -> &RouteCounts {
        &self.core.pools.by_route
    }

    /// The driver, for tests that look behind it.
    #[must_use]
    pub const fn driver(&self) -> &D {
        &self.core.driver
    }

    /// The service.
    #[must_use]
    pub const fn service(&self) -> &S {
        &self.service
    }
}
