//! From a published message to the batches of the turn, and from these to subscribers and other
//! cores.

use std::sync::Arc;

use super::kept::Kept;
use super::search::Unpublished;
use super::state::Broker;
use crate::pubsub::delivery::batch::{Batch, Finished, Retain};
use crate::pubsub::publication::{Publication, Value};
use crate::pubsub::retained::{RetainLimit, Version};

impl Broker {
    /// Accepts a message, which becomes part of the batch of its topic.
    ///
    /// # Errors
    /// [`Unpublished::Busy`] if the message has to wait, and is not accepted.
    /// [`Unpublished::NotRetained`] if it should be retained and cannot be. It is published
    /// nevertheless.
    pub(crate) fn publish(&mut self, message: &Publication<'_>) -> Result<(), Unpublished> {
        let may_wait = self.searching.is_active() || self.drafts.may_wait(message.payload.len());
        if may_wait && !self.can_publish_now(message) {
            return Err(Unpublished::Busy);
        }
        self.publish_now(message).map_err(Unpublished::NotRetained)
    }

    /// Accepts a message while no other is searched for, or one of which the search is short.
    pub(super) fn publish_now(&mut self, message: &Publication<'_>) -> Result<(), RetainLimit> {
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
        let value = (!message.clears()).then(|| Value {
            bytes: message.kept_payload(),
            opcode: message.opcode,
            is_json: message.is_json,
        });
        self.held.set_stale();
        let stored = value.clone().map(|value| (Kept::new(value), message.payload.len()));
        self.retained.apply(message.topic, version, stored, self.now.0);
        self.values.replaced(message.topic);
        Retain { version, value }
    }

    /// Finishes the batches of this turn and passes them on, to the subscribers of this core and to
    /// the cores that want them.
    pub(super) fn distribute_batches(&mut self) {
        for draft in self.drafts.take() {
            let Finished { batch, recipients, origins } = draft.finish(self.clock);
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
            let is_change = self.retained.apply(&batch.topic, retain.version, value, self.now.0);
            if is_change {
                self.values.replaced(&batch.topic);
            }
            is_change
        });
        self.accept_batch(batch, is_change);
    }
}
