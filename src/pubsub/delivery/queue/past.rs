//! Messages to few that go past one to very many: these take many turns, and others must not wait
//! for all of them.

use super::{Delivery, DeliveryQueue, MAX_BEGUN};
use crate::session::Outbound;

/// A delivery to at most so many subscribers goes past a wide one.
const NARROW: usize = 128;

impl Delivery {
    /// Whether it may go past others. Of two deliveries that are under way at the same time only
    /// one may be to several lists: it is noted for each connection that it has got the message.
    fn is_narrow(&self) -> bool {
        !self.overlaps && !self.lists.is_empty() && self.lists.subscribers() <= NARROW
    }
}

impl DeliveryQueue {
    /// Whether others wait behind a wide delivery.
    pub(super) fn has_wide_first(&self) -> bool {
        self.queue.len() > 1 && self.queue.front().is_some_and(Delivery::is_wide)
    }

    /// Makes up to half of `max` deliveries past the first one. Returns how many are left of `max`.
    #[cold]
    pub(super) fn deliver_past<O: Outbound>(&mut self, max: usize, out: &mut O) -> usize {
        let mut left = max / 2;
        for at in 1..self.queue.len().min(MAX_BEGUN) {
            if left == 0 {
                break;
            }
            if self.queue.get(at).is_some_and(Delivery::is_narrow) && !self.follows(at) {
                left = self.deliver_at(at, left, out).unwrap_or(0);
            }
        }
        max - max / 2 + left
    }

    /// Whether the delivery at this place follows one of its topic that is not done: the messages
    /// of a topic stay in order.
    fn follows(&self, at: usize) -> bool {
        let topic = |delivery: &Delivery| {
            delivery.segments.first().map(|segment| segment.batch.topic.clone())
        };
        let own = self.queue.get(at).and_then(topic);
        self.queue.iter().take(at).any(|before| !before.is_done() && topic(before) == own)
    }
}
