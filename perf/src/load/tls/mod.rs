//! TLS of the load: handshakes by rustls, and then a record layer of its own.

mod client;
mod connection;
mod records;
mod settings;

pub(super) use self::client::Client;
pub(super) use self::connection::Connection;
pub(super) use self::records::Records;
pub(super) use self::settings::{Tickets, settings};

/// How a load uses TLS.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// Echo: each message in a record of its own, and not all that are sent together in one.
    pub apart: bool,
    /// Handshakes: sessions are resumed.
    pub resume: bool,
}
