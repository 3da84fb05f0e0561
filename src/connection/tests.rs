//! Connections without sockets.
