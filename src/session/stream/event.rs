//! What happens to a stream, and what it wants next.

use crate::base::Millis;
use crate::protocol::websocket::CloseCode;
use crate::session::reason::CloseReason;

/// What happens to a stream.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(test), expect(dead_code, reason = "no kind reads them so far"))]
pub(in crate::session) enum StreamEvent<'b> {
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
pub(in crate::session) enum Next {
    /// It goes on. [`StreamEvent::Timeout`] comes at this time.
    Until(Millis),
    /// It has written its last bytes. FIN follows them.
    End(CloseReason),
}
