//! Messages framed once and sent to any number of connections.

use bytes::Bytes;

use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::append_frame;

/// A message as a frame that is ready to be sent: uncompressed, the same for every connection. All
/// clones share its memory, and so do the connections that it is sent to, however many it waits
/// for: from 4 KiB on if a connection is sent nothing else in the turn, behind other bytes from 64
/// KiB on. A smaller one is copied, and so is one that other bytes follow in the turn.
///
/// For a message to all subscribers of a topic, publishing is cheaper.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PreparedMessage {
    frame: Bytes,
}

impl PreparedMessage {
    /// A text message.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::new(Opcode::Text, text.as_bytes())
    }

    /// A binary message.
    #[must_use]
    pub fn binary(payload: &[u8]) -> Self {
        Self::new(Opcode::Binary, payload)
    }

    fn new(opcode: Opcode, payload: &[u8]) -> Self {
        let mut frame = Vec::new();
        append_frame(&mut frame, opcode, false, payload);
        Self { frame: frame.into() }
    }

    pub(crate) const fn frame(&self) -> &Bytes {
        &self.frame
    }
}
