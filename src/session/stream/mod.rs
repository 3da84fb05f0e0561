//! Sessions that are no WebSocket: what a connection becomes if the service answers its request
//! with [`Verdict::Stream`](super::Verdict::Stream).
//!
//! Each kind is one file of this folder and one arm of [`Stream`], with its line in
//! [`Stream::handle`]. So far only a request to upgrade to WebSocket may become one, and its
//! answer is not deferred. For the loop such a connection is open: it is read from, deliveries and
//! answers reach it, and it ends as others do.

mod event;
#[cfg(test)]
mod lines;

use super::context::ReceiveContext;
pub(super) use event::{Next, StreamEvent};

/// A session of another kind. The server has none of its own so far; the tests have one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// Every line is sent back.
    #[cfg(test)]
    Lines(lines::Lines),
}

impl Stream {
    /// Handles an event. Output is appended to that of `cx`; nothing of it is in place.
    #[cfg_attr(not(test), expect(unused_variables, reason = "no kind looks at them so far"))]
    pub(super) fn handle(&mut self, event: StreamEvent<'_>, cx: &mut ReceiveContext<'_>) -> Next {
        match *self {
            #[cfg(test)]
            Self::Lines(ref mut lines) => lines.handle(event, cx),
        }
    }
}
