//! Connections whose input waits for room, in the order of start-time fair queueing.
//!
//! Room is for messages that many subscribers may get. So the connections take turns by the work
//! that their messages cause, not by their number: a connection whose messages are for one
//! subscriber does not wait until a thousand others have published to fifty each.

use std::collections::BTreeMap;

use crate::base::ledger::Charge;
use crate::base::{ConnectionId, Ledger, Work};

/// What the input of a connection is expected to cause before it has waited once: a message to a
/// few subscribers.
const UNKNOWN: u32 = 8 * Work::DELIVERY as u32;
/// An expectation falls by one part in so many with each input that causes less.
const REMEMBERED: u32 = 16;
/// A connection is put back by so much at most, whatever its input has caused: 800 deliveries.
const MAX_DEBT: u64 = 800 * Work::DELIVERY;

/// What is known of the connection of a slot.
#[derive(Clone, Copy, Debug, Default)]
struct Flow {
    generation: u32,
    /// The work that its next input is expected to cause.
    expected: u32,
    /// The virtual time at which its last input has had its share.
    finish: u64,
}

/// The place of a connection: its start time, then how much its input is expected to cause, by
/// powers of two, then the order of arrival.
type Place = (u64, u32, u64);

/// The connections that wait, each at most once.
///
/// The virtual time is the start time of the last input that was taken, in units of
/// [`Work`]. An input starts at that time, or when the one before it of its connection has had its
/// share, if that is later. Nothing is kept of connections that find room at once, so the queue
/// costs nothing while nobody waits.
#[derive(Debug, Default)]
pub(super) struct FairQueue {
    waiting: BTreeMap<Place, ConnectionId>,
    flows: Vec<Flow>,
    now: u64,
    /// The latest time at which an input has had its share.
    last_finish: u64,
    arrivals: u64,
    /// The connection that is being served, and whether it is to wait again.
    served: Option<(ConnectionId, bool)>,
    /// For the table of flows.
    charge: Option<Charge>,
}

impl FairQueue {
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    #[inline]
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Adds a connection. What is kept about it is charged at `ledger`.
    pub(super) fn push(&mut self, id: ConnectionId, ledger: &Ledger) {
        if let Some((served, again)) = &mut self.served
            && *served == id
        {
            *again = true;
            return;
        }
        let Flow { expected, finish, .. } = *self.flow(id, ledger);
        let place = (finish.max(self.now), expected.ilog2(), self.arrivals);
        self.arrivals += 1;
        self.waiting.insert(place, id);
    }

    /// Takes the connection whose turn it is. [`served`](Self::served) has to follow, unless the
    /// connection has ended.
    pub(super) fn pop(&mut self) -> Option<ConnectionId> {
        let ((start, ..), id) = self.waiting.pop_first()?;
        self.now = self.now.max(start);
        self.served = Some((id, false));
        Some(id)
    }

    /// The connection that was taken last has caused so much work, with that of deliveries that are
    /// still to be made.
    pub(super) fn served(&mut self, work: u64, ledger: &Ledger) {
        let Some((id, again)) = self.served.take() else { return };
        let (now, cost) = (self.now, u32::try_from(work).unwrap_or(u32::MAX).max(1));
        let flow = self.flow(id, ledger);
        flow.finish = flow.finish.max(now).saturating_add(work).min(now.saturating_add(MAX_DEBT));
        flow.expected = match flow.expected {
            expected if cost < expected => expected - (expected - cost).div_ceil(REMEMBERED),
            _ => cost,
        };
        let finish = flow.finish;
        self.last_finish = self.last_finish.max(finish);
        if again {
            self.push(id, ledger);
        }
        if self.waiting.is_empty() {
            // Nobody has waited for what was served so far: it is forgotten.
            self.now = self.last_finish;
        }
    }

