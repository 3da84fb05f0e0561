//! The loop of one core: events of its ring in, turns of its connections out.
//!
//! A turn is: one call into the kernel, every event it brought, then one send for each connection
//! that has something to say. Generic over the [`Driver`], so that tests run this code under a
//! simulated kernel, and over the [`Handler`], so that an application's code is compiled into it.

mod accept;
mod drain;
mod events;
mod fanout;
mod flush;
mod leave;
mod put_off;
mod slots;
mod stats;
mod turn;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::base::wheel::Wheel;
use crate::base::{ConnectionId, Millis};
use crate::io::{Driver, Errno, Received};
use crate::session::{CloseReason, Errands, Handler, Phase, Shared};
use accept::Accepting;
use drain::Drain;
use slots::Slots;
pub use stats::Stats;
use turn::{Entry, Turn};

/// How many connections are taken up again, or told to go, in one turn.
const BATCH: usize = 128;
/// The longest sleep: nothing depends on it.
const LONGEST_SLEEP: Duration = Duration::from_secs(3600);

/// One core's connections and the loop that serves them.
#[derive(Debug)]
pub struct Worker<D: Driver, H> {
    driver: D,
    shared: Shared<H>,
    slots: Slots,
    wheel: Wheel,
    now: Millis,
    /// The connections that this turn has touched, with what they have to say.
    turn: Turn,
    /// Connections on their way out, to be looked at in the next turn.
    leaving: Vec<ConnectionId>,
    /// Connections to be armed again once there are buffers.
    starved: VecDeque<ConnectionId>,
    /// What was received and is to be looked at once the handler has room.
    put_off: VecDeque<(ConnectionId, Received)>,
    /// Slots whose timer is due; kept for its memory.
    due: Vec<u32>,
    /// What the handler wants done; kept for its memory.
    errands: Errands,
    /// The wakers of the other cores, by their numbers.
    peers: Vec<D::Waker>,
    /// Subscribers to be closed because they read too slowly.
    too_slow: Vec<ConnectionId>,
    accepting: Accepting,
    drain: Option<Drain>,
    stop: Arc<AtomicBool>,
    stats: Stats,
}

impl<D: Driver, H: Handler> Worker<D, H> {
    /// A worker over `ring`, which has `listeners` listeners. It begins to drain once `stop` is
    /// set and the ring is woken.
    pub fn new(driver: D, shared: Shared<H>, listeners: usize, stop: Arc<AtomicBool>) -> Self {
        let mut worker = Self {
            driver,
            shared,
            slots: Slots::default(),
            wheel: Wheel::new(),
            now: Millis::default(),
            turn: Turn::default(),
            leaving: Vec::new(),
            starved: VecDeque::new(),
            put_off: VecDeque::new(),
            due: Vec::new(),
            errands: Errands::default(),
            peers: Vec::new(),
            too_slow: Vec::new(),
            accepting: Accepting::new(listeners),
            drain: None,
            stop,
            stats: Stats::default(),
        };
        worker.arm_accepts();
        worker
    }

    /// Has the handler's bells ring those, by the numbers of their cores.
    #[must_use]
    pub fn with_peers(mut self, peers: Vec<D::Waker>) -> Self {
        self.peers = peers;
        self
    }

    /// Serves until it is told to stop and every connection has left.
    ///
    /// # Errors
    /// What the ring cannot mend.
    pub fn run(&mut self) -> Result<(), Errno> {
        while !self.is_done() {
            self.turn()?;
        }
        // The last closes are still queued.
        self.driver.enter(None)
    }

