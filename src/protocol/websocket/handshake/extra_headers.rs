//! Headers that an application adds to a handshake.

use crate::protocol::http::{HeaderError, HeaderList};

/// Headers that the handshake itself writes, or that a message without a body must not have.
const RESERVED: [&str; 6] =
    ["connection", "content-length", "host", "origin", "transfer-encoding", "upgrade"];
const RESERVED_PREFIX: &str = "sec-websocket-";

/// Headers that an application adds to the 101 of a server, or to the request of a client, such as
/// Set-Cookie or Authorization.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraHeaders(HeaderList);

impl ExtraHeaders {
    /// No headers.
    #[must_use]
    pub const fn new() -> Self {
        Self(HeaderList::new())
    }

    /// Appends a line. White space around the value is dropped; a name may be repeated.
    ///
    /// # Errors
    /// [`HeaderError::Name`] and [`HeaderError::Value`] for text that would not stay a single
    /// header line, such as a value with CR or LF; [`HeaderError::Reserved`] for the headers of the
    /// handshake: Connection, Content-Length, Host, Origin, Transfer-Encoding, Upgrade and all that
    /// begin with `Sec-WebSocket-`. The list is then unchanged.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> Result<(), HeaderError> {
        let prefix = name.get(..RESERVED_PREFIX.len());
        let reserved = prefix.is_some_and(|start| start.eq_ignore_ascii_case(RESERVED_PREFIX))
            || RESERVED.iter().any(|reserved| name.eq_ignore_ascii_case(reserved));
        if reserved {
            return Err(HeaderError::Reserved);
        }
        self.0.push(name, value)
    }

    /// The lines.
    #[must_use]
    pub const fn list(&self) -> &HeaderList {
        &self.0
    }
}
