//! Messages to few that go past one to very many: these take many turns, and others must not wait
//! for all of them.

use super::{DELIVERY, Delivery, DeliveryQueue, MAX_BEGUN};
use crate::pubsub::encoding::Form;
use crate::pubsub::name::Topic;
use crate::session::Outbound;

/// So many are looked at behind a wide delivery, those included that are done.
const MAX_LOOKED_AT: usize = 4096;

impl Delivery {
    /// Whether it may go past others. Of two deliveries that are under way at the same time only
    /// one may be to several lists: it is noted for each connection that it has got the message.
    fn is_narrow(&self) -> bool {
        !self.overlaps && !self.is_done() && !self.is_wide()
    }

    fn topic(&self) -> Option<&Topic> {
        self.segments.first().map(|segment| &segment.batch.topic)
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
        // Those looked at that are not done.
        let (mut left, mut before) = (max / 2, vec![0]);
        for at in 1..self.queue.len().min(MAX_LOOKED_AT) {
            let Some(delivery) = self.queue.get(at) else { break };
            if delivery.is_done() {
                continue;
            }
            if left == 0 || before.len() > MAX_BEGUN {
                break;
            }
            if delivery.is_narrow() && !self.follows(at, &before) {
                left = self.deliver_at(at, left, out).unwrap_or(0);
                self.release_done(at);
            }
            before.push(at);
        }
        max - max / 2 + left
    }

    /// Whether the delivery at this place follows one of its topic, of those at these places: the
    /// messages of a topic stay in order.
    fn follows(&self, at: usize, before: &[usize]) -> bool {
        let own = self.queue.get(at).and_then(Delivery::topic);
        let mut before = before.iter().filter_map(|at| self.queue.get(*at));
        before.any(|before| !before.is_done() && before.topic() == own)
    }

    /// A delivery that is done keeps its place until all before it are done, but not its messages.
    fn release_done(&mut self, at: usize) {
        if let Some(delivery) = self.queue.get_mut(at).filter(|delivery| delivery.is_done()) {
            self.bytes -= delivery.bytes - DELIVERY;
            (delivery.bytes, delivery.framed) = (DELIVERY, 0);
            delivery.segments = Vec::new();
            delivery.frames = [const { None }; Form::COUNT];
        }
    }
}
