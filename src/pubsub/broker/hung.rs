//! Other cores that hang. Messages for such a core are dropped once its queue is full, so that the
//! publishers of the others need not wait for it. When it goes on, it learns of that, and closes
//! its subscribers, since nobody knows how many messages each of them has missed.

use super::state::Broker;
use crate::base::ConnectionId;

impl Broker {
    /// Another core has dropped messages for this one, which did not respond.
    pub(super) fn note_missed(&mut self, from: usize) {
        tracing::warn!(from, "messages of another core were lost, since this one did not respond");
        self.missed.clear();
        self.missed.extend(self.subscribers.ids());
    }

    /// Takes a connection that may have missed messages. The caller closes it.
    pub(crate) fn take_missed(&mut self) -> Option<ConnectionId> {
        self.missed.pop()
    }
}
