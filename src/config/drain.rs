//! How a server ends its connections when it stops.

use std::time::Duration;

use crate::protocol::websocket::CloseCode;

/// How a server that drains tells its clients to go. When those that are left are cut is
/// [`Timeouts::drain`](super::Timeouts::drain).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Draining {
    /// From the start of draining, with readiness off, until new connections are refused and the
    /// open ones are closed: the time in which a load balancer notices. Default 0.
    pub delay: Duration,
    /// The time over which WebSockets are closed, each at a random moment, so that clients do not
    /// all come back at once. What is no open WebSocket is told at once. Default 0: all at once.
    pub window: Duration,
    /// The code with which they are closed. Default 1001.
    pub code: DrainCode,
}

/// The close code of a server that drains.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum DrainCode {
    /// 1001, going away.
    #[default]
    GoingAway,
    /// 1012, service restart: the client may connect again.
    Restart,
}

impl DrainCode {
    pub(crate) const fn code(self) -> CloseCode {
        match self {
            Self::GoingAway => CloseCode::GOING_AWAY,
            Self::Restart => CloseCode::SERVICE_RESTART,
        }
    }

    /// The text of the close frame.
    pub(crate) const fn text(self) -> &'static str {
        match self {
            Self::GoingAway => "server is stopping",
            Self::Restart => "server restarts",
        }
    }
}
