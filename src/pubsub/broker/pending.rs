//! Messages that are accepted and of which the subscribers are still searched for.
//!
//! A search that exceeds the work of a turn goes on in the next one, so that a message that matches
//! very many filters holds nobody up. Meanwhile the index does not change: subscriptions neither
//! begin nor end, and the interest of other cores waits. So the message gets to those who were
//! subscribed when it was accepted. What is accepted after it waits behind it, so that the order is
//! kept.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::pubsub::delivery::batch::{Batch, Retain};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Publication;

/// The messages that wait, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Pending {
    queue: VecDeque<Item>,
    /// The bytes that they hold.
    bytes: usize,
    /// The search for the first has begun.
    is_searching: bool,
}

/// One or more messages that wait.
#[derive(Debug)]
pub(super) enum Item {
    /// A message published on this core, and what is to be retained of it.
    Message(Message, Option<Retain>),
    /// Messages of another core, and whether they have changed the retained value here.
    Batch(Arc<Batch>, bool),
}

/// A [`Publication`] that owns its payload.
#[derive(Debug)]
pub(super) struct Message {
    topic: Topic,
    opcode: Opcode,
    payload: Bytes,
    is_json: bool,
    retain: bool,
    origin: Option<ConnectionId>,
}

impl Message {
    pub(super) fn new(of: &Publication<'_>) -> Self {
        Self {
            topic: of.topic.clone(),
            opcode: of.opcode,
            payload: of.kept_payload(),
            is_json: of.is_json,
            retain: of.retain,
            origin: of.origin,
        }
    }

    pub(super) const fn topic(&self) -> &Topic {
        &self.topic
    }

    /// The bytes that it holds.
    pub(super) fn len(&self) -> usize {
        self.payload.len() + self.topic.as_str().len()
    }

    pub(super) fn publication(&self) -> Publication<'_> {
        let Self { topic, payload, .. } = self;
        let Self { opcode, is_json, retain, origin, .. } = *self;
        let memory = Some(payload);
        Publication { topic, opcode, payload, is_json, memory, retain, origin }
    }
}

impl Item {
    fn len(&self) -> usize {
        let held = match self {
            Self::Message(message, _) => message.len(),
            Self::Batch(batch, _) => batch.len(),
        };
        held + size_of::<Self>()
    }
}

impl Pending {
    /// The bytes that they hold.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    pub(super) fn push(&mut self, item: Item) {
        self.bytes += item.len();
        self.queue.push_back(item);
    }

    /// Takes the first, and says whether the search for it has begun.
    pub(super) fn pop(&mut self) -> Option<(Item, bool)> {
        let item = self.queue.pop_front()?;
        self.bytes -= item.len();
        Some((item, std::mem::take(&mut self.is_searching)))
    }

    /// The search for this item goes on in the next turn.
    pub(super) fn put_back(&mut self, item: Item) {
        self.bytes += item.len();
        self.queue.push_front(item);
        self.is_searching = true;
    }
}
