//! Subscriptions that come into force, each once every core has acknowledged it.

use std::sync::Arc;

use super::state::Broker;
use crate::base::{ConnectionId, Millis};
use crate::pubsub::index::Subscriber;
use crate::pubsub::name::Filter;
use crate::pubsub::subscribers::{Established, Options};
use crate::session::Outbound;

/// How long subscriptions wait for a core that acknowledges nothing.
const MAX_WAIT_MS: u64 = 10_000;

/// So many subscriptions are taken at once, before the retained values that are sent for them are
/// counted.
const AT_ONCE: usize = 16;
/// So many bytes of such values count as one change of the index.
pub(super) const CHANGE_BYTES: usize = 2 << 10;

/// The least time between two reports of a core that does not acknowledge.
const REPORT_EVERY_MS: u64 = 1_000;

/// A connection of which a subscription was not acknowledged in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Overdue {
    pub(crate) id: ConnectionId,
    /// The core that has not acknowledged, if that has not just been reported.
    pub(crate) core: Option<usize>,
}

impl Broker {
    /// Takes some of the subscriptions that every core has acknowledged, if there are any, as far
    /// as the turn allows changes of the index. The caller answers the client, then
    /// [`put_in_force`](Self::put_in_force) starts the deliveries.
    pub(crate) fn take_established(&mut self) -> Option<Vec<Established>> {
        // So it is in most turns.
        if self.establishing.is_empty() {
            return None;
        }
        let mut taken = Vec::new();
        let (acked, ended) = (self.peers.acked_by_all(), &self.ended);
        while !self.searching.needs_index()
            && self.changes_left > 0
            && taken.len() < AT_ONCE
            && let Some(one) = self.establishing.take_acked(acked, |id| ended.is_requested_by(id))
        {
            // Nothing is changed for a connection that is gone.
            let changes =
                if self.subscribers.get(one.id).is_some() { one.filters.len() } else { 0 };
            self.changes_left = self.changes_left.saturating_sub(changes.max(1));
            taken.push(one);
        }
        (!taken.is_empty()).then_some(taken)
    }

    /// Whether subscriptions could come into force in the next turn.
    pub(super) fn has_acknowledged(&self) -> bool {
        self.establishing.first().is_some_and(|(number, _)| number <= self.peers.acked_by_all())
    }

    /// Whether changes of the index wait.
    pub(super) fn has_changes(&self) -> bool {
        !self.ended.is_empty() || self.has_acknowledged()
    }

    /// Notes since when subscriptions wait and no core has acknowledged anything.
    pub(super) fn watch_acknowledgements(&mut self) {
        if self.establishing.first().is_none() {
            self.stalled = None;
            return;
        }
        let acked = self.peers.acked_by_all();
        if self.has_acknowledged() {
            self.stalled = None;
        } else if self.stalled.is_none_or(|(before, _)| before != acked) {
            self.stalled = Some((acked, self.now));
        }
    }

    /// When the subscriptions that wait have waited too long.
    pub(super) fn overdue_at(&self) -> Millis {
        self.stalled.map_or(Millis::NEVER, |(_, since)| Millis(since.0 + MAX_WAIT_MS))
    }

    /// Takes a connection of which a subscription waits for the acknowledgement of another core
    /// that has acknowledged nothing for too long. The caller ends the connection.
    pub(crate) fn take_overdue(&mut self) -> Option<Overdue> {
        if self.overdue_at() > self.now {
            return None;
        }
        let (number, _) = self.establishing.first()?;
        let late = self.peers.last_to_acknowledge().filter(|_| self.report_again <= self.now);
        if late.is_some() {
            self.report_again = Millis(self.now.0 + REPORT_EVERY_MS);
        }
        self.establishing.take(number).map(|overdue| Overdue { id: overdue.id, core: late })
    }

    /// From here on messages are delivered, and the values that are retained now are sent.
    pub(crate) fn put_in_force<O: Outbound>(&mut self, established: Established, out: &mut O) {
        self.held.set_stale();
        let Established { id, filters } = established;
        for filter in filters {
            let Some(subscriber) = self.subscribers.get(id) else { return };
            // The client may have unsubscribed since. If it has subscribed again, that subscription
            // comes into force by itself.
            let is_same = |ours: &Filter| Arc::ptr_eq(ours.shared(), filter.shared());
            if !subscriber.filters.get(&filter).is_some_and(is_same) {
                continue;
            }
            let Options { form, echo, marks_retained } = subscriber.options;
            if !self.index.subscribe(&filter, Subscriber { id, form, echo }) {
                continue;
            }
            if marks_retained || filter.has_wildcard() {
                self.replay_later(id, filter);
            } else {
                self.answer_retained(id, form, filter, out);
            }
        }
    }
}
