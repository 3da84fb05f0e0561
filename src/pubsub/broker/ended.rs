//! The subscriptions that end.

use std::collections::VecDeque;

use crate::base::ConnectionId;
use crate::pubsub::name::Filter;

/// Subscriptions that end, in the order in which they are taken out of the index.
#[derive(Debug, Default)]
pub(super) struct Ended {
    /// By request of a client, which is answered.
    pub(super) requested: VecDeque<Step>,
    /// With their connections.
    pub(super) gone: VecDeque<(ConnectionId, Filter)>,
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
        self.requested.len() + self.gone.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.requested.is_empty() && self.gone.is_empty()
    }

    /// Whether subscriptions that clients have asked to end are still in the index.
    pub(super) fn has_requested(&self) -> bool {
        !self.requested.is_empty()
    }
}
