//! Messages to be published, and retained values.

use bytes::Bytes;

use super::encoding::{Content, Data};
use super::name::Topic;
use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;

/// The payload of a message that a program publishes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Payload {
    pub(crate) bytes: Bytes,
    pub(crate) opcode: Opcode,
}

impl Payload {
    /// A text message. Subscribers in JSON are sent it as JSON if it is JSON, else as a JSON
    /// string.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { bytes: Bytes::from(text.into()), opcode: Opcode::Text }
    }

    /// A binary message. Subscribers in JSON are sent bytes that are not UTF-8 in base64.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), opcode: Opcode::Binary }
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// The message with this payload to `topic`.
    pub(crate) fn to<'a>(&'a self, topic: &'a Topic) -> Publication<'a> {
        let of = Publication::of(topic, &self.bytes);
        Publication { opcode: self.opcode, memory: Some(&self.bytes), ..of }
    }

    /// Whether it is empty. Retained, an empty payload clears the topic's value.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// A message on its way to the subscribers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publication<'a> {
    pub(crate) topic: &'a Topic,
    pub(crate) opcode: Opcode,
    pub(crate) payload: &'a [u8],
    /// Whether the payload is known to be valid JSON.
    pub(crate) is_json: bool,
    /// Memory that the payload is a part of, if it may be kept instead of a copy.
    pub(crate) memory: Option<&'a Bytes>,
    pub(crate) retain: bool,
    /// The publisher, if it must not be sent the message.
    pub(crate) origin: Option<ConnectionId>,
}

impl<'a> Publication<'a> {
    /// A text, known to be nothing else, with nothing asked for.
    pub(crate) const fn of(topic: &'a Topic, payload: &'a [u8]) -> Self {
        let (opcode, is_json, memory) = (Opcode::Text, false, None);
        Self { topic, opcode, payload, is_json, memory, retain: false, origin: None }
    }

    /// Whether it clears the retained value instead of replacing it: it is empty. In JSON, where no
    /// value is empty, `null` and `""` clear as well; they are published unchanged.
    pub(super) fn clears(&self) -> bool {
        self.payload.is_empty() || self.is_json && matches!(self.payload, b"null" | br#""""#)
    }

    /// What is encoded of it.
    #[inline]
    pub(super) fn content(&self) -> Content<'a> {
        let Self { opcode, payload, .. } = *self;
        let data = if self.is_json { Data::Json(payload) } else { Data::Bytes(payload) };
        Content { topic: self.topic.as_str(), opcode, data }
    }

    /// The payload, kept: a part of its memory if it has any, or a copy.
    pub(super) fn kept_payload(&self) -> Bytes {
        match self.memory {
            Some(memory) => memory.slice_ref(self.payload),
            None => Bytes::copy_from_slice(self.payload),
        }
    }
}

/// A retained value, shared by all cores.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) bytes: Bytes,
    pub(super) opcode: Opcode,
    /// Whether it is known to be valid JSON.
    pub(super) is_json: bool,
}

impl Value {
    /// The message that has set the value of `topic`.
    pub(super) fn publication<'a>(&'a self, topic: &'a Topic) -> Publication<'a> {
        let Self { bytes, opcode, is_json } = self;
        let of = Publication::of(topic, bytes);
        let (opcode, is_json, memory) = (*opcode, *is_json, Some(bytes));
        Publication { opcode, is_json, memory, retain: true, ..of }
    }
}
