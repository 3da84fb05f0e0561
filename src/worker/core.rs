//! What a loop owns: the driver, the connections, the output of the turn, timers and pools.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::budget::Budget;
use super::buffers::AwaitingBuffer;
use super::deferring::Deferring;
use super::draining::Drain;
use super::inspected::Inspecting;
use super::listeners::{Accepting, Listeners};
use super::meters::Meters;
use super::outbox::{Entry, Outbox, queue_output};
use super::refusals::Refusals;
use super::slots::{Flags, Queue, Receive, Slot, Slots};
use super::stats::Stats;
use super::survey::Survey;
use crate::base::blocks::Blocks;
use crate::base::wheel::Wheel;
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::io::Driver;
use crate::session::{CloseReason, Leftover, Output, Pools, ReadTracker};

/// So many entries of the queue of a connection that is given up are dropped at once.
const FEW: usize = 64;

/// How many connections are armed again, or told to go, in one turn.
pub(super) const BATCH: usize = 128;
/// How long until a cancel that brought nothing is repeated.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// Everything of a loop but its service. What needs no service is a method of this type.
#[derive(Debug)]
pub(super) struct Core<D: Driver> {
    pub(super) driver: D,
    pub(super) pools: Pools,
    pub(super) budget: Budget,
    pub(super) slots: Slots,
    pub(super) wheel: Wheel,
    pub(super) now: Millis,
    /// The output of this turn.
    pub(super) outbox: Outbox,
    /// Connections that are ending, to be looked at in the next turn.
    pub(super) closing: Vec<ConnectionId>,
    /// Connections that were closed while they waited for a decision, of which the service is told
    /// in the next turn.
    pub(super) undecided: Vec<ConnectionId>,
    /// Connections to be armed again once there are receive buffers.
    pub(super) awaiting_buffer: AwaitingBuffer,
    /// Connections whose next send waits because large sends have filled the turn.
    pub(super) awaiting_send: VecDeque<ConnectionId>,
    /// What waited for connections that were given up, to be dropped in pieces.
    pub(super) leftovers: Vec<Leftover>,
    /// The bytes of large sends of this turn.
    pub(super) sent_large: usize,
    /// The entries of queues that may still be dropped in this turn to make room for others.
    pub(super) drops: usize,
    /// The largest holders of memory are not looked for before this time.
    pub(super) shed_again: Millis,
    /// They are looked for earlier if more than so much memory is in use.
    pub(super) shed_above: usize,
    /// The search for them that goes on in the next turn.
    pub(super) survey: Option<Box<Survey>>,
    /// Until when large messages wait while memory is scarce.
    pub(super) large_wait_until: Millis,
    /// Connections with deferred input, by what it waits for.
    pub(super) deferring: Deferring,
    /// Slots whose timer is due, which are handled in this turn and the next ones.
    pub(super) due: Vec<u32>,
    /// What is remembered of peers whose progress was queried. Few have an entry: those that owe a
    /// pong for some time, and those that were sent much.
    pub(super) trackers: HashMap<ConnectionId, ReadTracker>,
    /// The wakers of the other cores, by their numbers.
    pub(super) peers: Vec<D::Waker>,
    /// Subscribers to be closed because they read too slowly.
    pub(super) too_slow: Vec<ConnectionId>,
    pub(super) accepting: Accepting,
    pub(super) drain: Option<Drain>,
    /// What clients may send in a second.
    pub(super) meters: Meters,
    pub(super) refusals: Refusals,
    /// When each connection was accepted, if there is a listener for administration.
    pub(super) opened: Blocks<Millis>,
    /// Connections of which somebody wants to know how much was sent and received.
    pub(super) inspecting: Option<Box<Inspecting>>,
    pub(super) stats: Stats,
}

impl<D: Driver> Core<D> {
    /// Counts what the driver has done, with the work of this turn.
    #[inline(always)]
    pub(super) fn charge_driver(&mut self) {
        self.pools.work.charge(self.driver.take_work());
    }

    pub(super) fn new(driver: D, config: Arc<Config>, listeners: Listeners) -> Self {
        let accepting = Accepting::new(listeners);
        let meters = Meters::new(&config, driver.slots());
        Self {
            driver,
            pools: Pools::new(config),
            budget: Budget::default(),
            slots: Slots::default(),
            wheel: Wheel::new(),
            now: Millis::default(),
            outbox: Outbox::default(),
            closing: Vec::new(),
            undecided: Vec::new(),
            awaiting_buffer: AwaitingBuffer::default(),
            awaiting_send: VecDeque::new(),
            leftovers: Vec::new(),
            sent_large: 0,
            drops: 0,
            shed_again: Millis::default(),
            shed_above: usize::MAX,
            survey: None,
            large_wait_until: Millis::default(),
            deferring: Deferring::default(),
            due: Vec::new(),
            trackers: HashMap::new(),
            peers: Vec::new(),
            too_slow: Vec::new(),
            accepting,
            drain: None,
            meters,
            refusals: Refusals::default(),
            opened: Blocks::default(),
            inspecting: None,
            stats: Stats::default(),
        }
    }

