//! Connections whose input waits for room, in the order of start-time fair queueing.
//!
//! Room is for messages that many subscribers may get. So the connections take turns by the work
//! that their messages cause, not by their number: a connection whose messages are for one
//! subscriber does not wait until a thousand others have published to fifty each.

use std::collections::BTreeMap;

use crate::base::ledger::Charge;
use crate::base::{ConnectionId, Ledger, Work};

/// The deliveries that are expected of the input of a connection that has caused none yet.
const UNKNOWN: u32 = 128;
/// A connection is put back by so much at most, whatever its input has caused: 800 deliveries.
const MAX_DEBT: u64 = 800 * Work::DELIVERY;

/// What is known of the connection of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    generation: u32,
    /// The virtual time at which its last input has had its share.
    finish: u64,
}

/// The place of a connection: its start time, then how many deliveries its input is expected to
/// cause, by powers of two, then the order of arrival.
type Place = (u64, u32, u64);

/// The connections that wait, each at most once.
///
/// The virtual time is the start time of the last input that was taken, in units of
/// [`Work`]. An input starts at that time, or when the one before it of its connection has had its
/// share, if that is later. What is done for connections that find room at once is not counted, so
/// the queue costs nothing while nobody waits.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    waiting: BTreeMap<Place, ConnectionId>,
    /// Those that have no place yet, in the order of arrival.
    arrived: Vec<ConnectionId>,
    flows: Vec<Flow>,
    now: u64,
    /// The latest time at which an input has had its share.
    last_finish: u64,
    /// The connections that were ever given a place.
    placed: u64,
    /// The connection that was taken last.
    taken: Option<ConnectionId>,
    /// For the table of flows.
    charge: Option<Charge>,
}

