//! What a running core shows at the end of a turn to those who ask.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::app::{AppStats, Handler};
use crate::base::{ConnectionId, Histogram};
use crate::config::Config;
use crate::gateway::{AddressCounts, DeniedCounts, Described, Gateway};
use crate::io::Driver;
use crate::protocol::websocket::CloseCode;
use crate::pubsub;
use crate::session::{CloseReason, RouteCounts};
use crate::worker::{self, Inspected, Totals, Worker};

/// The counters of one core.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CoreStats {
    /// The core.
    pub core: usize,
    /// The number of its loop, from 0; another one than the core's if there are several loops on a
    /// core, or cores that the server does not use.
    pub number: usize,
    /// The number of connections.
    pub connections: usize,
    /// The processor time of its thread.
    pub cpu_time: Duration,
    /// The counters of its loop.
    pub worker: worker::Stats,
    /// The counters of its broker.
    pub topics: pubsub::Stats,
    /// The times from the turn in which messages were published to the end of that in which the
    /// last subscriber of this core was sent them. Messages of a topic that are sent together count
    /// once.
    pub delivery_times: Histogram,
    /// The counters of the application's connections.
    pub app: AppStats,
    /// The connections that were refused because of their addresses.
    pub addresses: AddressCounts,
    /// What clients were not allowed by their tokens after their handshakes.
    pub denied: DeniedCounts,
}

/// One connection, with what the service knows of it.
pub(super) struct Row {
    pub(super) inspected: Inspected,
    pub(super) described: Described,
}

/// A core at the end of a turn.
pub(super) trait CoreView {
    /// Its counters.
    fn stats(&self) -> CoreStats;

    /// What it counts of the routes by which connections came.
    fn by_route(&self) -> RouteCounts;

    /// The connections from a slot on, as [`Worker::inspect`] returns them.
    fn connections(&mut self, from: u32, most: usize, looks: u32) -> (Vec<Row>, Option<u32>);

    /// Asks the kernel for the totals of connections. Returns false if it is asked already.
    fn query_totals(&mut self, ids: &[ConnectionId]) -> bool;

    /// The totals that were asked for, once all are there.
    fn take_totals(&mut self) -> Option<HashMap<ConnectionId, Totals>>;

    /// The first filters behind a name, at most so many, in the order of their names, with the
    /// numbers of their subscribers.
    fn filters(&self, after: Option<&str>, most: usize) -> Vec<(Box<str>, u64)>;

    /// From now on these settings hold.
    fn reconfigure(&mut self, config: Arc<Config>);

    /// Closes a connection, if it is there.
    fn close(&mut self, id: ConnectionId, code: CloseCode, text: &str) -> bool;
}

/// Something that looks at a core, or does something to it.
pub(super) trait Visit: Send {
    /// Does a small part. Returns itself if it goes on after the next turn.
    fn visit(self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>>;
}

/// The worker of a core.
pub(super) struct Core<'w, D: Driver, H: Handler> {
    pub(super) core: usize,
    pub(super) number: usize,
    pub(super) worker: &'w mut Worker<D, Gateway<H>>,
}

impl<D: Driver, H: Handler> CoreView for Core<'_, D, H> {
    fn stats(&self) -> CoreStats {
        let service = self.worker.service();
        let cpu_time = clock_gettime(ClockId::ThreadCPUTime);
        CoreStats {
            core: self.core,
            number: self.number,
            connections: self.worker.connections(),
            cpu_time: Duration::try_from(cpu_time).unwrap_or_default(),
            worker: self.worker.stats(),
            topics: service.broker().stats(),
            delivery_times: *service.broker().delivery_times(),
            app: service.stats(),
            addresses: service.address_counts(),
            denied: service.denied(),
        }
    }

    fn by_route(&self) -> RouteCounts {
        self.worker.by_route().clone()
    }

    fn connections(&mut self, from: u32, most: usize, looks: u32) -> (Vec<Row>, Option<u32>) {
        let (found, next) = self.worker.inspect(from, most, looks);
        let service = self.worker.service();
        let row = |inspected: Inspected| Row {
            described: service.describe(inspected.id, inspected.endpoint, inspected.route),
            inspected,
        };
        (found.into_iter().map(row).collect(), next)
    }

    fn query_totals(&mut self, ids: &[ConnectionId]) -> bool {
        self.worker.query_totals(ids)
    }

    fn take_totals(&mut self) -> Option<HashMap<ConnectionId, Totals>> {
        self.worker.take_totals()
    }

    fn filters(&self, after: Option<&str>, most: usize) -> Vec<(Box<str>, u64)> {
        let filters = self.worker.service().broker().filters_after(after).take(most);
        filters.map(|(name, subscribers)| (name.into(), subscribers as u64)).collect()
    }

    fn reconfigure(&mut self, config: Arc<Config>) {
        self.worker.reconfigure(config);
    }

    fn close(&mut self, id: ConnectionId, code: CloseCode, text: &str) -> bool {
        self.worker.close(id, CloseReason::Local(code), text)
    }
}
