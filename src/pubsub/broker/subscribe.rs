//! Subscriptions: each comes into force once every core has acknowledged it.

use std::fmt;
use std::sync::Arc;

use super::state::Broker;
use crate::base::ConnectionId;
use crate::pubsub::encoding::Form;
use crate::pubsub::index::Subscriber;
use crate::pubsub::name::Filter;
use crate::pubsub::subscribers::{Established, Options};
use crate::session::Outbound;

/// Why a connection cannot subscribe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SubscribeError {
    /// The most subscriptions that a connection may have.
    max: usize,
    /// The number that it has.
    has: usize,
    /// The number that it wants in addition.
    wants: usize,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { max, has, wants } = self;
        write!(
            f,
            "this connection may have {max} subscriptions; it has {has}, and these would be \
             {wants} more"
        )
    }
}

impl Broker {
    /// A connection may subscribe from now on.
    pub(crate) fn attach(&mut self, id: ConnectionId, options: Options) {
        self.subscribers.insert(id, options);
    }

    /// Ends all subscriptions of a connection.
    pub(crate) fn detach(&mut self, id: ConnectionId) {
        if let Some(subscriber) = self.subscribers.remove(id) {
            self.stats.subscriptions -= subscriber.filters.len() as u64;
            self.ended.extend(subscriber.filters.into_iter().map(|filter| (id, filter)));
        }
    }

    /// Subscribes an attached connection to all of the filters, or with an error to none. They come
    /// into force together, at the end of the turn at the earliest; [`take_established`]
    /// (Self::take_established) then returns them once, also if the connection had all of them.
    ///
    /// # Errors
    /// If the connection would have too many subscriptions.
    pub(crate) fn subscribe(
        &mut self,
        id: ConnectionId,
        filters: Vec<Filter>,
    ) -> Result<(), SubscribeError> {
        let Some(subscriber) = self.subscribers.get(id) else { return Ok(()) };
        let is_new = |filter: &&Filter| !subscriber.filters.contains(filter);
        let mut added: Vec<&Filter> = filters.iter().filter(is_new).collect();
        added.sort_unstable_by_key(|filter| filter.as_str());
        added.dedup();
        let (max, has) = (self.config.pubsub.max_subscriptions, subscriber.filters.len());
        if has + added.len() > max {
            return Err(SubscribeError { max, has, wants: added.len() });
        }
        let (mut number, mut added) = (0, Vec::new());
        for filter in filters {
            if !subscriber.filters.contains(&filter) {
                subscriber.filters.push(filter.clone());
                self.stats.subscriptions += 1;
                number = number.max(self.peers.want(&filter, subscriber.options.form));
                added.push(filter);
            }
        }
        let established = Established { id, filters: added };
        self.establishing.entry(number).or_default().push(established);
        Ok(())
    }

    /// Ends subscriptions at the end of the turn. If the connection had some of them, it returns
    /// true, and [`take_ended`](Self::take_ended) then returns the connection once, after the
    /// messages that were published before the end are delivered.
    pub(crate) fn unsubscribe(&mut self, id: ConnectionId, filters: &[Filter]) -> bool {
        let Some(subscriber) = self.subscribers.get(id) else { return false };
        let before = self.ended.len();
        for filter in filters {
            if let Some(at) = subscriber.filters.iter().position(|ours| ours == filter) {
                let filter = subscriber.filters.remove(at);
                subscriber.replays.retain(|replay| replay.filter != filter);
                self.stats.subscriptions -= 1;
                self.ended.push((id, filter));
            }
        }
        let has_ended = self.ended.len() > before;
        if has_ended {
            self.ending.push(id);
        }
        has_ended
    }

    /// Ends the subscriptions of this turn. The messages that are for them are in the queue of
    /// deliveries.
    pub(super) fn end_subscriptions(&mut self) {
        for (id, filter) in self.ended.drain(..) {
            self.index.unsubscribe(&filter, id);
            self.peers.withdraw(&filter);
        }
        let last = self.deliveries.accepted();
        self.delivering_last.extend(self.ending.drain(..).map(|id| (last, id)));
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

    /// Takes subscriptions that every core has acknowledged, if there are some. The caller answers
    /// the client, then [`put_in_force`](Self::put_in_force) starts the deliveries.
    pub(crate) fn take_established(&mut self) -> Option<Vec<Established>> {
        let first = self.establishing.first_entry()?;
        (*first.key() <= self.peers.acked_by_all()).then(|| first.remove())
    }

    /// The encoding of what a subscriber is sent.
    pub(crate) fn form(&mut self, id: ConnectionId) -> Option<Form> {
        Some(self.subscribers.get(id)?.options.form)
    }

    /// From here on messages are delivered, and the values that are retained now are sent.
    pub(crate) fn put_in_force<O: Outbound>(&mut self, established: Established, out: &mut O) {
        let Established { id, filters } = established;
        for filter in filters {
            let Some(subscriber) = self.subscribers.get(id) else { return };
            // The client may have unsubscribed since. If it has subscribed again, that subscription
            // comes into force by itself.
            let is_same = |ours: &Filter| Arc::ptr_eq(ours.shared(), filter.shared());
            if !subscriber.filters.iter().any(is_same) {
                continue;
            }
            let Options { form, echo, marks_retained } = subscriber.options;
            if !self.index.subscribe(&filter, Subscriber { id, form, echo }) {
                continue;
            }
            if marks_retained || filter.has_wildcard() {
                self.replay_later(id, filter);
            } else if let Some(frame) = self.retained_frame(form, &filter) {
                // It is not marked as retained, so it has to precede every newer message.
                out.answer(id, &frame);
            }
        }
    }
}