impl FairQueue {
    /// Those that have a place.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.arrived.is_empty()
    }

    /// Adds a connection.
    pub(super) fn push(&mut self, id: ConnectionId) {
        self.arrived.push(id);
    }

    /// Gives a place to all that were added. `deliveries` tells how many the input of a connection
    /// usually causes, if that is known. What is kept is charged at `ledger`.
    pub(super) fn place(
        &mut self,
        deliveries: impl Fn(ConnectionId) -> Option<u32>,
        ledger: &Ledger,
    ) {
        let mut arrived = std::mem::take(&mut self.arrived);
        for id in arrived.drain(..) {
            let start = self.now.max(self.flow(id).finish);
            let class = deliveries(id).unwrap_or(UNKNOWN).max(1).ilog2();
            self.waiting.insert((start, class, self.placed), id);
            self.placed += 1;
        }
        self.arrived = arrived;
        let charge = self.charge.get_or_insert_with(|| ledger.open());
        charge.set(self.flows.capacity() * size_of::<Flow>());
    }

    /// Takes the connection whose turn it is. [`served`](Self::served) has to follow, unless the
    /// connection has ended.
    pub(super) fn pop(&mut self) -> Option<ConnectionId> {
        let ((start, ..), id) = self.waiting.pop_first()?;
        self.now = self.now.max(start);
        self.taken = Some(id);
        Some(id)
    }

    /// The connection that was taken last has caused so much work, with that of deliveries that are
    /// still to be made.
    pub(super) fn served(&mut self, work: u64) {
        let Some(id) = self.taken.take() else { return };
        let now = self.now;
        let flow = self.flow(id);
        flow.finish = flow.finish.max(now).saturating_add(work).min(now.saturating_add(MAX_DEBT));
        let finish = flow.finish;
        self.last_finish = self.last_finish.max(finish);
        if self.is_empty() {
            // Nobody has waited for what was served so far: it is forgotten.
            self.now = self.last_finish;
        }
    }

    /// What is known of a connection.
    fn flow(&mut self, id: ConnectionId) -> &mut Flow {
        let at = id.slot as usize;
        if at >= self.flows.len() {
            self.flows.resize(at + 1, Flow::default());
        }
        let flow = &mut self.flows[at];
        if flow.generation != id.generation {
            *flow = Flow { generation: id.generation, finish: 0 };
        }
        flow
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn id(slot: u32) -> ConnectionId {
        ConnectionId { slot, generation: 1 }
    }

    /// A queue, and the deliveries that the input of a connection causes, by its number. They are
    /// what is expected of it, if it is known.
    struct Rig<F> {
        queue: FairQueue,
        deliveries: F,
        are_known: bool,
        ledger: Ledger,
    }

    impl<F: Fn(u32) -> u32> Rig<F> {
        fn new(deliveries: F) -> Self {
            let (queue, ledger) = (FairQueue::default(), Ledger::default());
            Self { queue, deliveries, are_known: true, ledger }
        }

        fn push(&mut self, slots: impl IntoIterator<Item = u32>) {
            slots.into_iter().for_each(|slot| self.queue.push(id(slot)));
            let Self { queue, deliveries, are_known, ledger } = self;
            queue.place(|id| are_known.then(|| deliveries(id.slot)), ledger);
        }

        /// Serves the next one.
        fn serve(&mut self) -> Option<u32> {
            let id = self.queue.pop()?;
            self.queue.served(u64::from((self.deliveries)(id.slot)) * Work::DELIVERY);
            Some(id.slot)
        }

        /// The same; it has more input.
        fn serve_and_push(&mut self) -> u32 {
            let slot = self.serve().unwrap();
            self.push([slot]);
            slot
        }

        fn serve_all(&mut self) -> Vec<u32> {
            std::iter::from_fn(|| self.serve()).collect()
        }
    }

    #[test]
    fn equals_are_served_in_the_order_of_arrival() {
        let mut rig = Rig::new(|_| 1);
        for are_known in [true, false, true] {
            rig.are_known = are_known;
            rig.push([3, 1, 2]);
            assert_eq!(rig.serve_all(), [3, 1, 2]);
        }
        assert!(rig.queue.is_empty() && rig.queue.pop().is_none());
    }

    /// Connections that always have more input get as much work done as each other one.
    #[test]
    fn work_is_shared_evenly() {
        let deliveries = |slot| [1, 10, 100][slot as usize];
        let mut rig = Rig::new(deliveries);
        rig.push(0..3);
        let mut done = [0_u32; 3];
        for _ in 0..10_000 {
            let slot = rig.serve_and_push();
            done[slot as usize] += deliveries(slot);
        }
        assert!(done.iter().all(|of| of.abs_diff(done[0]) <= 200), "{done:?}");
    }

    /// However many others publish to fifty, at once or always, who publishes to one is the next.
    #[test]
    fn who_causes_little_does_not_wait_for_those_who_cause_much() {
        let mut rig = Rig::new(|slot| if slot == 0 { 1 } else { 50 });
        for before in [0, 300, 999] {
            rig.push(1..=1_000);
            assert!((0..before).all(|_| rig.serve() != Some(0)));
            rig.push([0]);
            assert_eq!(rig.serve(), Some(0));
            assert_eq!(rig.serve_all().len(), 1_000 - before);
        }
        rig.push(1..=1_000);
        assert!((0..3_000).all(|_| rig.serve_and_push() != 0));
        rig.push([0]);
        assert_eq!(rig.serve(), Some(0));
    }

    /// Nor does one that is not known yet, or that causes much seldom, once others have had their
    /// share.
    #[test]
    fn who_asks_seldom_does_not_wait_for_those_who_ask_always() {
        let mut rig = Rig::new(|_| 50);
        rig.push(1..=1_000);
        assert!((0..1_500).all(|_| rig.serve_and_push() != 0));
        rig.are_known = false;
        rig.push([0]);
        // Half of the others have had one share more than the rest.
        assert!((0..=500).any(|_| rig.serve_and_push() == 0));
    }

    /// One message to everybody does not keep its publisher waiting for long.
    #[test]
    fn a_debt_is_limited() {
        let mut rig = Rig::new(|slot| if slot == 0 { 1_000_000 } else { 100 });
        rig.push([1, 0]);
        let (mut turns, mut between) = (0, 0);
        while turns < 3 {
            let is_first = rig.serve_and_push() == 0;
            (turns, between) = if is_first { (turns + 1, 0) } else { (turns, between + 1) };
            assert!(between <= 9, "{between}");
        }
    }

    /// Who goes on with more input while it is served waits behind the others, with what it has
    /// caused so far.
    #[test]
    fn who_has_more_waits_again_with_its_debt() {
        let mut rig = Rig::new(|_| 1);
        rig.push([0, 1]);
        assert_eq!(rig.queue.pop(), Some(id(0)));
        rig.queue.push(id(0));
        assert!(!rig.queue.is_empty());
        rig.queue.served(Work::DELIVERY);
        rig.push([]);
        assert_eq!(rig.serve_all(), [1, 0]);
    }

    /// A connection owes nothing for the one that had its slot before, and what is kept is charged.
    #[test]
    fn a_slot_begins_anew() {
        let mut rig = Rig::new(|_| 300);
        rig.push([0, 1]);
        assert_eq!(rig.serve(), Some(0));
        let next = ConnectionId { slot: 0, generation: 2 };
        rig.queue.push(next);
        rig.push([0]);
        assert_eq!(rig.serve(), Some(1));
        assert_eq!(rig.queue.pop(), Some(next));
        assert_eq!(rig.ledger.used(), rig.queue.flows.capacity() * size_of::<Flow>());
    }
}
