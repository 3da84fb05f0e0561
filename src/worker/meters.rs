//! What each connection of a loop may send in a second.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::base::Millis;
use crate::base::blocks::Blocks;
use crate::config::{Config, RouteId};
use crate::session::{Lease, Meter, Metered};

/// One connection.
#[derive(Debug, Default)]
pub(super) struct Entry {
    pub(super) lease: Lease,
    /// Made when the first message comes.
    pub(super) meter: Option<Box<Meter>>,
}

/// What all connections of a loop may send.
#[derive(Debug)]
pub(super) struct Meters {
    /// Those without a route, then those of each route.
    pub(super) limits: Box<[Option<Metered>]>,
    /// Whether anything is limited.
    pub(super) are_used: bool,
    /// By slot.
    pub(super) entries: Blocks<Entry>,
    /// The connections that wait, and until when; the generation of each after its slot.
    pub(super) waiting: BinaryHeap<Reverse<(u64, u32, u32)>>,
}

impl Meters {
    pub(super) fn new(config: &Config) -> Self {
        let routes = std::iter::once(RouteId::NONE).chain(config.routes.ids());
        let limits: Box<[Option<Metered>]> =
            routes.map(|route| Metered::of(&config.rates_of(route))).collect();
        let are_used = limits.iter().any(Option::is_some);
        Self { limits, are_used, entries: Blocks::default(), waiting: BinaryHeap::new() }
    }

    /// A connection was accepted into a slot, or has left it.
    pub(super) fn reset(&mut self, slot: u32) {
        if self.are_used {
            *self.entries.reach(slot, Entry::default) = Entry::default();
        }
    }

    /// Whether so many bytes may be handled without a further look.
    #[inline(always)]
    pub(super) fn spend(&mut self, slot: u32, bytes: usize) -> bool {
        self.entries.get_mut(slot).is_some_and(|entry| entry.lease.spend(bytes))
    }

    /// So many messages were handled after [`spend`](Self::spend), but not so many bytes.
    #[inline(always)]
    pub(super) fn count(&mut self, slot: u32, messages: u64) {
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.lease.count(messages);
        }
    }

    /// Of the bytes that were spent so many were not handled.
    #[cold]
    pub(super) fn refund(&mut self, slot: u32, bytes: usize) {
        if let Some(entry) = self.entries.get_mut(slot) {
            entry.lease.refund(bytes);
        }
    }

    /// When the next connection goes on.
    pub(super) fn due(&self) -> Millis {
        self.waiting.peek().map_or(Millis::NEVER, |Reverse((time, ..))| Millis(*time))
    }
}
