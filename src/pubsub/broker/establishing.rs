//! The subscriptions that are not in force yet.

use std::collections::{BTreeMap, VecDeque};

use crate::base::ConnectionId;
use crate::pubsub::index::Index;
use crate::pubsub::subscribers::Established;

/// Subscriptions that are not in force yet.
#[derive(Debug, Default)]
pub(super) struct Establishing {
    /// By the change of interest that the other cores have to acknowledge first.
    by_number: BTreeMap<u64, VecDeque<Established>>,
    /// Acknowledged ones of connections that have asked before for the end of others, which may
    /// have the same filters.
    behind: VecDeque<Established>,
    /// The bytes that their filters will take in the index, approximately.
    bytes: usize,
}

impl Establishing {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty() && self.behind.is_empty()
    }

    /// Whether there are some that are acknowledged and were kept back.
    pub(super) fn has_acknowledged(&self) -> bool {
        !self.behind.is_empty()
    }

    pub(super) fn add(&mut self, number: u64, established: Established) {
        self.bytes += bytes(&established);
        self.by_number.entry(number).or_default().push_back(established);
    }

    /// The first, and the change that it waits for.
    pub(super) fn first(&self) -> Option<(u64, &Established)> {
        let (number, all) = self.by_number.first_key_value()?;
        Some((*number, all.front()?))
    }

    /// Takes the first that waits for no change above `acked`, and of whose connection no other
    /// subscription is still ending.
    pub(super) fn take_acked(
        &mut self,
        acked: u64,
        is_ending: impl Fn(ConnectionId) -> bool,
    ) -> Option<Established> {
        if let Some(at) = self.behind.iter().position(|one| !is_ending(one.id)) {
            return self.behind.remove(at).inspect(|one| self.bytes -= bytes(one));
        }
        loop {
            let (number, _) = self.first().filter(|(number, _)| *number <= acked)?;
            let one = self.take(number)?;
            if !is_ending(one.id) {
                return Some(one);
            }
            self.bytes += bytes(&one);
            self.behind.push_back(one);
        }
    }

    /// Takes the first that waits for this change.
    pub(super) fn take(&mut self, number: u64) -> Option<Established> {
        let all = self.by_number.get_mut(&number)?;
        let established = all.pop_front()?;
        if all.is_empty() {
            self.by_number.remove(&number);
        }
        self.bytes -= bytes(&established);
        Some(established)
    }
}

/// The bytes that the filters will take in the index, approximately.
fn bytes(established: &Established) -> usize {
    established.filters.iter().map(Index::cost).sum()
}
