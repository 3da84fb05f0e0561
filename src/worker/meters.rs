//! What each connection of a loop may send in a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::blocks::Blocks;
use crate::base::{ConnectionId, Millis};
use crate::config::{Config, RouteId};
use crate::session::{Lease, Meter, Metered};

/// What all connections of a loop may send.
#[derive(Debug)]
pub(super) struct Meters {
    /// Those without a route, then those of each route.
    pub(super) limits: Box<[Option<Metered>]>,
    /// Whether anything is limited.
    pub(super) are_used: bool,
    /// By slot. Memory that no connection has used is not touched.
    leases: Vec<u64>,
    /// By slot. Each is made when the first message comes.
    pub(super) meters: Blocks<Option<Box<Meter>>>,
    /// The connections that wait, and until when; the generation of each after its slot.
    waiting: BinaryHeap<Reverse<(u64, u32, u32)>>,
    /// When the first of them goes on. Read in each turn.
    due: Millis,
}

impl Meters {
    pub(super) fn new(config: &Config, slots: u32) -> Self {
        let limits = limits(config);
        let are_used = limits.iter().any(Option::is_some);
        let leases = vec![0; if are_used { slots as usize } else { 0 }];
        let (meters, waiting) = (Blocks::default(), BinaryHeap::new());
        Self { limits, are_used, leases, meters, waiting, due: Millis::NEVER }
    }

    /// From now on these limits hold. If they are others, all clients are as ones that have sent
    /// nothing yet: what was counted by other limits says nothing about these.
    pub(super) fn reconfigure(&mut self, config: &Config, slots: u32) {
        let before = std::mem::replace(&mut self.limits, limits(config));
        // Nobody has come by a route that is new.
        let is_same = before.iter().zip(&self.limits).all(|(before, now)| before == now);
        let were_used = self.are_used;
        self.are_used |= self.limits.iter().any(Option::is_some);
        if !self.are_used || were_used && is_same {
            return;
        }
        self.leases = vec![0; slots as usize];
        self.meters = Blocks::default();
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting.map(|Reverse((_, slot, of))| Reverse((0, slot, of))).collect();
        self.find_due();
    }

    /// A connection was accepted into a slot, or has left it.
    pub(super) fn reset(&mut self, slot: u32) {
        if self.are_used {
            self.set_lease(slot, Lease::default());
            *self.meters.reach(slot, || None) = None;
        }
    }

    /// What a connection may send without a further look at it.
    #[inline(always)]
    pub(super) fn lease(&mut self, slot: u32) -> Option<&mut u64> {
        self.leases.get_mut(slot as usize)
    }

    pub(super) fn set_lease(&mut self, slot: u32, lease: Lease) {
        if let Some(place) = self.lease(slot) {
            *place = lease.0;
        }
    }

    /// Lets a connection wait until this time.
    pub(super) fn push(&mut self, id: ConnectionId, until: Millis) {
        self.waiting.push(Reverse((until.0, id.slot, id.generation)));
        self.due = self.due.min(until);
    }

    /// Takes the connection that goes on next.
    pub(super) fn pop(&mut self) -> Option<ConnectionId> {
        let Reverse((_, slot, generation)) = self.waiting.pop()?;
        self.find_due();
        Some(ConnectionId { slot, generation })
    }

    /// When the next connection goes on.
    #[inline(always)]
    pub(super) const fn due(&self) -> Millis {
        self.due
    }

    fn find_due(&mut self) {
        let first = self.waiting.peek();
        self.due = first.map_or(Millis::NEVER, |Reverse((time, ..))| Millis(*time));
    }
}

/// The limits of connections without a route, then those of each route.
fn limits(config: &Config) -> Box<[Option<Metered>]> {
    let routes = std::iter::once(RouteId::NONE).chain(config.routes.ids());
    routes.map(|route| Metered::of(&config.rates_of(route))).collect()
}
