//! The broker of one core: between its subscribers and publishers, and the brokers of other cores.
//! It knows topics, filters and encodings, and no client protocol and no application.

mod publish;
pub(super) mod replay;
mod subscribe;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use super::delivery::queue::DeliveryQueue;
use super::index::Index;
use super::name::Filter;
use super::peers::{Message, PeerMessage, Peers};
use super::publication::Value;
use super::retained::{Retained, Totals};
use super::subscribers::Subscribers;
use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::mesh::Port;
use crate::session::{Outbound, Wakeup};
use publish::Drafts;
pub(crate) use subscribe::Established;

/// How many messages of each core are taken in one turn.
const PEER_BATCH: usize = 256;
/// How soon it is tried again whether another core has room.
const RETRY_MS: u64 = 1;

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
    config: Arc<Config>,
    now: Millis,
    subscribers: Subscribers,
    index: Index,
    retained: Retained<Value>,
    drafts: Drafts,
    deliveries: DeliveryQueue,
    peers: Peers,
    /// Subscriptions that are not in force yet, by the change of interest that the other cores have
    /// to acknowledge first.
    establishing: BTreeMap<u64, Vec<Established>>,
    /// Connections that are sent retained values.
    replaying: VecDeque<ConnectionId>,
    /// Subscriptions that have ended in this turn.
    ended: Vec<(ConnectionId, Filter)>,
    /// Messages of other cores were taken, and `end_turn` has not been called since.
    has_news: bool,
    /// The core has said that it sleeps.
    is_asleep: bool,
    incoming: Vec<(usize, PeerMessage)>,
    to_wake: Vec<usize>,
    stats: Stats,
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

    /// A turn begins. Takes the messages of other cores, unless there is too much to deliver.
    ///
    /// That is before any input of clients is handled, so that the Lamport clock of this core is
    /// ahead of everything that its clients may have seen from other cores.
    pub fn start_turn(&mut self) {
        if std::mem::take(&mut self.is_asleep) {
            self.peers.port().wake_up();
        }
        // Only its own deliveries keep a core from taking messages, or two cores could wait for each
        // other.
        if self.deliveries.bytes() > self.config.pubsub.backlog {
            return;
        }
        let mut incoming = std::mem::take(&mut self.incoming);
        self.peers.port().drain(PEER_BATCH, |from, message| incoming.push((from, message)));
        self.has_news |= !incoming.is_empty();
        for (from, PeerMessage(message)) in incoming.drain(..) {
            match message {
                Message::Batch(batch) => self.receive_batch(batch),
                Message::Interest(filter, forms) => self.index.set_remote(&filter, from, forms),
                Message::Sent(number) => self.peers.set_received(from, number),
                Message::Acked(number) => self.peers.set_acked(from, number),
            }
        }
        self.incoming = incoming;
    }

    /// The input of a turn is handled: passes on what was published in it, to those who had
    /// subscribed before it, then ends subscriptions. So lists of subscribers change once in a turn.
    pub fn distribute(&mut self, now: Millis) {
        self.now = now;
        self.has_news = false;
        self.pass_on();
        self.end_subscriptions();
    }

    /// Sends to the other cores what there is room for, and wakes those that sleep.
    pub fn flush<O: Outbound>(&mut self, out: &mut O) {
        self.peers.flush(&mut self.to_wake);
        for core in self.to_wake.drain(..) {
            out.wake(core);
        }
    }

    /// Makes about `max` deliveries.
    ///
    /// New messages go first: retained values fill up what a connection is given in a turn, and a
    /// connection that has got enough stops everything new. Half of the turn is for retained values.
    pub fn deliver<O: Outbound>(&mut self, max: usize, out: &mut O) {
        if self.deliveries.is_empty() && self.replaying.is_empty() {
            return;
        }
        let left = self.deliveries.deliver(max - max / 2, out);
        let left = self.replay(max / 2 + left, out);
        self.deliveries.deliver(left, out);
    }

    /// When the broker needs its next turn.
    #[must_use]
    pub fn wakeup(&self) -> Wakeup {
        let has_deliveries = !self.deliveries.is_empty() || !self.replaying.is_empty();
        if has_deliveries || self.has_news || !self.drafts.is_empty() {
            Wakeup::Now
        } else if self.peers.is_unfinished() {
            Wakeup::At(Millis(self.now.0 + RETRY_MS))
        } else {
            Wakeup::At(Millis::NEVER)
        }
    }

    /// Whether there is room for what may be published.
    #[inline]
    #[must_use]
    pub fn has_room(&self) -> bool {
        let waiting = self.deliveries.bytes() + self.drafts.bytes();
        waiting <= self.config.pubsub.backlog && !self.peers.is_backed_up()
    }

    /// Says that the core sleeps from now on. `false` if another core has left messages.
    pub fn try_sleep(&mut self) -> bool {
        self.is_asleep = self.peers.port().try_sleep();
        self.is_asleep
    }

    /// Takes back [`try_sleep`](Self::try_sleep).
    pub fn cancel_sleep(&mut self) {
        self.peers.port().wake_up();
        self.is_asleep = false;
    }
}
