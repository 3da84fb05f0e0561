//! Connections whose input waits for room, in the order of weighted fair queueing.
//!
//! Room is for messages that many subscribers may get. So the connections take turns by the work
//! that their messages cause, not by their number: a connection whose messages are for one
//! subscriber does not wait until a thousand others have published to fifty each.

use std::collections::{BTreeMap, BTreeSet};

use crate::base::ledger::Charge;
use crate::base::{ConnectionId, Ledger, Work};

/// The deliveries that are expected of the input of a connection that has caused none yet.
const UNKNOWN: u32 = 128;
/// A connection is put back by so much at most, whatever its input has caused or is expected to
/// cause: 800 deliveries.
const MAX_DEBT: u64 = 800 * Work::DELIVERY;

/// A connection that has a place.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    id: ConnectionId,
    start: u64,
    /// The deliveries that are expected of its input.
    deliveries: u32,
}

/// What is known of the connection of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    generation: u32,
    /// The virtual time at which its last input has had its share.
    finish: u64,
}

/// The place of a connection: the virtual time at which its input would have had its share if all
/// were served at once, each a little; then the order of arrival.
type Place = (u64, u64);

/// The connections that wait, each at most once.
///
/// The virtual time is the work that would have been done for each if all were served at once, in
/// units of [`Work`]. An input starts at that time, or when the one before it of its connection has
/// had its share, if that is later.
/// What is done for connections that find room at once is not counted, so the queue costs nothing
/// while nobody waits.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    waiting: BTreeMap<Place, Waiting>,
    /// Those that have no place yet, in the order of arrival.
    arrived: Vec<ConnectionId>,
    flows: Vec<Flow>,
    /// The connections that do not wait any more and have been served before all others have had as
    /// much, by when these have, and by slot.
    ahead: BTreeSet<(u64, u32)>,
    now: u64,
    /// The latest time at which an input has had its share.
    last_finish: u64,
    /// The connections that were ever given a place.
    placed: u64,
    /// The connection that was taken last, and its start.
    taken: Option<(ConnectionId, u64)>,
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
            let finish = self.flow(id).finish;
            self.ahead.remove(&(finish, id.slot));
            let start = self.now.max(finish);
            let deliveries = deliveries(id).unwrap_or(UNKNOWN).max(1);
            let work = (u64::from(deliveries) * Work::DELIVERY).min(MAX_DEBT);
            let waiting = Waiting { id, start, deliveries };
            self.waiting.insert((start.saturating_add(work), self.placed), waiting);
            self.placed += 1;
        }
        self.arrived = arrived;
        let charge = self.charge.get_or_insert_with(|| ledger.open());
        charge.set(self.flows.capacity() * size_of::<Flow>());
    }

    /// Takes the connection whose turn it is. [`served`](Self::served) has to follow, unless the
    /// connection has ended.
    pub(super) fn pop(&mut self) -> Option<ConnectionId> {
        let (_, Waiting { id, start, .. }) = self.waiting.pop_first()?;
        self.taken = Some((id, start));
        Some(id)
    }

    /// The deliveries that are expected of the input of the connection whose turn it is.
    pub(super) fn next_deliveries(&self) -> Option<u32> {
        self.waiting.first_key_value().map(|(_, waiting)| waiting.deliveries)
    }

    /// The connection that was taken last has caused so much work, with that of deliveries that are
    /// still to be made.
    pub(super) fn served(&mut self, work: u64) {
        let Some((id, start)) = self.taken.take() else { return };
        let sharing = self.waiting.len() + self.arrived.len() + self.ahead.len() + 1;
        self.now = self.now.saturating_add(work / sharing as u64);
        let finish = start.saturating_add(work).min(self.now.saturating_add(MAX_DEBT));
        self.flow(id).finish = finish;
        self.last_finish = self.last_finish.max(finish);
        if self.is_empty() {
            // Nobody has waited for what was served so far: it is forgotten.
            self.now = self.last_finish;
        }
        self.ahead.insert((finish, id.slot));
        while self.ahead.first().is_some_and(|(finish, _)| *finish <= self.now) {
            self.ahead.pop_first();
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
    struct Rig {
        queue: FairQueue,
        deliveries: fn(u32) -> u32,
        are_known: bool,
        ledger: Ledger,
    }

    impl Rig {
        fn new(deliveries: fn(u32) -> u32) -> Self {
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

        /// The same; it has more input, unless its number is 0.
        fn serve_and_push(&mut self) -> u32 {
            let slot = self.serve().unwrap();
            self.push((slot != 0).then_some(slot));
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
        let mut rig = Rig::new(|slot| [0, 1, 10, 100][slot as usize]);
        rig.push(1..4);
        let mut done = [0_u32; 4];
        for _ in 0..10_000 {
            let slot = rig.serve_and_push();
            done[slot as usize] += (rig.deliveries)(slot);
        }
        assert!(done[1..].iter().all(|of| of.abs_diff(done[1]) <= 200), "{done:?}");
    }

    /// However many others publish to fifty, at once or always, who publishes to one is the next,
    /// also if it does so again and again.
    #[test]
    fn who_causes_little_does_not_wait_for_those_who_cause_much() {
        let mut rig = Rig::new(|slot| if slot == 0 { 1 } else { 50 });
        for before in [0, 300, 999] {
            rig.push(1..=1_000);
            assert!((0..before).all(|_| rig.serve() != Some(0)));
            rig.push([0]);
            // The last ones are nearly done when it comes.
            assert!((0..20).any(|_| rig.serve() == Some(0)));
            rig.serve_all();
        }
        rig.push(1..=1_000);
        for turn in 0..6_000 {
            if turn % 40 == 0 {
                rig.push([0]);
                assert_eq!(rig.serve(), Some(0), "{turn}");
            }
            assert_ne!(rig.serve_and_push(), 0);
        }
    }

    /// Newcomers that cause little cannot keep those who cause much waiting for ever.
    #[test]
    fn nobody_waits_for_ever() {
        let mut rig = Rig::new(|slot| if slot == 0 { 400 } else { 10 });
        rig.push(0..10);
        let mut newcomers = 10..5_000;
        newcomers.find(|slot| {
            rig.push([*slot]);
            rig.serve() == Some(0)
        });
        assert!(newcomers.start < 4_000, "{newcomers:?}");
    }

    /// Nor does one that is not known yet, or that causes much seldom, once others have had their
    /// share.
    #[test]
    fn who_asks_seldom_does_not_wait_for_those_who_ask_always() {
        let mut rig = Rig::new(|_| 50);
        rig.push(1..=1_000);
        rig.are_known = false;
        rig.push([0]);
        // 128 deliveries are expected of it: two messages of each of the others may go first.
        assert!((0..=2_000).any(|_| rig.serve_and_push() == 0));
        rig.are_known = true;
        for _ in 0..100 {
            assert!((0..1_500).all(|_| rig.serve_and_push() != 0));
            rig.push([0]);
            assert!((0..=1_000).any(|_| rig.serve_and_push() == 0));
        }
    }

    /// One message to everybody does not keep its publisher waiting for long.
    #[test]
    fn a_debt_is_limited() {
        let mut rig = Rig::new(|slot| if slot == 0 { 1_000_000 } else { 100 });
        rig.push([1, 0]);
        (0..200_000).find(|_| rig.serve_and_push() == 0).expect("it is served at last");
        // It is known by now what it causes.
        rig.deliveries = |slot| if slot == 0 { 1 } else { 100 };
        rig.push([0]);
        assert!((0..=20).any(|_| rig.serve_and_push() == 0));
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
