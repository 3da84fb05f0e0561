//! The batches that a turn builds.

use std::collections::HashMap;

use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{BatchBuilder, Retain, Scratch};
use crate::pubsub::index::{Index, Matches};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Publication;

/// The batches of this turn.
#[derive(Debug)]
pub(super) struct Drafts {
    /// In the order in which they began.
    list: Vec<BatchBuilder>,
    /// The last batch of each topic.
    by_topic: HashMap<Topic, usize>,
    /// The bytes that all of them hold, approximately.
    bytes: usize,
    scratch: Scratch,
    pool: Pool,
    matches: Matches,
}

impl Drafts {
    pub(super) fn new(deflate_level: u32) -> Self {
        Self {
            list: Vec::new(),
            by_topic: HashMap::new(),
            bytes: 0,
            scratch: Scratch::default(),
            pool: Pool::new(deflate_level),
            matches: Matches::default(),
        }
    }

    /// The bytes that all of them hold, approximately.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Adds a message to the batch of its topic. A message without subscribers and without a change
    /// of the retained value is dropped.
    pub(super) fn add(&mut self, message: &Publication<'_>, retain: Option<Retain>, index: &Index) {
        let at = match self.find(message.topic, index.version()) {
            Some(at) => at,
            None if self.matches(message.topic, index).is_empty() && retain.is_none() => return,
            None => self.begin(message.topic, index.version()),
        };
        if let Some(draft) = self.list.get_mut(at) {
            self.bytes += draft.add(message, retain, &mut self.scratch, &mut self.pool);
        }
    }

    /// The subscribers of a topic, in memory that is reused.
    pub(super) fn matches(&mut self, topic: &Topic, index: &Index) -> &Matches {
        index.find(topic, &mut self.matches);
        &self.matches
    }

    /// Takes all batches, in the order in which they began.
    pub(super) fn take(&mut self) -> impl Iterator<Item = BatchBuilder> {
        self.by_topic.clear();
        self.bytes = 0;
        self.list.drain(..)
    }

    /// The position of the batch that a message of `topic` may be added to: the last of its topic,
    /// if it has room and its subscribers are still the same.
    fn find(&self, topic: &Topic, version: u64) -> Option<usize> {
        let last = self.list.len().checked_sub(1)?;
        let at = match self.list.get(last) {
            Some(draft) if draft.topic.is_same(topic) => last,
            _ => *self.by_topic.get(topic)?,
        };
        let draft = self.list.get(at)?;
        (draft.version == version && draft.has_room()).then_some(at)
    }

    /// Begins a batch for the subscribers found last.
    fn begin(&mut self, topic: &Topic, version: u64) -> usize {
        let at = self.list.len();
        self.list.push(BatchBuilder::new(topic, self.matches.clone(), version));
        self.by_topic.insert(topic.clone(), at);
        at
    }
}
