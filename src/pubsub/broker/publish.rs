//! From a published message to the batches of the turn, and from these to subscribers and other
//! cores.

use std::sync::Arc;

use super::drafts::Unfinished;
use super::kept::Kept;
use super::pending::{Item, Message};
use super::state::Broker;
use crate::pubsub::delivery::batch::{Batch, Finished, Retain};
use crate::pubsub::index::Recipients;
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
            true if self.peers.has_cut_off() => {
                self.stats.not_retained += 1;
                (None, Err(RetainLimit::CoreHangs))
            }
            true if message.clears() => (Some(self.retain(message)), Ok(())),
            true => match self.reserve(message) {
                Ok(()) => (Some(self.retain(message)), Ok(())),
                Err(limit) => {
                    self.stats.not_retained += 1;
                    (None, Err(limit))
                }
            },
            false => (None, Ok(())),
        };
        self.accept(message, retain);
        result
    }

    /// Counts a message that is to be retained.
    fn reserve(&self, message: &Publication<'_>) -> Result<(), RetainLimit> {
        let (topic, len, max) = (message.topic, message.payload.len(), self.max_lasting());
        // What other cores retain is retained here in any case; they refuse values like this one.
        let more = self.retained.growth(topic, len);
        if more > 0 && self.lasting().saturating_add_signed(more) > max {
            return Err(RetainLimit::Memory(max));
        }
        self.retained.reserve(topic, len)
    }

    /// Retains the message on this core. The result goes to the other cores with the message.
    fn retain(&mut self, message: &Publication<'_>) -> Retain {
        let core = u16::try_from(self.peers.number()).unwrap_or(u16::MAX);
        let version = Version { clock: self.retained.clock(), core };
        let value = (!message.clears())
            .then(|| Value { bytes: message.kept_payload(), opcode: message.opcode });
        self.held.set_stale();
        let stored = value.clone().map(|value| (Kept::new(value), message.payload.len()));
        self.retained.apply(message.topic, version, stored, self.now.0);
        Retain { version, value }
    }

    /// Finishes the batches of this turn and passes them on, to the subscribers of this core and to
    /// the cores that want them.
    pub(super) fn distribute_batches(&mut self) {
        for draft in self.drafts.take() {
            let Finished { batch, recipients, origins } = draft.finish();
            let batch = Arc::new(batch);
            for to in self.peers.others() {
                let is_wanted = recipients.remote.get(to).is_some_and(|forms| !forms.is_empty());
                // Every core stores retained values.
                if is_wanted || batch.retain.is_some() {
                    self.peers.send_batch(to, &batch);
                }
            }
            if !recipients.lists.is_empty() {
                self.deliveries.add(batch, origins, recipients.lists);
            }
        }
    }

    /// Takes a batch of another core.
    pub(super) fn receive_batch(&mut self, batch: Arc<Batch>) {
        let is_change = batch.retain.as_ref().is_some_and(|retain| {
            let value = retain.value.clone().map(|value| {
                let bytes = value.bytes.len();
                (Kept::new(value), bytes)
            });
            self.held.set_stale();
            self.retained.apply(&batch.topic, retain.version, value, self.now.0)
        });
        self.accept_batch(batch, is_change);
    }

    /// Adds a message to the batch of its topic, now or once its subscribers are found.
    pub(super) fn accept(&mut self, message: &Publication<'_>, retain: Option<Retain>) {
        self.held.has_changed = true;
        if !self.pending.is_empty() {
            self.pending.push(Item::Message(Message::new(message), retain));
        } else if let Err(Unfinished(retain)) = self.drafts.add(message, retain, &self.index) {
            self.pending.put_back(Item::Message(Message::new(message), retain));
        }
    }

    /// Adds a batch of another core to the deliveries, now or once its subscribers are found.
    fn accept_batch(&mut self, batch: Arc<Batch>, is_change: bool) {
        if !self.pending.is_empty() {
            self.pending.push(Item::Batch(batch, is_change));
        } else if let Some(recipients) = self.drafts.search(&batch.topic, &self.index) {
            self.deliver_batch(batch, is_change, recipients);
        } else {
            self.pending.put_back(Item::Batch(batch, is_change));
        }
    }

    /// A change of a retained value is delivered in any form. It may have been published before its
    /// core knew of a subscription here, which has come into force since, since acknowledgements do
    /// not wait for batches.
    fn deliver_batch(&mut self, mut batch: Arc<Batch>, is_change: bool, recipients: Recipients) {
        if recipients.lists.is_empty() {
            return;
        }
        if is_change && let Some(completed) = batch.completed(recipients.local) {
            batch = Arc::new(completed);
        }
        self.deliveries.add(batch, Vec::new(), recipients.lists);
    }

    /// Goes on with the messages that wait, as far as the work of the turn allows.
    pub(super) fn resume_pending(&mut self) {
        self.held.has_changed = true;
        while let Some((item, is_searching)) = self.pending.pop() {
            let (drafts, index) = (&mut self.drafts, &self.index);
            match item {
                Item::Message(message, retain) => {
                    let publication = message.publication();
                    let added = if is_searching {
                        drafts.resume(&publication, retain, index)
                    } else {
                        drafts.add(&publication, retain, index)
                    };
                    if let Err(Unfinished(retain)) = added {
                        return self.pending.put_back(Item::Message(message, retain));
                    }
                }
                Item::Batch(batch, is_change) => {
                    let found = if is_searching {
                        drafts.resume_search(&batch.topic, index)
                    } else {
                        drafts.search(&batch.topic, index)
                    };
                    let Some(recipients) = found else {
                        return self.pending.put_back(Item::Batch(batch, is_change));
                    };
                    self.deliver_batch(batch, is_change, recipients);
                }
            }
        }
    }
}
