//! Subscribing: a subscription is in force once every core knows of it.

use std::fmt;
use std::sync::Arc;

use super::Broker;
use crate::base::ConnectionId;
use crate::pubsub::index::Subscriber;
use crate::pubsub::name::Filter;
use crate::pubsub::subscribers::Options;
use crate::session::Outbound;

/// Subscriptions of one request that every core knows of.
#[derive(Debug)]
pub(crate) struct Established {
    pub(crate) id: ConnectionId,
    filters: Vec<Filter>,
}

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
            for filter in subscriber.filters {
                self.end_subscription(id, filter);
            }
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

    /// Ends a subscription, in force or not, at the end of the turn. Without effect if the
    /// connection has no such subscription.
    pub(crate) fn unsubscribe(&mut self, id: ConnectionId, filter: &Filter) {
        let Some(subscriber) = self.subscribers.get(id) else { return };
        if let Some(at) = subscriber.filters.iter().position(|ours| ours == filter) {
            subscriber.filters.remove(at);
            subscriber.replays.retain(|replay| replay.filter != *filter);
            subscriber.is_ending = true;
            self.end_subscription(id, filter.clone());
        }
    }

    fn end_subscription(&mut self, id: ConnectionId, filter: Filter) {
        self.stats.subscriptions -= 1;
        self.ended.push((id, filter));
    }

    /// If the connection has ended a subscription in this turn, ends it before the connection
    /// publishes: it must not be sent that message.
    pub(crate) fn apply_unsubscribes(&mut self, id: ConnectionId) {
        if self.subscribers.get(id).is_some_and(|subscriber| subscriber.is_ending) {
            self.end_subscriptions();
        }
    }

    pub(super) fn end_subscriptions(&mut self) {
        for (id, filter) in self.ended.drain(..) {
            self.index.unsubscribe(&filter, id);
            if let Some(subscriber) = self.subscribers.get(id) {
                subscriber.is_ending = false;
            }
            self.peers.withdraw(&filter);
        }
    }

    /// Takes subscriptions that every core knows of, if there are some. The caller answers the
    /// client, then [`put_in_force`](Self::put_in_force) starts the deliveries.
    pub(crate) fn take_established(&mut self) -> Option<Vec<Established>> {
        let first = self.establishing.first_entry()?;
        (*first.key() <= self.peers.acked_by_all()).then(|| first.remove())
    }

    /// From here on messages are delivered, and the values retained now are sent.
    pub(crate) fn put_in_force<O: Outbound>(&mut self, established: Established, out: &mut O) {
        let Established { id, filters } = established;
        for filter in filters {
            let Some(subscriber) = self.subscribers.get(id) else { return };
            // It may have been unsubscribed from meanwhile; and if it was subscribed to again, that
            // subscription comes into force by itself.
            let is_it = |ours: &Filter| Arc::ptr_eq(ours.shared(), filter.shared());
            if !subscriber.filters.iter().any(is_it) {
                continue;
            }
            let Options { form, echo, marks_retained } = subscriber.options;
            if !self.index.subscribe(&filter, Subscriber { id, form, echo }) {
                continue;
            }
            if marks_retained {
                self.replay_later(id, filter);
            } else if let Some(frame) = self.retained_frame(form, &filter) {
                // It is not marked, so it must come before everything newer.
                out.answer(id, &frame);
            }
        }
    }
}
