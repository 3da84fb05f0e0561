//! A simulation of the kernel and the network behind [`Driver`]: virtual time, seeded faults.
//!
//! A run depends on one seed alone, so a failure is replayed by its seed. Nothing sleeps:
//! [`SimRing::enter`] with nothing to do moves the virtual clock to the next happening. The test
//! acts as the clients through a [`SimNetwork`], between the turns of the worker or, with
//! [`SimNetwork::drive`], while the worker sleeps. The simulation panics, naming the seed, when the
//! worker breaks the contract of [`Driver`].

use crate::base::{Chunk, ConnectionId};
use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use super::{Accepts, Buffer, Driver, DriverStats, Errno, Event, Payload, Wake};

mod brief;
mod client;
mod complete;
mod faults;
mod handle;
mod kernel;
mod network;
mod operation;
mod options;
mod pool;
mod socket;
mod submit;
#[cfg(test)]
mod tests;
mod world;

pub use client::{ClientId, ServerEnd};
pub use faults::Faults;
pub use options::SimOptions;
pub use world::SimNetwork;

use kernel::Kernel;
use network::{Happening, Network};
use operation::Submission;
use pool::Pool;
use world::{Clients, World};

/// A sleep that nobody means to end.
const FOR_EVER: Option<Duration> = Some(Duration::from_secs(u32::MAX as u64));

/// A simulated ring. See the [module](self).
#[derive(Debug)]
pub struct SimRing {
    world: Rc<RefCell<World>>,
    pool: Pool,
    waker: SimWaker,
    collected: u64,
}

impl SimRing {
    /// A ring whose every choice follows from `seed`.
    ///
    /// # Panics
    /// If there are no slots, more than [`ConnectionId::MAX_SLOTS`], or no receive buffers.
    #[must_use]
    pub fn new(seed: u64, options: SimOptions) -> Self {
        assert!((1..=ConnectionId::MAX_SLOTS).contains(&options.slots), "slots out of range");
        let pool = Pool::new(options.buffers, options.buffer_size);
        let world = World {
            network: Network::new(seed, &options),
            kernel: Kernel::new(seed, &options, pool.lent_counter()),
            clients: Clients::default(),
        };
        let (world, waker) = (Rc::new(RefCell::new(world)), SimWaker::default());
        Self { world, pool, waker, collected: 0 }
    }

    /// The other side of the ring: clients and clock, for the test.
    #[must_use]
    pub fn network(&self) -> SimNetwork {
        SimNetwork::new(Rc::clone(&self.world))
    }

    /// How often it was asked for what else is ready.
    #[must_use]
    pub const fn collected(&self) -> u64 {
        self.collected
    }

    /// Does what is due on the network, and lets the clients act if they have seen something of it
    /// or their time has come.
    fn run_network(&self) {
        let mut world = self.world.borrow_mut();
        let World { network, clients, .. } = &mut *world;
        network.run_due();
        if !network.stirred && clients.due.is_none_or(|due| network.now < due) {
            return;
        }
        network.stirred = false;
        let Some(mut act) = clients.act.take() else { return };
        drop(world);
        let due = act(&self.network());
        let World { network, clients, .. } = &mut *self.world.borrow_mut();
        let due = due.map(|due| due.max(network.now + Duration::from_micros(1)));
        if let Some(due) = due
            && clients.due != Some(due)
        {
            network.schedule(due, Happening::Look);
        }
        *clients = Clients { act: Some(act), due };
    }
}

/// Wakes a [`SimRing`].
#[derive(Clone, Debug, Default)]
pub struct SimWaker(Arc<AtomicBool>);

impl SimWaker {
    /// Whether it was called since the ring last handled a wake.
    #[must_use]
    pub fn is_pending(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}

impl Wake for SimWaker {
    fn wake(&self) {
        self.0.store(true, Ordering::Release);
    }
}

impl Driver for SimRing {
    type Waker = SimWaker;

    fn waker(&self) -> SimWaker {
        self.waker.clone()
    }

    fn now(&self) -> Duration {
        self.world.borrow().network.now
    }

    fn slots(&self) -> u32 {
        self.world.borrow().kernel.slot_count()
    }

    fn accept(&mut self, listener: usize, kind: Accepts) {
        self.world.borrow_mut().kernel.queue(Submission::Accept { listener, kind });
    }

    fn cancel_accept(&mut self, listener: usize) {
        self.world.borrow_mut().kernel.queue(Submission::CancelAccept(listener));
    }

    fn accept_burst(&self, _kind: Accepts) -> u32 {
        64
    }

    fn stop_accepting(&mut self, kept: &[bool]) {
        let stop = Submission::StopAccepting(kept.to_vec());
        self.world.borrow_mut().kernel.queue(stop);
    }

