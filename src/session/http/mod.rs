//! The HTTP requests that every connection begins with.
//!
//! `request.rs` takes heads and bodies out of what is received, one after the other. A plain
//! request is answered by the service, and another one may follow (`plain.rs`). An opening
//! handshake makes a WebSocket of the connection (`upgrade.rs`). Then nothing of this folder is
//! left: what a request needs is in the connection's box for rare state, and that is free.

mod plain;
mod request;
mod upgrade;
