//! The proof that a server has read the client's key (RFC 6455 section 4.2.2, item 5.4).

use base64::{Engine, engine::general_purpose::STANDARD};
use sha1::{Digest, Sha1};

/// The text that RFC 6455 section 1.3 has every server append to the key.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// The length of a `Sec-WebSocket-Accept` value: base64 of the 20 bytes of a SHA-1 digest.
pub const ACCEPT_LEN: usize = 28;

/// The `Sec-WebSocket-Accept` value that answers `key`, in ASCII.
///
/// The key is used as sent, not decoded (RFC 6455 section 1.3).
#[must_use]
pub fn accept_key(key: &str) -> [u8; ACCEPT_LEN] {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut answer = [b'='; ACCEPT_LEN];
    let written = STANDARD.encode_slice(digest, &mut answer);
    debug_assert!(matches!(written, Ok(ACCEPT_LEN)), "20 bytes make 28 characters");
    answer
}
