//! The PROXY protocol, versions 1 and 2 (the specification is `doc/proxy-protocol.txt` of HAProxy,
//! cited by its sections): a header before the first byte of a connection, with which a proxy says
//! for whom it connects. Sans-IO.
//!
//! The caller passes all that was received so far to [`parse`] until it returns a header or an
//! error. Nothing but a header is accepted: whether a connection begins with one is not guessed,
//! because anybody could send one then (section 2).

mod error;
#[cfg(test)]
mod tests;
mod v1;
mod v2;

use std::net::SocketAddr;

pub use error::ProxyError;

/// The longest header that is accepted. One of version 1 has at most 107 bytes; one of version 2
/// may declare up to 65,551, of which addresses take at most 232 and the rest is extensions.
pub const MAX_HEADER: usize = 4096;

/// What a header says about a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The proxy connects for itself, as for a health check (`LOCAL`): the addresses of the
    /// connection count.
    Local,
    /// The proxy does not say for whom it connects (`UNKNOWN`, `UNSPEC`).
    Unknown,
    /// It connects for a client of TCP.
    Tcp {
        /// The address of the client.
        source: SocketAddr,
        /// The address that the client connected to.
        destination: SocketAddr,
    },
    /// It connects for a client of a Unix-domain socket, which has no address.
    Unix,
}

/// Reads the header at the beginning of `bytes`, all that was received so far. Returns it with its
/// length; what is behind it belongs to the connection. `None`: more is needed.
///
/// # Errors
/// As soon as the bytes cannot be the beginning of a header, and also if more bytes follow.
pub fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProxyError> {
    match bytes.first() {
        None => Ok(None),
        Some(b'P') => v1::parse(bytes),
        Some(b'\r') => v2::parse(bytes),
        Some(_) => Err(ProxyError::NoHeader),
    }
}

/// Whether `bytes` begin as a header of version 1 does. One of version 2 begins with two empty
/// lines, after which an HTTP request is refused before the rest of the header is there.
#[must_use]
pub fn is_v1_header(bytes: &[u8]) -> bool {
    bytes.starts_with(v1::START)
}

/// Compares `bytes` with what they have to begin with, as far as they have come. Returns whether
/// all of it is there.
fn begins_with(bytes: &[u8], start: &[u8]) -> Result<bool, ProxyError> {
    let is_equal = bytes.iter().zip(start).all(|(one, other)| one == other);
    if is_equal { Ok(bytes.len() >= start.len()) } else { Err(ProxyError::NoHeader) }
}
