//! A message to an endpoint of the server.

use bytes::Bytes;

use crate::session::Message;

/// A message, and the memory of which its payload is a part, if that may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub(super) message: Message<'a>,
    pub(super) memory: Option<&'a Bytes>,
}
