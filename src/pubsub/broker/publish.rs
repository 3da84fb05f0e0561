//! From a published message to the batches of the turn, and from these to subscribers and other
//! cores.

use std::sync::Arc;

use bytes::Bytes;

use super::state::Broker;
use crate::pubsub::delivery::batch::{Batch, Retain};
use crate::pubsub::publication::{Publication, Value};
use crate::pubsub::retained::{RetainLimit, Version};

impl Broker {
    /// Accepts a message, which becomes part of the batch of its topic.
    ///
    /// # Errors
    /// If it should be retained and cannot be. It is published nevertheless.
    pub(crate) fn publish(&mut self, message: &Publication<'_>) -> Result<(), RetainLimit> {
        self.stats.published += 1;
        let (retain, result) = match message.retain {
            true if message.clears() => (Some(self.retain(message)), Ok(())),
            true => match self.retained.reserve(message.topic, message.payload.len()) {
                Ok(()) => (Some(self.retain(message)), Ok(())),
                Err(limit) => {
                    self.stats.not_retained += 1;
                    (None, Err(limit))
                }
            },
            false => (None, Ok(())),
        };
        self.drafts.add(message, retain, &self.index);
        result
    }

    /// Retains the message on this core. The result goes to the other cores with the message.
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

    /// Finishes the batches of this turn and passes them on, to the subscribers of this core and to
    /// the cores that want them.
    pub(super) fn distribute_batches(&mut self) {
        for draft in self.drafts.take() {
            let (batch, matches, origins) = draft.finish();
            let batch = Arc::new(batch);
            for to in self.peers.others() {
                let is_wanted = matches.remote.get(to).is_some_and(|forms| !forms.is_empty());
                // Every core stores retained values.
                if is_wanted || batch.retain.is_some() {
                    self.peers.send_batch(to, &batch);
                }
            }
            if !matches.lists.is_empty() {
                self.deliveries.add(batch, origins, &matches.lists);
            }
        }
    }

    /// Takes a batch of another core.
    pub(super) fn receive_batch(&mut self, batch: Arc<Batch>) {
        if let Some(retain) = &batch.retain {
            let value = retain.value.clone().map(|value| {
                let bytes = value.bytes.len();
                (value, bytes)
            });
            self.retained.apply(&batch.topic, retain.version, value, self.now.0);
        }
        let matches = self.drafts.matches(&batch.topic, &self.index);
        if !matches.lists.is_empty() {
            self.deliveries.add(batch, Vec::new(), &matches.lists);
        }
    }
}
