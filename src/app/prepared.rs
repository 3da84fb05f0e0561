//! Messages framed once and sent to any number of connections.

use bytes::Bytes;

use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::append_frame;

/// A message as a frame that is ready to be sent: uncompressed, the same for every connection. It
/// is copied for each. For a message to many connections, a topic is cheaper.
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

    pub(crate) fn frame(&self) -> &[u8] {
        &self.frame
    }
}
