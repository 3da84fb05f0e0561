//! The state of a broker.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::drafts::Drafts;
use super::ended::Ended;
use super::establishing::Establishing;
use super::held::Held;
use super::kept::Kept;
use super::searching::Searching;
use super::sources::Sources;
use super::values::Values;
use crate::base::ledger::Charge;
use crate::base::{ConnectionId, Histogram, Ledger, Millis, Work};
use crate::config::Config;
use crate::mesh::Port;
use crate::pubsub::delivery::queue::DeliveryQueue;
use crate::pubsub::index::Index;
use crate::pubsub::peers::{PeerMessage, Peers};
use crate::pubsub::retained::{RetainLimit, Retained, Totals};
use crate::pubsub::subscribers::Subscribers;

/// The counters of a broker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages published by this core's connections, and by the programs that it serves.
    pub published: u64,
    /// Sends to subscribers of this core, each of one or more messages.
    pub deliveries: u64,
    /// The messages in these.
    pub delivered_messages: u64,
    /// Retained values sent to new subscribers.
    pub replayed: u64,
    /// Of these, the ones whose header was sent as an answer.
    pub(crate) in_parts: u64,
    /// Subscriptions of this core's connections at this moment.
    pub subscriptions: u64,
    /// Requests to subscribe that were refused because of a limit.
    pub refused_subscriptions: u64,
    /// Filters that are wanted by this core's connections or on other cores.
    pub filters: u64,
    /// Retained values at this moment.
    pub retained: u64,
    /// Messages that were published but not retained, because of the limits or because another
    /// core hangs.
    pub not_retained: u64,
    /// Messages that were not passed on to another core because that core hangs.
    pub lost: u64,
}

/// The broker of one core.
#[derive(Debug)]
pub struct Broker {
    pub(super) config: Arc<Config>,
    pub(super) now: Millis,
    /// The same by a finer clock that all cores share.
    pub(super) clock: Duration,
    pub(super) subscribers: Subscribers,
    pub(super) index: Index,
    pub(super) retained: Retained<Kept>,
    /// Messages of which the subscribers are not found at once.
    pub(super) searching: Searching,
    /// Clients of which the message was accepted after it had waited, and whether it is retained.
    pub(super) accepted: VecDeque<(ConnectionId, Result<(), RetainLimit>)>,
    pub(super) drafts: Drafts,
    pub(super) deliveries: DeliveryQueue,
    pub(super) peers: Peers,
    pub(super) sources: Sources,
    /// What waits for other cores, in deliveries, at the beginning of the turn.
    pub(super) untaken: usize,
    /// Subscriptions that are not in force yet, by the change of interest that the other cores have
    /// to acknowledge first.
    pub(super) establishing: Establishing,
    /// While subscriptions wait, the last change that was acknowledged and since when that has been
    /// so.
    pub(super) stalled: Option<(u64, Millis)>,
    /// No report of a core that does not acknowledge before this time.
    pub(super) report_again: Millis,
    /// Large retained values that are encoded for connections that wait for them.
    pub(super) values: Values,
    /// Connections that are sent retained values.
    pub(super) replaying: VecDeque<ConnectionId>,
    /// Subscriptions that end with this turn or the next ones.
    pub(super) ended: Ended,
    /// The changes of the index by clients of this core that are left in this turn.
    pub(super) changes_left: usize,
    /// The filters that clients have asked for in this turn.
    pub(super) asked: usize,
    /// The bytes that the filters of this core's connections count for.
    pub(super) filter_bytes: usize,
    /// The memory of these filters.
    pub(super) filter_memory: usize,
    /// The number of the last message that is encoded in pieces and is for one of the subscriptions
    /// that have ended so far of the request that is handled; 0 if there is none.
    pub(super) ended_last: u64,
    /// Connections that have unsubscribed, by that number and in the order of their requests.
    pub(super) encoding_last: BTreeMap<u64, VecDeque<ConnectionId>>,
    /// The same once that is done, each with the number of the last delivery that may be
    /// for it.
    pub(super) delivering_last: VecDeque<(u64, ConnectionId)>,
    /// Connections to be closed because messages for them were lost.
    pub(super) missed: Vec<ConnectionId>,
    /// Messages of other cores were taken, and `distribute` has not been called since.
    pub(super) has_news: bool,
    /// The core has declared that it sleeps.
    pub(super) is_asleep: bool,
    /// Batches of other cores that are taken and not handled, because too much waits to be
    /// delivered.
    pub(super) incoming: VecDeque<(usize, PeerMessage)>,
    /// The bytes of these.
    pub(super) incoming_bytes: usize,
    /// Empty between calls, kept for their memory.
    pub(super) control: Vec<(usize, PeerMessage)>,
    pub(super) to_wake: Vec<usize>,
    pub(super) stats: Stats,
    /// What it holds for its clients is charged there.
    pub(super) ledger: Ledger,
    /// For all but frames, which are charged one by one.
    pub(super) charge: Charge,
    pub(super) held: Held,
    /// The work that is done outside of the drafts.
    pub(super) work: Work,
}

