//! The state of a broker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::drafts::Drafts;
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::mesh::Port;
use crate::pubsub::delivery::queue::DeliveryQueue;
use crate::pubsub::index::Index;
use crate::pubsub::name::Filter;
use crate::pubsub::peers::{PeerMessage, Peers};
use crate::pubsub::publication::Value;
use crate::pubsub::retained::{Retained, Totals};
use crate::pubsub::subscribers::{Established, Subscribers};

/// The counters of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages published by this core's connections, and by the programs that it serves.
    pub published: u64,
    /// Sends to subscribers of this core, each of one or more messages.
    pub deliveries: u64,
    /// Subscriptions of this core's connections at this moment.
    pub subscriptions: u64,
    /// Filters that are wanted by this core's connections or on other cores.
    pub filters: u64,
    /// Retained values at this moment.
    pub retained: u64,
    /// Messages that were published but not retained, because of the limits.
    pub not_retained: u64,
}

/// The broker of one core.
#[derive(Debug)]
pub struct Broker {
    pub(super) config: Arc<Config>,
    pub(super) now: Millis,
    pub(super) subscribers: Subscribers,
    pub(super) index: Index,
    pub(super) retained: Retained<Value>,
    pub(super) drafts: Drafts,
    pub(super) deliveries: DeliveryQueue,
    pub(super) peers: Peers,
    /// Subscriptions that are not in force yet, by the change of interest that the other cores have
    /// to acknowledge first.
    pub(super) establishing: BTreeMap<u64, Vec<Established>>,
    /// Connections that are sent retained values.
    pub(super) replaying: VecDeque<ConnectionId>,
    /// Subscriptions that end with this turn.
    pub(super) ended: Vec<(ConnectionId, Filter)>,
    /// Connections that have unsubscribed in this turn.
    pub(super) ending: Vec<ConnectionId>,
    /// Connections that have unsubscribed, each with the number of the last delivery that may be
    /// for it.
    pub(super) delivering_last: VecDeque<(u64, ConnectionId)>,
    /// Messages of other cores were taken, and `distribute` has not been called since.
    pub(super) has_news: bool,
    /// The core has declared that it sleeps.
    pub(super) is_asleep: bool,
    /// Messages of other cores and the cores to be woken; empty between calls, kept for their
    /// memory.
    pub(super) incoming: Vec<(usize, PeerMessage)>,
    pub(super) to_wake: Vec<usize>,
    pub(super) stats: Stats,
}

impl Broker {
    /// A broker without subscribers. `port` leads to the brokers of the other cores, which share
    /// `totals`.
    #[must_use]
    pub fn new(config: Arc<Config>, port: Port<PeerMessage>, totals: Totals) -> Self {
        let core = u16::try_from(port.number()).unwrap_or(u16::MAX);
        Self {
            now: Millis::default(),
            subscribers: Subscribers::default(),
            index: Index::new(port.cores()),
            retained: Retained::new(totals, core),
            drafts: Drafts::new(u32::from(config.deflate_level.value())),
            deliveries: DeliveryQueue::default(),
            peers: Peers::new(port),
            establishing: BTreeMap::new(),
            replaying: VecDeque::new(),
            ended: Vec::new(),
            ending: Vec::new(),
            delivering_last: VecDeque::new(),
            has_news: false,
            is_asleep: false,
            incoming: Vec::new(),
            to_wake: Vec::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            deliveries: self.deliveries.delivered,
            filters: self.index.filters() as u64,
            retained: self.retained.len() as u64,
            ..self.stats
        }
    }
}
