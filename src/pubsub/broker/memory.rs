//! What a broker holds for its clients, on the ledger of its core.

use super::state::Broker;
use crate::base::Ledger;

/// The bytes of a place in a queue of connections.
const PLACE: usize = 32;

impl Broker {
    /// What it holds is charged at `ledger` from now on. It holds nothing yet.
    pub fn use_ledger(&mut self, ledger: &Ledger) {
        self.charge = ledger.open();
        self.deliveries.ledger = ledger.clone();
        self.ledger = ledger.clone();
    }

    /// The ledger of its core.
    pub(crate) const fn ledger(&self) -> &Ledger {
        &self.ledger
    }

    /// Charges what it holds now, at the end of a turn in which that has changed: filters and
    /// retained values, messages that wait and the lists that they wait with. Frames are charged
    /// one by one, from when they are made until no connection holds them.
    #[inline]
    pub(crate) fn charge_memory(&mut self) {
        if self.held.take_changed() {
            self.charge_changes();
        }
    }

    #[inline(never)]
    fn charge_changes(&mut self) {
        if self.held.take_stale() {
            self.held.lasting = self.lasting() + self.peers.unsent_memory();
        }
        let waiting = self.deliveries.memory()
            + self.drafts.bytes()
            + self.searching.memory()
            + self.values.memory()
            + self.peers.backlog()
            + self.incoming_bytes;
        let changes = self.ended.len() + self.delivering_last.len() + self.replaying.len();
        self.charge.set(self.held.lasting + waiting + changes * PLACE);
    }

    /// The memory of filters and retained values, which stays for as long as clients want.
    pub(super) fn lasting(&self) -> usize {
        self.index.memory()
            + self.establishing.bytes()
            + self.filter_memory
            + self.peers.memory()
            + self.retained.memory()
    }

    /// The most that filters and retained values may take: half of the memory, so that the other
    /// half is there for connections, none of which is closed for what a topic holds.
    pub(super) fn max_lasting(&self) -> usize {
        self.config.limits.memory / 2
    }

    /// Whether so much memory is in use that publishers of large messages have to wait: from seven
    /// eighths on.
    pub(super) fn is_short_of_memory(&self) -> bool {
        self.ledger.used() > self.config.limits.short_memory()
    }

    /// Whether even those of small messages have to wait. Between the two limits the core frees
    /// memory, which takes it some turns; meanwhile small messages go on.
    #[inline]
    pub(super) fn has_used_up_memory(&self) -> bool {
        self.ledger.used() > self.config.limits.used_up_memory()
    }
}
