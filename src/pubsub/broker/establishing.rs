//! The subscriptions that are not in force yet.

use std::collections::{BTreeMap, VecDeque};

use crate::pubsub::index::Index;
use crate::pubsub::subscribers::Established;

/// Subscriptions that are not in force yet.
#[derive(Debug, Default)]
pub(super) struct Establishing {
    /// By the change of interest that the other cores have to acknowledge first.
    by_number: BTreeMap<u64, VecDeque<Established>>,
    /// The bytes that their filters will take in the index, approximately.
    bytes: usize,
}

impl Establishing {
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }

    pub(super) fn add(&mut self, number: u64, established: Established) {
        self.bytes += established.filters.iter().map(Index::cost).sum::<usize>();
        self.by_number.entry(number).or_default().push_back(established);
    }

    /// The first, and the change that it waits for.
    pub(super) fn first(&self) -> Option<(u64, &Established)> {
        let (number, all) = self.by_number.first_key_value()?;
        Some((*number, all.front()?))
    }

    /// Takes the first if every core has acknowledged the changes up to it.
    pub(super) fn take_acked(&mut self, acked: u64) -> Option<Established> {
        let (number, _) = self.first()?;
        if number <= acked { self.take(number) } else { None }
    }

    /// Takes the first that waits for this change.
    pub(super) fn take(&mut self, number: u64) -> Option<Established> {
        let all = self.by_number.get_mut(&number)?;
        let established = all.pop_front()?;
        if all.is_empty() {
            self.by_number.remove(&number);
        }
        self.bytes -= established.filters.iter().map(Index::cost).sum::<usize>();
        Some(established)
    }
}
