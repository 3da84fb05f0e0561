//! TLS: the settings, and the state of one connection, sans-IO, by rustls.

mod names;
mod session;
mod settings;
#[cfg(test)]
mod tests;

pub(super) use session::{Exhausted, Taken, TlsSession};
pub(super) use settings::Current;
pub use settings::{Certificates, Tls, TlsError};
