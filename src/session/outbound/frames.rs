//! Frames made once and shared by every connection that they are sent to.

use std::rc::Rc;
use std::sync::Arc;

use crate::base::Shared;

/// Whole frames, ready to be sent, that any number of connections of a core share. They are not
/// copied: each connection holds a reference for as long as its send or its queue needs it.
#[derive(Debug)]
pub struct Frames {
    bytes: Rc<Shared>,
    subject: Arc<str>,
    messages: u32,
    last: usize,
}

impl Frames {
    /// The counts in the memory of a subject.
    const COUNTS: usize = 16;

    /// `messages` frames about `subject`, each a whole message, of which the last begins at `last`
    /// in `bytes`.
    #[must_use]
    pub fn new(bytes: Shared, subject: Arc<str>, messages: u32, last: usize) -> Self {
        debug_assert!(last < bytes.len() && messages > 0, "frames hold a message");
        // Nobody else may hold it: each message of a client comes with its own.
        let bytes = Rc::new(bytes.with(subject.len() + Self::COUNTS));
        Self { bytes, subject, messages, last }
    }

    /// One frame about `subject`, of bytes that others hold already.
    #[must_use]
    pub fn one(bytes: Rc<Shared>, subject: Arc<str>) -> Self {
        Self { bytes, subject, messages: 1, last: 0 }
    }

    /// The bytes.
    #[inline]
    #[must_use]
    pub const fn bytes(&self) -> &Rc<Shared> {
        &self.bytes
    }

    /// The number of bytes.
    #[inline]
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes, which is never the case.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What the messages are about, such as their topic. Lost messages are counted by subject.
    #[must_use]
    pub const fn subject(&self) -> &Arc<str> {
        &self.subject
    }

    /// The number of messages.
    #[must_use]
    pub const fn messages(&self) -> u32 {
        self.messages
    }

    /// The offset of the last message.
    #[must_use]
    pub const fn last(&self) -> usize {
        self.last
    }
}