impl Broker {
    /// A broker without subscribers. `port` leads to the brokers of the other cores, which share
    /// `totals`.
    #[must_use]
    pub fn new(config: Arc<Config>, port: Port<PeerMessage>, totals: Totals) -> Self {
        let core = u16::try_from(port.number()).unwrap_or(u16::MAX);
        let mut retained = Retained::new(totals, core);
        retained.set_cores(port.cores());
        let ledger = Ledger::default();
        Self {
            now: Millis::default(),
            clock: Duration::ZERO,
            subscribers: Subscribers::default(),
            index: Index::new(port.cores()),
            retained,
            searching: Searching::default(),
            accepted: VecDeque::new(),
            drafts: Drafts::new(u32::from(config.deflate_level.value())),
            deliveries: DeliveryQueue::default(),
            peers: Peers::new(port),
            sources: Sources::default(),
            untaken: 0,
            establishing: Establishing::default(),
            stalled: None,
            report_again: Millis::default(),
            values: Values::default(),
            replaying: VecDeque::new(),
            ended: Ended::default(),
            changes_left: 0,
            asked: 0,
            filter_bytes: 0,
            filter_memory: 0,
            ended_last: 0,
            encoding_last: BTreeMap::new(),
            delivering_last: VecDeque::new(),
            missed: Vec::new(),
            has_news: false,
            is_asleep: false,
            incoming: VecDeque::new(),
            incoming_bytes: 0,
            control: Vec::new(),
            charge: ledger.open(),
            held: Held::default(),
            ledger,
            work: Work::default(),
            to_wake: Vec::new(),
            stats: Stats::default(),
            config,
        }
    }

    /// From now on these settings hold.
    pub(crate) fn reconfigure(&mut self, config: &Arc<Config>) {
        self.config = Arc::clone(config);
    }

    /// Counts work that was done for a message besides that of the broker.
    pub(crate) const fn charge(&mut self, units: u64) {
        self.work.charge(units);
    }

    /// The work done since the last call, in units of about a nanosecond: index nodes visited,
    /// filters that match, retained topics looked at, deliveries, bytes encoded. See
    /// [`Work`](crate::base::Work).
    pub const fn take_work(&mut self) -> u64 {
        self.work.take() + self.drafts.work.take()
    }

    /// The time of the turn that begins.
    #[inline]
    pub const fn set_clock(&mut self, now: Duration) {
        self.clock = now;
    }

    /// That time.
    #[must_use]
    pub const fn clock(&self) -> Duration {
        self.clock
    }

    /// Whether a delivery whose time is taken was completed in this turn.
    #[inline]
    #[must_use]
    pub const fn has_written(&self) -> bool {
        self.deliveries.measured.is_due()
    }

    /// The time at the end of the turn.
    pub fn written(&mut self, now: Duration) {
        self.deliveries.measured.end_turn(now);
    }

    /// The times from the turn in which messages were published to the end of that in which the
    /// last subscriber of this core was sent them, of one delivery in 16. Messages of a topic that
    /// are sent together are one delivery.
    #[must_use]
    pub const fn delivery_times(&self) -> &Histogram {
        self.deliveries.measured.times()
    }

    /// Its counters.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats {
            deliveries: self.deliveries.delivered,
            delivered_messages: self.deliveries.messages,
            filters: self.index.filters() as u64,
            retained: self.retained.len() as u64,
            lost: self.peers.lost(),
            ..self.stats
        }
    }
}
