//! The end of subscriptions.

use super::ended::Step;
use super::state::Broker;
use crate::base::{ConnectionId, Work};
use crate::pubsub::name::Filter;
use crate::pubsub::subscribers::{all_filter_bytes, filter_bytes};

/// The topics that are compared with a filter in about the time of a change.
const COMPARED: usize = 8;

impl Broker {
    /// Ends all subscriptions of a connection.
    pub(crate) fn detach(&mut self, id: ConnectionId) {
        if let Some(mut subscriber) = self.subscribers.remove(id) {
            self.held.set_stale();
            let filters = subscriber.filters;
            self.stats.subscriptions -= filters.len() as u64;
            self.filter_bytes -= all_filter_bytes(filters.len(), filters.text());
            self.filter_memory -= filters.memory();
            if let Some(number) = subscriber.replays.first_mut().and_then(|first| first.waits_for) {
                self.values.leave(id, number);
            }
            self.ended.leave(id, filters);
        }
    }

    /// Ends subscriptions at the end of the turn. If the connection had some of them, it returns
    /// true, and [`take_ended`](Self::take_ended) then returns the connection once, after the
    /// messages that were published before the end are delivered.
    pub(crate) fn unsubscribe(&mut self, id: ConnectionId, filters: &[Filter]) -> bool {
        self.work.charge(filters.len() as u64 * Work::CHANGE);
        let Some(subscriber) = self.subscribers.get(id) else { return false };
        let (mut ended, mut waited) = (Vec::new(), None);
        self.filter_memory -= subscriber.filters.memory();
        for filter in filters {
            if let Some(filter) = subscriber.filters.remove(filter) {
                let replay = subscriber.replays.remove(&filter);
                waited = waited.or(replay.and_then(|replay| replay.waits_for));
                self.stats.subscriptions -= 1;
                self.filter_bytes -= filter_bytes(&filter);
                ended.push(filter);
            }
        }
        self.filter_memory += subscriber.filters.memory();
        let has_ended = !ended.is_empty();
        if has_ended {
            self.held.set_stale();
            self.ended.request(id, ended);
        }
        if let Some(number) = waited {
            self.values.leave(id, number);
            // What waited behind that value goes on.
            self.resume_replay(id);
        }
        has_ended
    }

    /// Ends subscriptions, as far as the turn allows changes of the index. The messages that are
    /// for them are in the queue of deliveries. Half of the changes are left for subscriptions that
    /// begin, if some can, and half of the others for connections that are gone.
    pub(super) fn end_subscriptions(&mut self) {
        let reserve = if self.has_acknowledged() { self.changes_left / 2 } else { 0 };
        let for_gone = self.ended.gone_len().min((self.changes_left - reserve) / 2);
        while self.changes_left > reserve + for_gone
            && let Some(step) = self.ended.next_requested()
        {
            match step {
                Step::End(id, filter) => {
                    self.ended_last = self.ended_last.max(self.last_encoded_for(&filter));
                    self.end(id, &filter);
                }
                Step::Answer(id) => {
                    let last = std::mem::take(&mut self.ended_last);
                    self.encoding_last.entry(last).or_default().push_back(id);
                }
            }
        }
        self.answer_encoded();
        while self.changes_left > reserve
            && let Some((id, filter)) = self.ended.next_gone()
        {
            self.end(id, &filter);
        }
    }

    /// The number of the last message that is encoded in pieces and is for a subscription that
    /// ends. The topics that are compared with a filter count as changes.
    fn last_encoded_for(&mut self, filter: &Filter) -> u64 {
        let encoding = &self.drafts.encoding;
        if filter.has_wildcard() {
            self.changes_left = self.changes_left.saturating_sub(encoding.topics() / COMPARED);
        }
        encoding.last_for(filter)
    }

    /// Of the connections that have unsubscribed, those whose last messages are encoded wait for
    /// their delivery.
    pub(super) fn answer_encoded(&mut self) {
        while let Some(first) = self.encoding_last.first_entry()
            && *first.key() <= self.drafts.encoding.done()
        {
            let accepted = self.deliveries.accepted();
            self.delivering_last.extend(first.remove().into_iter().map(|id| (accepted, id)));
        }
    }

    fn end(&mut self, id: ConnectionId, filter: &Filter) {
        self.changes_left = self.changes_left.saturating_sub(1);
        self.work.charge(Work::CHANGE);
        self.held.set_stale();
        self.index.unsubscribe(filter, id);
        self.peers.withdraw(filter);
    }

    /// Takes a connection whose subscriptions have ended and whose last messages are delivered, if
    /// there is one.
    pub(crate) fn take_ended(&mut self) -> Option<ConnectionId> {
        let (last, _) = self.delivering_last.front()?;
        if *last > self.deliveries.done() {
            return None;
        }
        self.delivering_last.pop_front().map(|(_, id)| id)
    }
}
