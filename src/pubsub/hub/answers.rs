//! Subscribing, and the answers that wait until every core knows of it.

use std::sync::Arc;

use super::Hub;
use super::client::Kind;
use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::{MAX_SERVER_HEADER, append_frame};
use crate::pubsub::index::Subscriber;
use crate::pubsub::name::{Filter, Topic};
use crate::session::{Post, Replies};

/// Answers that may wait for one client before it is not read from.
pub(super) const MOST_WAITING: u32 = 16;

/// What waits until the other cores know of an interest.
#[derive(Debug)]
pub(super) struct Pending {
    /// The number of the interest.
    number: u64,
    id: ConnectionId,
    /// The filters that come into force with the answer.
    filters: Vec<Filter>,
    answer: Answer,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// The text of an answer in JSON.
    Text(Vec<u8>),
    /// The answer to the handshake, which is held back.
    Handshake,
    /// That of a message, which is published only then: requests of a client are done in order.
    Publish(Box<ToPublish>),
}

/// A message in JSON that a client wants published.
#[derive(Debug)]
pub(super) struct ToPublish {
    pub(super) topic: Topic,
    /// Its text; none to clear what is retained.
    pub(super) data: Option<String>,
    pub(super) retain: bool,
    /// The `id` of the request.
    pub(super) request: Option<String>,
}

impl<H> Hub<H> {
    /// Notes that a connection wants `filter`; it comes into force with the answer. Returns the
    /// number of the interest that the other cores have to know before, or `None` if the connection
    /// has this filter already.
    pub(super) fn want(&mut self, id: ConnectionId, filter: &Filter) -> Option<u64> {
        let client = self.clients.get(id)?;
        if client.filters.contains(filter) {
            return None;
        }
        client.filters.push(filter.clone());
        self.stats.subscriptions += 1;
        Some(self.links.want(filter, client.form))
    }

    /// Ends a subscription, in force or not, at the end of the turn. The client's own list is the
    /// caller's.
    pub(super) fn unsubscribe(&mut self, id: ConnectionId, filter: Filter) {
        self.stats.subscriptions -= 1;
        if let Some(client) = self.clients.get(id) {
            client.is_ending = true;
        }
        self.ended.push((id, filter));
    }

    pub(super) fn end_subscriptions(&mut self) {
        for (id, filter) in self.ended.drain(..) {
            self.index.unsubscribe(&filter, id);
            if let Some(client) = self.clients.get(id) {
                client.is_ending = false;
            }
            self.links.withdraw(&filter);
        }
    }

    /// From here on messages are delivered, and what is retained now is given.
    fn put_in_force(&mut self, id: ConnectionId, filters: Vec<Filter>) {
        for filter in filters {
            let Some(client) = self.clients.get(id) else { return };
            // It may have been unsubscribed from meanwhile; and if it was subscribed to again, that
            // subscription comes into force with its own answer.
            let is_it = |ours: &Filter| Arc::ptr_eq(ours.shared(), filter.shared());
            if !client.filters.iter().any(is_it) {
                continue;
            }
            let echo = !matches!(client.kind, Kind::Raw { echo: false, .. });
            let (form, is_json) = (client.form, matches!(client.kind, Kind::Json));
            if !self.index.subscribe(&filter, Subscriber { id, form, echo }) {
                continue;
            }
            if is_json {
                self.replay_later(id, filter);
            } else if let Some(frame) = self.retained_frame(&filter) {
                // Unmarked, so it must come before all that is newer.
                self.errands.posts.push((id, Post::Frames(frame)));
            }
        }
    }

    /// Whether answers to a client wait already.
    pub(super) fn has_pending(&mut self, id: ConnectionId) -> bool {
        self.clients.get(id).is_some_and(|client| client.waiting > 0)
    }

    /// Answers a request, now if no other answer waits.
    pub(super) fn answer(&mut self, id: ConnectionId, text: Vec<u8>, replies: &mut Replies<'_>) {
        if self.has_pending(id) {
            self.answer_later(id, 0, Answer::Text(text), Vec::new());
        } else {
            replies.send(Opcode::Text, &text);
        }
    }

    /// Keeps an answer, behind those that wait already, until all cores know of the interest
    /// `number`; then `filters` come into force. At the earliest that is at the end of the turn.
    pub(super) fn answer_later(
        &mut self,
        id: ConnectionId,
        number: u64,
        answer: Answer,
        filters: Vec<Filter>,
    ) {
        if let Some(client) = self.clients.get(id) {
            client.waiting += 1;
            let before = self.pending.back().map_or(0, |last| last.number);
            let number = number.max(before);
            self.pending.push_back(Pending { number, id, filters, answer });
        }
    }

    /// Gives the answers whose interests are known everywhere.
    pub(super) fn answer_pending(&mut self) {
        let known = self.links.known_by_all();
        while self.pending.front().is_some_and(|pending| pending.number <= known)
            && let Some(Pending { id, answer, filters, .. }) = self.pending.pop_front()
        {
            if let Some(client) = self.clients.get(id) {
                client.waiting = client.waiting.saturating_sub(1);
            }
            let text = match answer {
                Answer::Text(text) => Some(text),
                // Also if the client has left meanwhile.
                Answer::Publish(message) => {
                    let ToPublish { topic, data, retain, request } = *message;
                    self.publish_json(&topic, data.as_deref(), retain, request.as_deref())
                }
                Answer::Handshake => {
                    self.errands.posts.push((id, Post::Release));
                    None
                }
            };
            if let Some(text) = text {
                let mut frame = Vec::with_capacity(text.len() + MAX_SERVER_HEADER);
                append_frame(&mut frame, Opcode::Text, false, &text);
                self.errands.posts.push((id, Post::Frames(frame)));
            }
            self.put_in_force(id, filters);
        }
    }
}
