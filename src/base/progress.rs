//! How far a peer is with what it was sent.

use std::time::Duration;

/// How far a peer is with what it was sent, as this side's kernel knows it. All counts are bytes
/// since the connection began.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendProgress {
    /// Bytes that this side's kernel has taken to send.
    pub written: u64,
    /// Bytes that the peer's kernel has acknowledged.
    pub acked: u64,
    /// Bytes that this side's kernel has received.
    pub received: u64,
    /// The right edge of the peer's receive window, SND.UNA + SND.WND in RFC 9293 section 3.3.1. It
    /// moves on as the peer's program reads.
    pub window_edge: u64,
    /// Some bytes are sent and not acknowledged. With `acked < written` and nothing in flight the
    /// window is closed.
    pub in_flight: bool,
    /// Milliseconds since the peer's kernel last acknowledged anything, the same bytes again
    /// included. Four bytes, so that the events of a driver stay small.
    pub since_ack_ms: u32,
    /// Bytes that the peer has sent and this side's program has not received.
    pub unread: u32,
}

impl SendProgress {
    /// The time since the peer's kernel last acknowledged anything, the same bytes again included.
    #[must_use]
    pub fn since_ack(&self) -> Duration {
        Duration::from_millis(u64::from(self.since_ack_ms))
    }
}
