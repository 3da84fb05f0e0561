//! Rules as pure codecs. Nothing here knows a socket, a clock or a thread.

pub mod websocket;
