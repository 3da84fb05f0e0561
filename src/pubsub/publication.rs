//! What is published.

use bytes::Bytes;

use super::encoding::Data;
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
    /// Text; subscribers in JSON get it as JSON if it is, else as a JSON string.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self { bytes: Bytes::from(text.into()), opcode: Opcode::Text }
    }

    /// Any bytes; subscribers in JSON get what is not UTF-8 in base64.
    #[must_use]
    pub fn binary(bytes: impl Into<Bytes>) -> Self {
        Self { bytes: bytes.into(), opcode: Opcode::Binary }
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are none; retained, that clears the topic's value.
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
    /// The payload is JSON, and known to be.
    pub(crate) json: Option<&'a str>,
    pub(crate) retain: bool,
    /// Who published it, if they are not to get it.
    pub(crate) origin: Option<ConnectionId>,
}

impl Publication<'_> {
    /// Whether it clears what is retained instead of taking its place: it is empty. In JSON, where
    /// nothing is, also `null` and `""`, which are published as they are all the same.
    pub(super) fn clears(&self) -> bool {
        self.payload.is_empty() || matches!(self.json, Some("null" | r#""""#))
    }

    pub(super) const fn data(&self) -> Data<'_> {
        match self.json {
            Some(text) => Data::Json(text),
            None => Data::Bytes(self.payload),
        }
    }
}

/// A retained value, shared by all cores.
#[derive(Clone, Debug)]
pub(super) struct Value {
    pub(super) bytes: Bytes,
    pub(super) opcode: Opcode,
}
