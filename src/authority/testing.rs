//! For tests: tokens of HS256, made here, and tokens and keys of another implementation.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::hmac;

/// A file of `tests/vectors/tokens`.
macro_rules! vector {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/vectors/tokens/", $name))
    };
}
pub(crate) use vector;

/// The secret of [`token`].
pub(crate) const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";

/// A token of HS256 with these claims.
pub(crate) fn token(claims: &str) -> String {
    signed(r#"{"alg":"HS256"}"#, claims, SECRET)
}

/// A token with this header, signed by HMAC.
pub(crate) fn signed(header: &str, claims: &str, secret: &[u8]) -> String {
    let [header, claims] = [header, claims].map(|part| URL_SAFE_NO_PAD.encode(part));
    let message = format!("{header}.{claims}");
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, secret), message.as_bytes());
    format!("{message}.{}", URL_SAFE_NO_PAD.encode(tag))
}
