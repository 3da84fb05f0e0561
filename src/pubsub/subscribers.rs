//! The connections of a core that subscribe.

mod filters;
mod replays;
#[cfg(test)]
mod tests;

use super::encoding::Form;
use super::name::Filter;
use crate::base::ConnectionId;
use crate::base::blocks::Blocks;
pub(super) use filters::Filters;
pub(super) use replays::{Replay, Replays};

/// How a connection subscribes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Options {
    /// The encoding of what it is sent.
    pub(crate) form: Form,
    /// Whether it is sent its own messages.
    pub(crate) echo: bool,
    /// Whether retained values are marked as such in its encoding. If not, a retained value is sent
    /// before every newer message of its topic.
    pub(crate) marks_retained: bool,
}

/// Subscriptions of one request that every core has acknowledged.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) id: ConnectionId,
    pub(super) filters: Vec<Filter>,
}

/// The bytes that a subscription takes besides the index: its filter, and what is kept for the
/// other cores.
pub(super) fn filter_bytes(filter: &Filter) -> usize {
    SUBSCRIPTION + filter.as_str().len()
}

/// The bytes that this many filters take, with so much text.
pub(super) const fn all_filter_bytes(filters: usize, text: usize) -> usize {
    filters * SUBSCRIPTION + text
}

/// What of this is not text.
const SUBSCRIPTION: usize = 96;

/// One connection that subscribes.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: ConnectionId,
    pub(super) options: Options,
    /// Its filters, in force or not yet.
    pub(super) filters: Filters,
    /// Retained values to be sent, one filter after the other.
    pub(super) replays: Replays,
    /// It is in the list of connections that are sent retained values.
    pub(super) is_replaying: bool,
}

/// Subscribers by slot. Other connections have an empty entry, or none after the block of the
/// last subscriber.
#[derive(Debug, Default)]
pub(super) struct Subscribers(Blocks<Option<Box<Subscriber>>>);

impl Subscribers {
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Subscriber> {
        let subscriber = self.0.get_mut(id.slot)?.as_deref_mut()?;
        (subscriber.id == id).then_some(subscriber)
    }

    pub(super) fn insert(&mut self, id: ConnectionId, options: Options) {
        *self.0.reach(id.slot, || None) = Some(Box::new(Subscriber {
            id,
            options,
            filters: Filters::default(),
            replays: Replays::default(),
            is_replaying: false,
        }));
    }

    /// All of them.
    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.0.iter().flatten().map(|subscriber| subscriber.id)
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Subscriber>> {
        self.get(id)?;
        self.0.get_mut(id.slot)?.take()
    }
}
