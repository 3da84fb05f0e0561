//! Sessions that are no WebSocket: what a connection becomes if the service answers its request
//! with [`Verdict::Stream`](super::Verdict::Stream).
//!
//! Each kind is one file of this folder and one arm of [`Stream`], with its line in
//! [`Stream::handle`]. For the loop such a connection is open: it is read from, deliveries and
//! answers reach it, and it ends as others do.

#[cfg(test)]
mod lines;

use super::context::ReceiveContext;
use super::reason::CloseReason;
use crate::base::Millis;
use crate::protocol::websocket::CloseCode;

/// A session of another kind. The server has none of its own so far; the tests have one.
#[derive(Debug)]
#[non_exhaustive]
pub enum Stream {
    /// Every line is sent back.
    #[cfg(test)]
    Lines(lines::Lines),
}

/// What happens to a stream.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "no kind reads them so far"))]
pub(super) enum StreamEvent<'b> {
    /// The service has decided for it: the answer to the request is written now.
    Begin,
    /// Bytes came.
    Received(&'b [u8]),
    /// The time that it asked for has come.
    Timeout,
    /// This side has to end the connection, for the reason that this code names.
    Close(CloseCode),
}

/// What a stream wants next.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "no kind wants them so far"))]
pub(super) enum Next {
    /// It goes on. [`StreamEvent::Timeout`] comes at this time.
    Until(Millis),
    /// It has written its last bytes. FIN follows them.
    End(CloseReason),
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
