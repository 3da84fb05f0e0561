//! The timers that an application has set, one for each connection at most.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::wheel::Wheel;
use crate::base::{ConnectionId, Millis};

/// The timers of one core.
#[derive(Debug)]
pub(crate) struct Timers {
    wheel: Wheel,
    /// The connections with a timer, by slot.
    ids: HashMap<u32, ConnectionId>,
    /// Set in this turn. The wheel takes them at the end of the turn, when the time is known.
    fresh: Vec<(ConnectionId, Duration)>,
    due: Vec<u32>,
}

impl Timers {
    pub(crate) fn new() -> Self {
        Self { wheel: Wheel::new(), ids: HashMap::new(), fresh: Vec::new(), due: Vec::new() }
    }

    pub(crate) const fn is_empty(&self) -> bool {
        self.wheel.next_ms().is_none() && self.fresh.is_empty()
    }

    pub(crate) fn set(&mut self, id: ConnectionId, wait: Duration) {
        self.fresh.push((id, wait));
    }

    pub(crate) fn clear(&mut self, id: ConnectionId) {
        self.fresh.retain(|(fresh, _)| *fresh != id);
        if self.ids.get(&id.slot) == Some(&id) {
            self.ids.remove(&id.slot);
            self.wheel.clear(id.slot);
        }
    }

    /// Takes the timers that were set since the last call into the wheel, and the connections whose
    /// time is over out of it.
    pub(crate) fn expire(&mut self, now: Millis) -> Vec<ConnectionId> {
        for (id, wait) in self.fresh.drain(..) {
            self.ids.insert(id.slot, id);
            self.wheel.set(id.slot, now.after(wait).0);
        }
        self.wheel.expire(now.0, &mut self.due);
        self.due.drain(..).filter_map(|slot| self.ids.remove(&slot)).collect()
    }

    /// When [`expire`](Self::expire) has to be called again.
    pub(crate) fn next(&self) -> Millis {
        match self.fresh.is_empty() {
            true => self.wheel.next_ms().map_or(Millis::NEVER, Millis),
            false => Millis::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(slot: u32, generation: u32) -> ConnectionId {
        ConnectionId { slot, generation }
    }

    #[test]
    fn a_timer_comes_once_and_not_after_the_end_of_its_connection() {
        let mut timers = Timers::new();
        let second = Duration::from_secs(1);
        timers.set(id(3, 1), second);
        timers.set(id(4, 1), second);
        timers.set(id(5, 1), second);
        timers.clear(id(4, 1));
        assert_eq!(timers.expire(Millis(10_000)), []);
        timers.clear(id(5, 1));
        // The next connection in the slot.
        timers.clear(id(3, 2));
        assert!(timers.next() >= Millis(11_000) && timers.next() < Millis(11_100));
        assert_eq!(timers.expire(Millis(10_900)), []);
        assert_eq!(timers.expire(Millis(11_100)), [id(3, 1)]);
        assert_eq!(timers.expire(Millis(20_000)), []);
        assert!(timers.is_empty());
    }

    #[test]
    fn a_timer_that_is_set_again_replaces_the_earlier_one() {
        let mut timers = Timers::new();
        timers.set(id(1, 1), Duration::from_secs(1));
        timers.set(id(1, 1), Duration::from_secs(5));
        assert_eq!(timers.expire(Millis(0)), []);
        assert_eq!(timers.expire(Millis(2_000)), []);
        assert_eq!(timers.expire(Millis(6_000)), [id(1, 1)]);
    }
}
