//! What an application can do in a callback.

use crate::base::ConnectionId;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::pubsub::Broker;
use crate::session::{Message, Replies};

/// One connection in a callback of the [`Handler`](super::Handler), and the topics of its core.
#[derive(Debug)]
pub struct Context<'c, 'a> {
    id: ConnectionId,
    replies: &'c mut Replies<'a>,
    #[expect(dead_code, reason = "used by the callbacks that publish")]
    broker: &'c mut Broker,
}

impl<'c, 'a> Context<'c, 'a> {
    #[inline(always)]
    pub(crate) const fn new(
        id: ConnectionId,
        replies: &'c mut Replies<'a>,
        broker: &'c mut Broker,
    ) -> Self {
        Self { id, replies, broker }
    }

    /// The id of the connection on its core.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Sends the message back, compressed if it came compressed. Without a copy where nothing else
    /// has been sent to this connection in the turn.
    #[inline(always)]
    pub fn echo(&mut self, message: Message<'a>) {
        self.replies.echo(message);
    }

    /// Sends a text message; compressed where that was agreed and makes it shorter.
    pub fn text(&mut self, text: &str) {
        self.replies.send(Opcode::Text, text.as_bytes());
    }

    /// Sends a binary message; compressed where that was agreed and makes it shorter.
    pub fn binary(&mut self, payload: &[u8]) {
        self.replies.send(Opcode::Binary, payload);
    }

    /// Sends a ping. Its payload is cut to 125 bytes (RFC 6455 section 5.5).
    pub fn ping(&mut self, payload: &[u8]) {
        self.replies.ping(payload);
    }

    /// The bytes that wait to be sent to this connection.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.replies.queued()
    }

    /// Closes the connection with this code, after what was sent before.
    pub fn close(&mut self, code: CloseCode, reason: &'static str) {
        self.replies.close(code, reason);
    }
}
