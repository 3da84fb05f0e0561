//! The connections of a core that subscribe.

use std::collections::VecDeque;
use std::rc::Rc;

use super::encoding::Form;
use super::name::{Filter, Topic};
use crate::base::ConnectionId;
use crate::base::blocks::Blocks;
use crate::session::Frames;

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

/// The retained values that match a filter and were stored when it was subscribed to.
#[derive(Debug)]
pub(super) struct Replay {
    pub(super) filter: Filter,
    /// The number of the last change of retained values at that moment.
    pub(super) until: u64,
    /// The last topic that was looked at.
    pub(super) after: Option<Topic>,
    /// The next value, framed, if the connection could not be sent it in the turn before, or has
    /// waited for it.
    pub(super) ready: Option<Rc<Frames>>,
    /// The number of the large value that is encoded for it; `None` if it does not wait.
    pub(super) waits_for: Option<u64>,
}

impl Replay {
    pub(super) const fn new(filter: Filter, until: u64) -> Self {
        Self { filter, until, after: None, ready: None, waits_for: None }
    }
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

/// What of this is not text.
pub(super) const SUBSCRIPTION: usize = 96;

/// One connection that subscribes.
#[derive(Debug)]
pub(super) struct Subscriber {
    pub(super) id: ConnectionId,
    pub(super) options: Options,
    /// Its filters, in force or not yet.
    pub(super) filters: Vec<Filter>,
    /// Retained values to be sent, one filter after the other.
    pub(super) replays: VecDeque<Replay>,
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
            filters: Vec::new(),
            replays: VecDeque::new(),
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
