//! The client's nonce (RFC 6455 section 4.1, item 7).

use base64::{Engine, engine::general_purpose::STANDARD};

/// The length of a `Sec-WebSocket-Key` value: base64 of 16 bytes.
const KEY_LEN: usize = 24;

/// A `Sec-WebSocket-Key`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKey([u8; KEY_LEN]);

impl ClientKey {
    /// The key for a nonce, which must be random and fresh for each connection.
    #[must_use]
    pub fn new(nonce: [u8; 16]) -> Self {
        let mut key = [b'='; KEY_LEN];
        let written = STANDARD.encode_slice(nonce, &mut key);
        debug_assert!(matches!(written, Ok(KEY_LEN)), "16 bytes make 24 characters");
        Self(key)
    }

    /// The value of the header.
    #[must_use]
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}
