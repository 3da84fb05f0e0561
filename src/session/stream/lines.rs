//! For tests: a stream of lines. Each line is sent back, and `quit` ends the connection.

use std::time::Duration;

use super::event::{Next, StreamEvent};
use crate::base::Millis;
use crate::protocol::websocket::CloseCode;
use crate::session::context::ReceiveContext;
use crate::session::reason::CloseReason;

/// The answer to the request.
const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n";
/// After so long without a line the connection ends.
const IDLE: Duration = Duration::from_secs(7);
/// The longest line.
const MAX_LINE: usize = 100;

/// The state of one connection.
#[derive(Debug, Default)]
#[expect(unnameable_types, reason = "made by `default`")]
pub struct Lines {
    /// A line that has not come in full.
    partial: Vec<u8>,
    ends_at: Millis,
}

impl Lines {
    pub(super) fn handle(&mut self, event: StreamEvent<'_>, cx: &mut ReceiveContext<'_>) -> Next {
        match event {
            StreamEvent::Begin => {
                cx.appendable().extend_from_slice(HEAD);
                self.ends_at = cx.now.after(IDLE);
            }
            StreamEvent::Received(bytes) => {
                if let Some(reason) = self.receive(bytes, cx) {
                    return Next::End(reason);
                }
            }
            StreamEvent::Timeout if self.ends_at <= cx.now => {
                return end(cx, b"idle\n", CloseCode::GOING_AWAY);
            }
            StreamEvent::Timeout => {}
            StreamEvent::Close(code) => return end(cx, b"closing\n", code),
        }
        Next::Until(self.ends_at)
    }

    fn receive(&mut self, bytes: &[u8], cx: &mut ReceiveContext<'_>) -> Option<CloseReason> {
        for part in bytes.split_inclusive(|byte| *byte == b'\n') {
            if self.partial.len() + part.len() > MAX_LINE {
                cx.appendable().extend_from_slice(b"too long\n");
                return Some(CloseReason::Local(CloseCode::MESSAGE_TOO_BIG));
            }
            self.partial.extend_from_slice(part);
            if !part.ends_with(b"\n") {
                continue;
            }
            self.ends_at = cx.now.after(IDLE);
            if self.partial == b"quit\n" {
                cx.appendable().extend_from_slice(b"bye\n");
                return Some(CloseReason::Answered);
            }
            cx.appendable().extend_from_slice(&self.partial);
            self.partial.clear();
        }
        None
    }
}

fn end(cx: &mut ReceiveContext<'_>, last: &[u8], code: CloseCode) -> Next {
    cx.appendable().extend_from_slice(last);
    Next::End(CloseReason::Local(code))
}
