//! The request before the WebSocket.

pub(super) mod opening;
