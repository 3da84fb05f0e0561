//! Subscribing, and the answers that wait until every core knows of it.

use super::Hub;
use super::client::Kind;
use crate::connection::{ConnectionId, Post, Replies};
use crate::protocol::Opcode;
use crate::protocol::frame::append_frame;
use crate::pubsub::index::Subscriber;
use crate::pubsub::name::Filter;

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
        self.ended.push((id, filter));
    }

    pub(super) fn end_subscriptions(&mut self) {
        for (id, filter) in self.ended.drain(..) {
            self.index.unsubscribe(&filter, id);
            self.links.withdraw(&filter);
        }
    }

    /// From here on messages are delivered, and what is retained now is given.
    fn put_in_force(&mut self, id: ConnectionId, filters: Vec<Filter>) {
        for filter in filters {
            let Some(client) = self.clients.get(id) else { return };
            // It may have been unsubscribed from meanwhile.
            if !client.filters.contains(&filter) {
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

    /// Answers a request, now if no other answer waits.
    pub(super) fn answer(&mut self, id: ConnectionId, text: Vec<u8>, replies: &mut Replies<'_>) {
        let waits = self.clients.get(id).is_some_and(|client| client.waiting > 0);
        if waits {
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
            let Some(client) = self.clients.get(id) else { continue };
            client.waiting = client.waiting.saturating_sub(1);
            let post = match answer {
                Answer::Text(text) => {
                    let mut frame = Vec::with_capacity(text.len() + 10);
                    append_frame(&mut frame, Opcode::Text, false, &text);
                    Post::Frames(frame)
                }
                Answer::Handshake => Post::Release,
            };
            self.errands.posts.push((id, post));
            self.put_in_force(id, filters);
        }
    }
}