    /// One turn of the loop.
    ///
    /// # Errors
    /// What the ring cannot mend.
    pub fn turn(&mut self) -> Result<(), Errno> {
        let mut wait = self.wait();
        if wait.is_some() && !self.shared.handler.try_sleep() {
            wait = None;
        }
        self.driver.enter(wait)?;
        self.shared.handler.begin_turn();
        self.now = Millis::from(self.driver.now());
        self.take_up();
        while let Some(event) = self.driver.next_event() {
            self.handle(event);
        }
        // Memory was short, and sends of the last turn are still waiting: nothing may overtake
        // them, so this turn goes on with the next call.
        if !self.driver.is_settled() {
            return Ok(());
        }
        // From here on it is known of every earlier send whether it was complete.
        while let Some(memory) = self.driver.spent() {
            self.shared.buffers.give(memory);
        }
        if self.stop.load(Ordering::Acquire) {
            self.drain();
        }
        self.leave();
        self.expire();
        self.arm_accepts();
        self.feed_starved();
        self.drain_some();
        self.fan_out();
        self.flush();
        Ok(())
    }

    /// How long the next call into the kernel may sleep.
    fn wait(&self) -> Option<Duration> {
        let unfinished = !self.turn.is_empty() || !self.leaving.is_empty();
        let more = self.drain_has_more() || self.shared.handler.is_busy();
        let received = !self.put_off.is_empty() && !self.shared.handler.is_full();
        if unfinished || more || received || !self.starved.is_empty() {
            return None;
        }
        let timer = self.wheel.next_ms().map_or(Millis::NEVER, Millis);
        let next = timer.min(self.accepting.retry_at()).min(self.drain_deadline());
        let next = next.min(self.shared.handler.deadline());
        Some(self.now.until(next).min(LONGEST_SLEEP))
    }

    /// The turn's entry for the connection in `slot`, which must exist; an output in place is
    /// spilled, so that anything may be added.
    fn entry(&mut self, id: ConnectionId) -> Option<&mut Entry> {
        let slot = self.slots.get(id)?;
        let entry = self.turn.entry(slot)?;
        if let Some(buffer) = entry.buffer.take() {
            let buffers = &mut self.shared.buffers;
            entry.output.spill(self.driver.bytes(&buffer), || buffers.take());
            self.driver.release(buffer);
        }
        Some(entry)
    }

    /// Makes sure that the connection is looked at when the turn ends.
    fn touch(&mut self, id: ConnectionId) {
        let _ = self.entry(id);
    }

    /// Timers that are due.
    fn expire(&mut self) {
        let mut due = std::mem::take(&mut self.due);
        self.wheel.expire(self.now.0, &mut due);
        for index in due.drain(..) {
            let Some(slot) = self.slots.at(index) else { continue };
            slot.timer = Millis::NEVER;
            let id = slot.id();
            self.timeout(id);
        }
        self.due = due;
    }

    fn timeout(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        if slot.stall() <= self.now {
            return self.abort(id, CloseReason::Stalled);
        }
        if slot.connection.deadline() > self.now {
            return self.touch(id);
        }
        let Some(entry) = self.entry(id) else { return };
        let mut output = std::mem::take(&mut entry.output);
        if let Some(slot) = self.slots.get(id) {
            // Its time was over, and its replies still are not taken.
            if slot.connection.phase() == Phase::Finished && slot.queue.is_some() {
                return self.abort(id, CloseReason::Stalled);
            }
            let congested = slot.is_congested();
            if slot.withheld || slot.paused || slot.put_off > 0 {
                // It may have spoken; nobody has listened.
                slot.connection.excuse(self.now, &self.shared.config);
            }
            slot.connection.handle_timeout(self.now, congested, &mut self.shared, &mut output);
        }
        if let Some(entry) = self.entry(id) {
            entry.output = output;
        }
    }

    /// Whether the worker was told to stop and has nothing left.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.drain.is_some() && self.slots.len() == 0 && self.accepting.is_idle()
    }

    /// Connections of this worker.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.slots.len()
    }

    /// The counters of this worker and of its ring.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats { ring: self.driver.stats(), ..self.stats }
    }

    /// The ring, for tests that look behind it.
    #[must_use]
    pub const fn driver(&self) -> &D {
        &self.driver
    }

    /// The handler.
    #[must_use]
    pub const fn handler(&self) -> &H {
        &self.shared.handler
    }
}