    /// What is known of a connection.
    fn flow(&mut self, id: ConnectionId, ledger: &Ledger) -> &mut Flow {
        let at = id.slot as usize;
        if at >= self.flows.len() {
            self.flows.resize(at + 1, Flow::default());
            let charge = self.charge.get_or_insert_with(|| ledger.open());
            charge.set(self.flows.capacity() * size_of::<Flow>());
        }
        let flow = &mut self.flows[at];
        if flow.expected == 0 || flow.generation != id.generation {
            *flow = Flow { generation: id.generation, expected: UNKNOWN, finish: 0 };
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

    struct Rig(FairQueue, Ledger);

    impl Rig {
        fn new() -> Self {
            Self(FairQueue::default(), Ledger::default())
        }

        fn push(&mut self, slot: u32) {
            self.0.push(id(slot), &self.1);
        }

        /// Serves the next one, which causes so many deliveries by its number.
        fn serve(&mut self, deliveries: impl Fn(u32) -> u64) -> Option<u32> {
            let id = self.0.pop()?;
            self.0.served(deliveries(id.slot) * Work::DELIVERY, &self.1);
            Some(id.slot)
        }

        fn serve_all(&mut self, deliveries: impl Fn(u32) -> u64) -> Vec<u32> {
            std::iter::from_fn(|| self.serve(&deliveries)).collect()
        }
    }

    #[test]
    fn equals_are_served_in_the_order_of_arrival() {
        let mut rig = Rig::new();
        for _ in 0..3 {
            [3, 1, 2].into_iter().for_each(|slot| rig.push(slot));
            assert_eq!(rig.serve_all(|_| 1), [3, 1, 2]);
        }
        assert!(rig.0.is_empty() && rig.0.pop().is_none());
    }

    /// A connection that is always there gets as much work done as each other one.
    #[test]
    fn work_is_shared_evenly() {
        let mut rig = Rig::new();
        let deliveries = |slot: u32| [1, 10, 100][slot as usize];
        let mut done = [0; 3];
        (0..3).for_each(|slot| rig.push(slot));
        for _ in 0..10_000 {
            let slot = rig.serve(deliveries).unwrap();
            done[slot as usize] += deliveries(slot);
            rig.push(slot);
        }
        assert!(done.iter().all(|of| of.abs_diff(done[0]) <= 200), "{done:?}");
    }

    /// However many others publish to fifty, at once or always, who publishes to one or to fifty
    /// for the first time in a while is served at once.
    #[test]
    fn who_asks_for_little_is_not_kept_waiting() {
        let mut rig = Rig::new();
        let deliveries = |slot: u32| if slot == 0 { 1 } else { 50 };
        // All are known.
        (0..=1_000).for_each(|slot| rig.push(slot));
        rig.serve_all(deliveries);
        // A burst of messages, and one that comes in the middle of it.
        (1..=1_000).for_each(|slot| rig.push(slot));
        assert!((0..300).all(|_| rig.serve(deliveries) != Some(0)));
        rig.push(0);
        assert_eq!(rig.serve(deliveries), Some(0));
        // Those that are always there.
        for _ in 0..3_000 {
            let slot = rig.serve(deliveries).unwrap();
            rig.push(slot);
        }
        rig.push(0);
        assert_eq!(rig.serve(deliveries), Some(0));
        rig.push(2_000);
        let before = std::iter::repeat_with(|| {
            let slot = rig.serve(deliveries).unwrap();
            rig.push(slot);
            slot
        });
        let before = before.take_while(|slot| *slot != 2_000).count();
        assert!(before <= 500, "{before}");
    }

    /// A cheap message in between does not make the next ones look cheap.
    #[test]
    fn what_input_has_caused_is_remembered() {
        let mut rig = Rig::new();
        (0..3).for_each(|slot| rig.push(slot));
        rig.serve_all(|slot| [50, 50, 1][slot as usize]);
        rig.push(0);
        rig.serve_all(|_| 1);
        (0..3).for_each(|slot| rig.push(slot));
        assert_eq!(rig.serve(|_| 50), Some(2));
        rig.serve_all(|_| 50);
        for _ in 0..100 {
            rig.push(0);
            rig.serve_all(|_| 1);
        }
        (0..2).rev().for_each(|slot| rig.push(slot));
        assert_eq!(rig.serve(|_| 1), Some(0));
    }

    /// One message to everybody does not keep its publisher waiting for long.
    #[test]
    fn a_debt_is_limited() {
        let mut rig = Rig::new();
        rig.push(1);
        rig.push(0);
        let deliveries = |slot: u32| if slot == 0 { 1_000_000 } else { 100 };
        let mut between = 0;
        let mut turns = 0;
        while turns < 3 {
            let slot = rig.serve(deliveries).unwrap();
            rig.push(slot);
            (turns, between) = if slot == 0 { (turns + 1, 0) } else { (turns, between + 1) };
            assert!(between <= 9, "{between}");
        }
    }

    /// A connection that has more input is put behind the others after it is served, with what it
    /// has caused.
    #[test]
    fn who_has_more_waits_again_with_its_debt() {
        let mut rig = Rig::new();
        rig.push(0);
        rig.push(1);
        assert_eq!(rig.0.pop(), Some(id(0)));
        rig.push(0);
        assert_eq!(rig.0.len(), 1);
        rig.0.served(Work::DELIVERY, &rig.1);
        assert_eq!(rig.serve_all(|_| 1), [1, 0]);
    }

    /// A connection owes nothing for the one that had its slot before, and what is kept is charged.
    #[test]
    fn a_slot_begins_anew() {
        let mut rig = Rig::new();
        (0..2).for_each(|slot| rig.push(slot));
        rig.serve(|_| 300);
        let next = ConnectionId { slot: 0, generation: 2 };
        rig.0.push(next, &rig.1);
        assert_eq!(rig.0.pop(), Some(id(1)));
        rig.0.served(1, &rig.1);
        assert_eq!(rig.0.pop(), Some(next));
        assert_eq!(rig.1.used(), rig.0.flows.capacity() * size_of::<Flow>());
    }
}
