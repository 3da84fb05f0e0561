//! The server's side of the opening handshake (RFC 6455 section 4), without sockets or clocks.
//!
//! The caller appends what it receives to a buffer and shows the whole of it to a
//! [`HeadScanner`] after each read. When the scanner reports the length of the head, [`parse`]
//! turns those bytes into a [`Request`] that borrows from them; [`negotiate::deflate`] picks the
//! compression parameters and [`response::write_accepted`] writes the 101. Every fault is a
//! [`Rejection`], which knows its HTTP status and writes its own answer; the connection is to be
//! closed after it.
//!
//! What may not follow: a client has to wait for the 101 before its first frame (RFC 6455
//! section 4.1), so bytes already received behind the head mean that some proxy and this server
//! could disagree on where the request ends. The caller refuses them with
//! [`Rejection::EarlyData`].

pub mod accept_key;
mod extensions;
mod fields;
pub mod negotiate;
mod origin;
pub mod rejection;
pub mod request;
pub mod response;
pub mod scanner;
mod syntax;
mod target;
#[cfg(test)]
mod tests;

pub use accept_key::accept_key;
pub use fields::{Headers, Protocols, Values};
pub use negotiate::{Agreement, DeflatePolicy};
pub use origin::{Origin, OriginError, Origins};
pub use rejection::{Refusal, Rejection};
pub use request::{Parsed, Request, parse};
pub use scanner::HeadScanner;

/// The largest number of header lines any [`HeadLimits`] can allow.
pub const HARD_MAX_HEADERS: usize = 256;

/// Bounds on the head of a request: the request line, the header lines and the empty line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeadLimits {
    /// Longest head accepted, in bytes, the closing empty line included. Default 8192.
    pub max_bytes: usize,
    /// Most header lines accepted. Default 64; above [`HARD_MAX_HEADERS`] it counts as that.
    pub max_headers: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self { max_bytes: 8192, max_headers: 64 }
    }
}

impl HeadLimits {
    /// The number of header lines really allowed.
    pub(crate) fn header_lines(&self) -> usize {
        self.max_headers.min(HARD_MAX_HEADERS)
    }
}
