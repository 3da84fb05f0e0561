//! What a handler sends to many connections: frames made once, shared by all who get them.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use crate::base::ConnectionId;
use crate::protocol::websocket::CloseCode;

/// Whole frames, ready to be sent, that any number of connections of a core share. Copied to none
/// of them: each holds a reference for as long as its send, or its place in a queue, needs it.
#[derive(Debug)]
pub struct Frames {
    bytes: Rc<Bytes>,
    subject: Arc<str>,
    messages: u32,
    last: usize,
}

impl Frames {
    /// `messages` frames about `subject`, each a whole message, of which the last begins at `last`
    /// in `bytes`.
    #[must_use]
    pub fn new(bytes: Bytes, subject: Arc<str>, messages: u32, last: usize) -> Self {
        debug_assert!(last < bytes.len() && messages > 0, "frames hold a message");
        Self { bytes: Rc::new(bytes), subject, messages, last }
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> &Rc<Bytes> {
        &self.bytes
    }

    /// The number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes, which is never so.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the messages are about; losses are counted for each subject.
    #[must_use]
    pub const fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// How many messages there are.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.messages
    }

    /// Where the last message begins.
    #[must_use]
    pub const fn last(&self) -> usize {
        self.last
    }
}

/// What a handler wants done to a connection, outside a call about that connection.
#[derive(Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Post {
    /// Send these bytes, which are whole frames.
    Frames(Vec<u8>),
    /// Keep all that is to be sent, the answer to the handshake included, until `Release`.
    Hold,
    /// Send what was kept.
    Release,
    /// Stop reading from it: it sends faster than its messages can be passed on.
    Pause,
    /// Read from it again.
    Resume,
    /// Close it with this code.
    Close(CloseCode, &'static str),
}

/// What a handler wants done at the end of a turn.
#[derive(Debug, Default)]
pub struct Errands {
    /// Things to do to connections, in this order.
    pub posts: Vec<(ConnectionId, Post)>,
    /// The numbers of other cores to be woken.
    pub bells: Vec<usize>,
}

/// Where a handler delivers [`Frames`].
pub trait Sink {
    /// Sends `frames` to `to` at the end of the turn, together with what else goes there. What it
    /// does not take waits in its queue, and beyond the limit
    /// [`SlowConsumer`](crate::config::SlowConsumer) decides. Without effect if the connection is
    /// not open any more.
    ///
    /// False, and nothing is done, if the connection is given as much as goes into one turn
    /// already: try again in the next, or a burst would look like a slow reader.
    #[must_use = "if false, the frames are still to be delivered"]
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> bool;

    /// Whether earlier bytes wait for `to` to read, so that more would only queue.
    fn is_congested(&mut self, to: ConnectionId) -> bool;
}
