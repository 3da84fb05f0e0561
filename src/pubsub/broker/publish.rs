//! From a message that somebody publishes to the batches of the turn, and on to those they are for.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Broker;
use crate::base::ConnectionId;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{Batch, BatchBuilder, Retain, Scratch};
use crate::pubsub::delivery::queue::DeliveryQueue;
use crate::pubsub::index::Matches;
use crate::pubsub::name::Topic;
use crate::pubsub::peers::Peers;
use crate::pubsub::publication::{Publication, Value};
use crate::pubsub::retained::{RetainLimit, Version};

/// The batches of this turn.
#[derive(Debug)]
pub(super) struct Drafts {
    /// In the order they began.
    list: Vec<BatchBuilder>,
    /// Of each topic the last one.
    by_topic: HashMap<Topic, usize>,
    /// What all of them hold, about.
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

    /// About the bytes that all of them hold.
    pub(super) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// The place of the draft that a message of `topic` may be added to, if it is still as when it
    /// began: the same subscribers, and room.
    fn find(&self, topic: &Topic, version: u64) -> Option<usize> {
        let last = self.list.len().checked_sub(1)?;
        let at = match self.list.get(last) {
            Some(draft) if draft.topic.is_same(topic) => last,
            _ => *self.by_topic.get(topic)?,
        };
        let draft = self.list.get(at)?;
        (draft.version == version && draft.has_room()).then_some(at)
    }

    fn begin(&mut self, topic: &Topic, version: u64) -> usize {
        let at = self.list.len();
        self.list.push(BatchBuilder::new(topic, self.matches.clone(), version));
        self.by_topic.insert(topic.clone(), at);
        at
    }
}

impl Broker {
    /// Accepts a message: from here on it belongs to the batch of its topic.
    ///
    /// # Errors
    /// If it should be retained and cannot be. It is passed on all the same.
    pub(crate) fn publish(&mut self, message: &Publication<'_>) -> Result<(), RetainLimit> {
        self.stats.published += 1;
        let (retain, result) = match message.retain {
            true if message.clears() => (Some(self.retain(message)), Ok(())),
            true => match self.retained.reserve(message.topic, message.payload.len()) {
                Ok(()) => (Some(self.retain(message)), Ok(())),
                Err(full) => {
                    self.stats.not_retained += 1;
                    (None, Err(full))
                }
            },
            false => (None, Ok(())),
        };
        let version = self.index.version();
        let drafts = &mut self.drafts;
        let at = match drafts.find(message.topic, version) {
            Some(at) => at,
            None => {
                drafts.matches.clear();
                self.index.find(message.topic, &mut drafts.matches);
                if drafts.matches.is_empty() && retain.is_none() {
                    return result;
                }
                drafts.begin(message.topic, version)
            }
        };
        if let Some(draft) = drafts.list.get_mut(at) {
            drafts.bytes += draft.add(message, retain, &mut drafts.scratch, &mut drafts.pool);
        }
        result
    }

    /// Retains the message on this core; what is returned does so on the others.
    fn retain(&mut self, message: &Publication<'_>) -> Retain {
        let core = u16::try_from(self.peers.number()).unwrap_or(u16::MAX);
        let version = Version { clock: self.retained.clock(), core };
        let value = (!message.clears()).then(|| Value {
            bytes: Bytes::copy_from_slice(message.payload),
            opcode: message.opcode,
        });
        let stored = value.clone().map(|value| (value, message.payload.len()));
        self.retained.apply(message.topic, version, stored, self.now.0);
        Retain { version, value }
    }

    /// Ends the batches of this turn and passes them on, to this core's subscribers and to the
    /// cores that have some.
    pub(super) fn pass_on(&mut self) {
        self.drafts.by_topic.clear();
        self.drafts.bytes = 0;
        for draft in self.drafts.list.drain(..) {
            let (batch, matches, origins) = draft.finish();
            pass_on(Arc::new(batch), &matches, origins, &mut self.peers, &mut self.deliveries);
        }
    }

    /// A batch of another core.
    pub(super) fn receive_batch(&mut self, batch: Arc<Batch>) {
        if let Some(retain) = &batch.retain {
            let value = retain.value.clone().map(|value| {
                let bytes = value.bytes.len();
                (value, bytes)
            });
            self.retained.apply(&batch.topic, retain.version, value, self.now.0);
        }
        self.drafts.matches.clear();
        self.index.find(&batch.topic, &mut self.drafts.matches);
        if !self.drafts.matches.lists.is_empty() {
            self.deliveries.add(batch, Vec::new(), &self.drafts.matches.lists);
        }
    }
}

fn pass_on(
    batch: Arc<Batch>,
    matches: &Matches,
    origins: Vec<Option<ConnectionId>>,
    peers: &mut Peers,
    deliveries: &mut DeliveryQueue,
) {
    for to in peers.others() {
        let is_wanted = matches.remote.get(to).is_some_and(|forms| !forms.is_empty());
        // Every core keeps what is retained.
        if is_wanted || batch.retain.is_some() {
            peers.send_batch(to, &batch);
        }
    }
    if !matches.lists.is_empty() {
        deliveries.add(batch, origins, &matches.lists);
    }
}
