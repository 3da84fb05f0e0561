//! The rules of the wire as pure codecs: bytes in, values or bytes out. Nothing here knows a
//! socket, a clock or a thread.
//!
//! [`websocket`] uses [`http`] for its opening handshake; [`http`] knows nothing of WebSocket.

pub mod http;
pub mod json;
pub mod proxy;
pub mod websocket;
