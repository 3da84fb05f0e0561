//! Subscribing, and the answers that wait until every core knows of it.

use super::Hub;
use crate::connection::{ConnectionId, Post, Replies};
use crate::protocol::Opcode;
use crate::protocol::frame::append_frame;
use crate::pubsub::index::Subscriber;
use crate::pubsub::name::Filter;

/// What waits until the other cores know of an interest.
#[derive(Debug)]
pub(super) struct Pending {
    /// The number of the interest.
    number: u64,
    id: ConnectionId,
    answer: Answer,
}

#[derive(Debug)]
pub(super) enum Answer {
    /// The text of an answer in JSON, and the filters just subscribed to with the state of the
    /// retained values at that moment.
    Text(Vec<u8>, Vec<(Filter, u64)>),
    /// The answer to the handshake, which is held back.
    Handshake(Vec<(Filter, u64)>),
}

impl<H> Hub<H> {
    /// Subscribes; from here on this core's messages are delivered. Returns the number of the
    /// interest that the other cores have to know, and whether the subscription is a new one.
    pub(super) fn subscribe(
        &mut self,
        id: ConnectionId,
        filter: &Filter,
        echo: bool,
    ) -> (u64, bool) {
        let Some(client) = self.clients.get(id) else { return (0, false) };
        let form = client.form;
        let is_new = self.index.subscribe(filter, Subscriber { id, form, echo });
        if is_new {
            client.filters.push(filter.clone());
            self.stats.subscriptions += 1;
        }
        let number = if self.links.cores() > 1 { self.links.want(filter, form) } else { 0 };
        (number, is_new)
    }

    /// Ends a subscription. The client's own list is the caller's.
    pub(super) fn unsubscribe(&mut self, id: ConnectionId, filter: &Filter) {
        if self.index.unsubscribe(filter, id) {
            self.stats.subscriptions -= 1;
            if self.index.local_forms(filter).is_empty() {
                self.links.withdraw(filter);
            }
        }
    }

    /// Answers now if every core knows of the interest `number` and nothing else waits, or later.
    pub(super) fn answer(
        &mut self,
        id: ConnectionId,
        number: u64,
        text: Vec<u8>,
        replays: Vec<(Filter, u64)>,
        replies: &mut Replies<'_>,
    ) {
        let waits = self.clients.get(id).is_some_and(|client| client.waiting > 0);
        if waits || number > self.links.known_by_all() {
            self.answer_later(id, number, Answer::Text(text, replays));
            return;
        }
        replies.send(Opcode::Text, &text);
        for (filter, until) in replays {
            self.replay_later(id, filter, until);
        }
    }

    /// Keeps an answer, behind those that wait already.
    pub(super) fn answer_later(&mut self, id: ConnectionId, number: u64, answer: Answer) {
        if let Some(client) = self.clients.get(id) {
            client.waiting += 1;
            let before = self.pending.back().map_or(0, |last| last.number);
            self.pending.push_back(Pending { number: number.max(before), id, answer });
        }
    }

    /// Gives the answers whose interests are known everywhere.
    pub(super) fn answer_pending(&mut self) {
        let known = self.links.known_by_all();
        while self.pending.front().is_some_and(|pending| pending.number <= known)
            && let Some(Pending { id, answer, .. }) = self.pending.pop_front()
        {
            let Some(client) = self.clients.get(id) else { continue };
            client.waiting -= 1;
            let (post, replays) = match answer {
                Answer::Text(text, replays) => {
                    let mut frame = Vec::with_capacity(text.len() + 10);
                    append_frame(&mut frame, Opcode::Text, false, &text);
                    (Post::Frames(frame), replays)
                }
                Answer::Handshake(replays) => (Post::Release, replays),
            };
            self.errands.posts.push((id, post));
            for (filter, until) in replays {
                self.replay_later(id, filter, until);
            }
        }
    }
}
