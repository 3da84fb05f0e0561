//! What is told of topics to those who administrate the server.

use super::state::Broker;
use crate::pubsub::name::Topic;

impl Broker {
    /// Has it know the order of the filters, which takes memory for each. It has none yet.
    pub(crate) fn list_filters(&mut self) {
        self.index.list_filters();
    }

    /// The filters behind `after` that have subscribers on this core, in order, with the numbers of
    /// these; none unless it [knows](Self::list_filters) the order.
    pub(crate) fn filters_after(&self, after: Option<&str>) -> impl Iterator<Item = (&str, usize)> {
        self.index.filters_after(after)
    }

    /// The topics behind `after` that have a retained value, in order, with the bytes that each
    /// counts for; at most `most`.
    pub(crate) fn retained_after(&self, after: Option<&str>, most: usize) -> Vec<(Topic, usize)> {
        let all = self.retained.after(after);
        all.take(most).map(|(topic, bytes)| (topic.clone(), bytes)).collect()
    }
}
