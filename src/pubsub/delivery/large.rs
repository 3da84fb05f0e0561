//! A large message while it is encoded: piece by piece, so that it holds nobody up. It becomes a
//! batch of its own.

#[cfg(test)]
mod tests;

use std::sync::Arc;

use super::batch::{Batch, BatchBuilder, Encoder, Retain};
use crate::base::Work;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::encoding::{Codec, LargeEncoder};
use crate::pubsub::index::{Lists, Recipients};
use crate::pubsub::publication::Publication;

/// The encoding of one message.
#[derive(Debug)]
pub(in crate::pubsub) struct Large {
    recipients: Recipients,
    version: u64,
    encoders: Vec<Encoder>,
    /// The codecs that are left.
    codecs: Vec<Codec>,
    /// The codec that is begun.
    current: Option<LargeEncoder>,
}

impl Large {
    pub(in crate::pubsub) fn new(recipients: Recipients, version: u64) -> Self {
        let forms = recipients.forms();
        let is_wanted = |codec: &Codec| !forms.of_codec(*codec).is_empty();
        let codecs = Codec::ALL.iter().copied().filter(is_wanted).collect();
        Self { recipients, version, encoders: Vec::new(), codecs, current: None }
    }

    pub(in crate::pubsub) const fn is_done(&self) -> bool {
        self.current.is_none() && self.codecs.is_empty()
    }

    /// The bytes that are held for it, the message not counted.
    pub(in crate::pubsub) fn len(&self) -> usize {
        let growing = self.current.as_ref().map_or(0, LargeEncoder::len);
        let encoded: usize = self.encoders.iter().map(Encoder::len).sum();
        encoded + growing + self.recipients.lists.bytes()
    }

    /// The batch, once the last piece is done.
    pub(in crate::pubsub) fn finish(
        self,
        message: &Publication<'_>,
        retain: Option<Retain>,
    ) -> BatchBuilder {
        BatchBuilder::of_one(message, retain, self.recipients, self.version, self.encoders)
    }

    /// The batch with the message in the forms that are encoded, and those whom it is for.
    pub(in crate::pubsub) fn complete(self, batch: Arc<Batch>) -> (Arc<Batch>, Lists) {
        let lists = self.recipients.lists;
        match self.encoders.is_empty() {
            true => (batch, lists),
            false => (Arc::new(batch.with(self.encoders)), lists),
        }
    }

    /// Does the next piece of work for `message`, the same each time. Returns how much that was.
    pub(in crate::pubsub) fn step(&mut self, message: &Publication<'_>, pool: &mut Pool) -> u64 {
        let content = message.content();
        let Some(encoder) = &mut self.current else {
            let forms = self.recipients.forms();
            self.current = self.codecs.pop().map(|codec| LargeEncoder::new(codec, forms, &content));
            return Work::FRAME;
        };
        let (work, encoded) = encoder.step(&content, pool);
        if encoder.is_done() {
            self.current = None;
        }
        self.encoders.extend(encoded.map(Encoder::of_one));
        work
    }
}