    fn receive(&mut self, id: ConnectionId, poll_first: bool) {
        self.world.borrow_mut().kernel.queue(Submission::Receive { id, poll_first, once: false });
    }

    fn receive_once(&mut self, id: ConnectionId) {
        self.world.borrow_mut().kernel.queue(Submission::Receive {
            id,
            poll_first: false,
            once: true,
        });
    }

    fn cancel_receive(&mut self, id: ConnectionId) {
        self.world.borrow_mut().kernel.queue(Submission::CancelReceive(id));
    }

    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.pool.bytes(buffer)
    }

    fn is_short_of_buffers(&self) -> bool {
        self.pool.lent_counter().get() * 4 >= self.pool.len() * 3
    }

    fn free_buffers(&self) -> usize {
        self.pool.len().saturating_sub(self.pool.lent_counter().get()) as usize
    }

    fn release(&mut self, buffer: Buffer) {
        self.pool.release(buffer);
    }

    fn send_now(&mut self, id: ConnectionId, payload: Payload) {
        let size = self.pool.buffer_size();
        let in_bounds = match &payload {
            Payload::Received { start, len, .. } => *start as usize + *len as usize <= size,
            Payload::Chunk(Chunk::Owned { bytes, from }) => *from <= bytes.len(),
            Payload::Chunk(Chunk::Shared { bytes, from }) => *from <= bytes.len(),
        };
        let kernel = &mut self.world.borrow_mut().kernel;
        kernel.require(in_bounds, id, "send_now beyond the end of its bytes");
        kernel.queue(Submission::SendNow { id, payload });
    }

    fn send_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize) {
        let kernel = &mut self.world.borrow_mut().kernel;
        kernel.require(!chunk.rest().is_empty(), id, "send_queued of nothing");
        kernel.queue(Submission::SendQueued { id, chunk, max });
    }

    fn cancel_send(&mut self, id: ConnectionId) {
        self.world.borrow_mut().kernel.queue(Submission::CancelSend(id));
    }

    fn query_progress(&mut self, id: ConnectionId) {
        self.world.borrow_mut().kernel.queue(Submission::QueryProgress(id));
    }

    fn half_close(&mut self, id: ConnectionId) {
        self.world.borrow_mut().kernel.queue(Submission::HalfClose(id));
    }

    fn close(&mut self, id: ConnectionId) {
        self.world.borrow_mut().kernel.queue(Submission::Close(id));
    }

    fn retire(&mut self, id: ConnectionId) -> bool {
        self.world.borrow_mut().kernel.queue(Submission::Retire(id));
        true
    }

    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno> {
        let deadline = {
            let World { network, kernel, .. } = &mut *self.world.borrow_mut();
            network.now += Duration::from_micros(network.rng.u64(1..=5));
            network.sleeps_until = None;
            kernel.submit(network, &mut self.pool);
            // A call that does not take everything does not sleep.
            let wait = wait.filter(|_| kernel.is_submitted());
            wait.map(|wait| network.now.saturating_add(wait))
        };
        loop {
            self.run_network();
            let World { network, kernel, .. } = &mut *self.world.borrow_mut();
            let woken = self.waker.0.swap(false, Ordering::AcqRel);
            kernel.complete(network, &mut self.pool, woken);
            let Some(deadline) = deadline else { return Ok(()) };
            if kernel.has_events() || network.now >= deadline {
                return Ok(());
            }
            let Some(next) = network.next_time().or((wait < FOR_EVER).then_some(deadline)) else {
                kernel.breach("sleeps for ever: no deadline, and nothing will happen");
            };
            if let Some(limit) = network.limit.filter(|limit| next.min(deadline) > *limit) {
                network.now = network.now.max(limit);
                network.sleeps_until = Some(deadline);
                return Ok(());
            }
            network.now = next.clamp(network.now, deadline);
            tracing::trace!(now = ?network.now);
            if network.now == deadline && network.strikes(network.faults.oversleep) {
                network.now += Duration::from_micros(network.rng.u64(1..=2000));
            }
        }
    }

    /// Each call of `enter` brings all there is.
    fn collect(&mut self) {
        self.collected += 1;
    }

    fn is_settled(&self) -> bool {
        self.world.borrow().kernel.is_settled()
    }

    fn next_event(&mut self) -> Option<Event> {
        self.world.borrow_mut().kernel.next_event()
    }

    fn take_recycled(&mut self) -> Option<Vec<u8>> {
        self.world.borrow_mut().kernel.recycled.pop()
    }

    fn stats(&self) -> DriverStats {
        let buffers = self.pool.len();
        DriverStats { buffers, ..self.world.borrow().kernel.stats() }
    }
}
