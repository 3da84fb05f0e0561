//! TLS: the settings, and the state of one connection, sans-IO. rustls does the handshake; the
//! records after it are of this module, with the ciphers of ring.

mod fault;
mod handshake;
mod header;
mod keyring;
mod keys;
mod messages;
mod names;
mod records;
mod secrets;
mod session;
mod settings;
#[cfg(test)]
mod tests;

pub(super) use fault::{Exhausted, Taken};
pub(super) use keyring::Keyring;
pub(super) use session::TlsSession;
pub(super) use settings::Current;
pub use settings::{Certificates, Tls, TlsError, Validity};
