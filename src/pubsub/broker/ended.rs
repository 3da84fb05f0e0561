//! The subscriptions that end.

use std::collections::{HashMap, VecDeque};

use crate::base::ConnectionId;
use crate::pubsub::name::Filter;
use crate::pubsub::subscribers::Filters;

/// Subscriptions that end, in the order in which they are taken out of the index.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// By request of a client, which is answered.
    requested: VecDeque<Step>,
    /// The number of requests of each client.
    requests: HashMap<ConnectionId, usize>,
    /// With their connections; there is a list for each, so that a queue of very many does not
    /// grow in long steps.
    gone: VecDeque<(ConnectionId, Filters)>,
    /// The filters in all of these.
    gone_len: usize,
}

/// A step in the end of subscriptions.
#[derive(Debug)]
pub(super) enum Step {
    /// A subscription ends.
    End(ConnectionId, Filter),
    /// All subscriptions of a request have ended.
    Answer(ConnectionId),
}

impl Ended {
    /// The number of steps that are left.
    pub(super) fn len(&self) -> usize {
        self.requested.len() + self.gone_len
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requested.is_empty() && self.gone.is_empty()
    }

    /// The number of subscriptions that end with their connections.
    pub(super) fn gone_len(&self) -> usize {
        self.gone_len
    }

    /// Whether subscriptions that this client has asked to end are still in the index.
    pub(super) fn is_requested_by(&self, id: ConnectionId) -> bool {
        self.requests.contains_key(&id)
    }

    /// A client asks for the end of these.
    pub(super) fn request(&mut self, id: ConnectionId, filters: Vec<Filter>) {
        *self.requests.entry(id).or_default() += 1;
        self.requested.extend(filters.into_iter().map(|filter| Step::End(id, filter)));
        self.requested.push_back(Step::Answer(id));
    }

    /// A connection is gone that had these.
    pub(super) fn leave(&mut self, id: ConnectionId, filters: Filters) {
        if !filters.is_empty() {
            self.gone_len += filters.len();
            self.gone.push_back((id, filters));
        }
    }

    /// Takes the next step for clients that have asked for it.
    pub(super) fn next_requested(&mut self) -> Option<Step> {
        let step = self.requested.pop_front()?;
        if let Step::Answer(id) = step
            && let Some(count) = self.requests.get_mut(&id)
        {
            *count -= 1;
            if *count == 0 {
                self.requests.remove(&id);
            }
        }
        Some(step)
    }

    /// Takes the next subscription that ends with its connection.
    pub(super) fn next_gone(&mut self) -> Option<(ConnectionId, Filter)> {
        let (id, filters) = self.gone.front_mut()?;
        let (id, filter) = (*id, filters.pop_first()?);
        self.gone_len -= 1;
        if filters.is_empty() {
            self.gone.pop_front();
        }
        Some((id, filter))
    }
}
