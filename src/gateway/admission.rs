//! The connections of a core, by what their addresses may have.

use std::sync::Arc;

use super::addresses::{Addresses, Begun, Prefix};
use crate::base::blocks::Blocks;
use crate::base::{ConnectionId, Millis};

/// The connections of a core that were refused because of their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressCounts {
    /// Those of addresses that had as many as they may.
    pub connections: u64,
    /// Those of addresses that had begun as many in a short time as they may.
    pub handshakes: u64,
}

/// What is known of the connections of a core.
#[derive(Debug)]
pub(super) struct Admission {
    table: Arc<Addresses>,
    /// By slot, what each was told when it began.
    begun: Blocks<Option<(Prefix, Begun)>>,
    counts: AddressCounts,
}

impl Admission {
    /// Counts in this table, which all loops share.
    pub(super) fn new(table: Arc<Addresses>) -> Box<Self> {
        let counts = AddressCounts::default();
        Box::new(Self { table, begun: Blocks::default(), counts })
    }

    /// Those that were refused so far.
    pub(super) const fn counts(&self) -> AddressCounts {
        self.counts
    }

    /// A connection of an address begins.
    pub(super) fn begin(&mut self, id: ConnectionId, prefix: Prefix, now: Millis) -> Begun {
        self.end(id);
        let begun = self.table.begin(prefix, now);
        match begun {
            Begun::Admitted => {}
            Begun::TooMany | Begun::Dropped => self.counts.connections += 1,
            Begun::TooFast | Begun::DroppedTooFast => self.counts.handshakes += 1,
        }
        *self.begun.reach(id.slot, || None) = Some((prefix, begun));
        begun
    }

    /// The connection of a slot has ended.
    pub(super) fn end(&mut self, id: ConnectionId) {
        let begun = self.begun.get_mut(id.slot).and_then(Option::take);
        if let Some((prefix, begun)) = begun {
            self.table.end(prefix, begun);
        }
    }
}
