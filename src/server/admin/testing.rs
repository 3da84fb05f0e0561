//! For unit tests: a core that shows what it is made to show, and counts how much it looks at.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;
use std::time::Duration;

use crate::base::ConnectionId;
use crate::config::{Config, RouteId};
use crate::gateway::Described;
use crate::protocol::websocket::CloseCode;
use crate::server::view::{CoreStats, CoreView, Row};
use crate::session::{EndpointId, Phase, RouteCounts};
use crate::worker::{Inspected, Totals};

/// Connections by slot, and filters with the numbers of their subscribers.
#[derive(Default)]
pub(super) struct Shown {
    /// The number after the last slot.
    pub(super) end: u32,
    /// The generation of the connection in each slot that is in use.
    pub(super) slots: BTreeMap<u32, u32>,
    pub(super) filters: BTreeMap<Box<str>, u64>,
    /// How often it was asked for a part of a list.
    pub(super) asked: Cell<usize>,
    /// Totals that are to be taken.
    pub(super) totals: bool,
}

impl Shown {
    fn row(slot: u32, generation: u32) -> Row {
        Row {
            inspected: Inspected {
                id: ConnectionId { slot, generation },
                phase: Phase::Open,
                is_websocket: true,
                endpoint: EndpointId::APPLICATION,
                route: RouteId::default(),
                is_admin: false,
                is_tls: false,
                age: Duration::ZERO,
                queued: 0,
            },
            described: Described {
                endpoint: "app",
                route: None,
                peer: None,
                client: None,
                user: None,
            },
        }
    }
}

impl CoreView for Shown {
    fn stats(&self) -> CoreStats {
        CoreStats::default()
    }

    fn by_route(&self) -> RouteCounts {
        RouteCounts::default()
    }

    fn connections(&mut self, from: u32, most: usize, looks: u32) -> (Vec<Row>, Option<u32>) {
        self.asked.set(self.asked.get() + 1);
        let end = from.saturating_add(looks).min(self.end);
        let mut found = Vec::new();
        for (slot, generation) in self.slots.range(from..end) {
            if found.len() == most {
                return (found, Some(*slot));
            }
            found.push(Self::row(*slot, *generation));
        }
        (found, Some(end).filter(|end| *end < self.end))
    }

    fn query_totals(&mut self, _: &[ConnectionId]) -> bool {
        !std::mem::replace(&mut self.totals, true)
    }

    fn take_totals(&mut self) -> Option<HashMap<ConnectionId, Totals>> {
        std::mem::take(&mut self.totals).then(HashMap::new)
    }

    fn filters(&self, after: Option<&str>, most: usize) -> Vec<(Box<str>, u64)> {
        self.asked.set(self.asked.get() + 1);
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let behind = self.filters.range::<str, _>((from, Bound::Unbounded));
        behind.take(most).map(|(name, count)| (name.clone(), *count)).collect()
    }

    fn reconfigure(&mut self, _: Arc<Config>) {}

    fn close(&mut self, _: ConnectionId, _: CloseCode, _: &str) -> bool {
        false
    }
}
