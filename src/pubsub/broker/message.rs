//! A message that waits: for the search for its subscribers, or to be encoded.

use bytes::Bytes;

use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::pubsub::encoding::ONE_PIECE;
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Publication;

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

    /// Whether it is encoded in pieces.
    pub(super) const fn is_large(&self) -> bool {
        self.payload.len() > ONE_PIECE
    }

    pub(super) fn publication(&self) -> Publication<'_> {
        let Self { topic, payload, .. } = self;
        let Self { opcode, is_json, retain, origin, .. } = *self;
        let memory = Some(payload);
        Publication { topic, opcode, payload, is_json, memory, retain, origin }
    }
}
