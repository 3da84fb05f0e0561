//! All keys of a server.

use jsonwebtoken::Algorithm;

use super::api_keys::ApiKeys;
use super::jwks;
use super::key::{Key, KeyError};

/// How many keys are tried for one token: those of its algorithm and its `kid`.
const TRIED: usize = 4;

/// The keys that tokens are verified with, and the API keys.
///
/// A key is for one algorithm: a secret for HS256, a key of RSA for RS256, one on P-256 for ES256,
/// one of Ed25519 for EdDSA.
#[derive(Clone, Debug, Default)]
pub struct Keys {
    keys: Vec<Key>,
    pub(super) api: ApiKeys,
}

impl Keys {
    /// Adds a secret of HS256 with at least 32 bytes. A line feed at its end, as editors leave it,
    /// is no part of it.
    ///
    /// # Errors
    /// If it is too short, or a text in PEM, or there are too many.
    pub fn secret(self, secret: &[u8]) -> Result<Self, KeyError> {
        let secret = secret.strip_suffix(b"\n").unwrap_or(secret);
        let key = Key::secret(secret.strip_suffix(b"\r").unwrap_or(secret))?;
        self.add(vec![key])
    }

    /// Adds a public key in PEM: of RSA with 2048 to 4096 bits, of P-256, or of Ed25519. It is for
    /// tokens with any `kid`, and without one.
    ///
    /// # Errors
    /// If it is none of these, or there are too many.
    pub fn public_pem(self, pem: &[u8]) -> Result<Self, KeyError> {
        self.add(vec![Key::pem(pem)?])
    }

    /// Adds the keys of a JSON Web Key Set (RFC 7517). One with a `kid` is for tokens that name it.
    /// Keys for other purposes are left out.
    ///
    /// # Errors
    /// If it is no such set, holds no key that can be used, or there are too many.
    pub fn jwks(self, json: &[u8]) -> Result<Self, KeyError> {
        self.add(jwks::parse(json)?)
    }

    /// Adds API keys, one in each line: the name of the user, `sha256=` and the SHA-256 of the key
    /// in hexadecimal, and any number of `publish=` and `subscribe=` with a filter, in which
    /// `{sub}` is the name. They are separated by white space. Lines that begin with `#` are
    /// comments.
    ///
    /// # Errors
    /// The first line that is wrong.
    pub fn api_keys(mut self, lines: &str) -> Result<Self, KeyError> {
        self.api.add(lines)?;
        Ok(self)
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty() && self.api.is_empty()
    }

    /// Whether there are keys for tokens.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// Whether a key is for this algorithm.
    pub(super) fn know(&self, algorithm: Algorithm) -> bool {
        self.keys.iter().any(|key| key.algorithm == algorithm)
    }

    /// The keys for a token: those of its algorithm that have its `kid`; if none has, those without
    /// one.
    pub(super) fn of<'k>(
        &'k self,
        algorithm: Algorithm,
        kid: Option<&'k str>,
    ) -> impl Iterator<Item = &'k Key> {
        let of_kid = move |kid: Option<&'k str>| {
            let fits = move |key: &&Key| key.algorithm == algorithm && key.kid.as_deref() == kid;
            self.keys.iter().filter(fits)
        };
        let is_named = of_kid(kid).next().is_some();
        of_kid(kid.filter(|_| is_named))
    }

    fn add(mut self, keys: Vec<Key>) -> Result<Self, KeyError> {
        self.keys.extend(keys);
        let is_too_many = |key: &Key| {
            let same = |other: &&Key| other.algorithm == key.algorithm && other.kid == key.kid;
            self.keys.iter().filter(same).count() > TRIED
        };
        if self.keys.iter().any(is_too_many) {
            return Err(KeyError::TooMany);
        }
        Ok(self)
    }
}