    /// The output entry of a connection in this turn. Replies in a receive buffer are copied out,
    /// so that anything may be appended.
    pub(super) fn entry(&mut self, id: ConnectionId) -> Option<&mut Entry> {
        let slot = self.slots.get(id)?;
        let entry = self.outbox.entry(slot)?;
        // Shared bytes would have to be copied, so they are queued instead.
        if entry.output.has_many_shared() {
            queue_output(entry, slot, &mut self.pools);
        }
        if let Some(buffer) = entry.buffer.take() {
            let buffers = &mut self.pools.buffers;
            entry.output.copy_out(self.driver.bytes(&buffer), || buffers.take());
            self.driver.release(buffer);
        }
        Some(entry)
    }

    /// Makes sure that the connection is looked at when the turn ends.
    pub(super) fn mark_dirty(&mut self, id: ConnectionId) {
        let _ = self.entry(id);
    }

    /// Lets `act` append to the output of a connection, together with its state.
    pub(super) fn with_output(
        &mut self,
        id: ConnectionId,
        act: impl FnOnce(&mut Slot, Millis, &mut Pools, &mut Output),
    ) {
        let Some(entry) = self.entry(id) else { return };
        let mut output = std::mem::take(&mut entry.output);
        if let Some(slot) = self.slots.get(id) {
            act(slot, self.now, &mut self.pools, &mut output);
        }
        if let Some(entry) = self.entry(id) {
            entry.output = output;
        }
    }

    /// The one place that decides whether a connection is read from: arms its receive, or cancels
    /// it.
    pub(super) fn update_receive(&mut self, id: ConnectionId) {
        let Some(slot) = self.slots.get(id) else { return };
        match (slot.receive, slot.wants_input()) {
            (Receive::Paced | Receive::Idle, true) if self.awaiting_buffer.are_few(self.now) => {
                self.awaiting_buffer.push(slot);
            }
            (Receive::Paced | Receive::Idle, true) if slot.is_paced() => {
                slot.receive = Receive::Armed;
                self.driver.receive_once(id);
            }
            (before @ (Receive::New | Receive::Idle), true) => {
                slot.receive = Receive::Armed;
                // The request is often there already, so no poll before the first receive.
                self.driver.receive(id, before == Receive::Idle);
            }
            (Receive::Armed, false) => {
                slot.receive = Receive::Cancelling;
                self.driver.cancel_receive(id);
            }
            _ => {}
        }
    }

    /// The queue of a connection, a new one if it has none.
    pub(super) fn queue(&mut self, id: ConnectionId) -> Option<&mut Queue> {
        let Slot { queue, session, .. } = self.slots.get(id)?;
        Some(queue.get_or_insert_with(|| Queue::new(&self.pools, session.route())))
    }

    /// Gives a connection up: what waits to be sent is dropped.
    pub(super) fn abort(&mut self, id: ConnectionId, reason: CloseReason) {
        let Some(slot) = self.slots.get(id) else { return };
        slot.session.abort(reason);
        slot.flags.insert(Flags::ABORTED);
        self.driver.give_up(id);
        if let Some(queue) = &mut slot.queue {
            let never = Millis::NEVER;
            (queue.stall, queue.check, queue.cut_at) = (never, never, never);
            // Usually there is little, which is dropped at once.
            let mut leftover = queue.queue.take_out();
            let (_, dropped) = leftover.drop_some(FEW, |vector| self.pools.give(vector));
            self.stats.dropped += dropped;
            if !leftover.is_empty() {
                self.leftovers.push(leftover);
            }
            if queue.queue.is_sending() {
                self.driver.cancel_send(id);
                // A cancel may miss a send that is just being tried: once more then.
                queue.stall = self.now.after(CANCEL_AGAIN);
            }
        }
        // The output of this turn is dropped as well.
        if let Some(entry) = self.outbox.entry(slot) {
            let mut output = std::mem::take(&mut entry.output);
            if let Some(buffer) = entry.buffer.take() {
                self.driver.release(buffer);
                return;
            }
            while !output.is_empty() {
                self.pools.give_chunk(output.take_chunk());
            }
        }
    }
}
