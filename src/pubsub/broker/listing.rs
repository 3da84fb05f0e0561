//! What is told of topics to those who administrate the server.

use super::state::Broker;
use crate::pubsub::name::{Filter, Topic};

impl Broker {
    /// The filters of this core's connections from slot `from` on, one after the other, until about
    /// `most` were looked at. Returns where to go on, if there are more.
    pub(crate) fn filters_from(
        &self,
        from: u32,
        most: usize,
        found: impl FnMut(&Filter),
    ) -> Option<u32> {
        self.subscribers.filters(from, most, found)
    }

    /// The topics behind `after` that have a retained value, in order, with the bytes that each
    /// counts for; at most `most`.
    pub(crate) fn retained_after(&self, after: Option<&str>, most: usize) -> Vec<(Topic, usize)> {
        let all = self.retained.after(after);
        all.take(most).map(|(topic, bytes)| (topic.clone(), bytes)).collect()
    }
}
