//! Sets of keys in JSON (RFC 7517).

use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, JwkSet, KeyAlgorithm, KeyOperations, PublicKeyUse,
};

use serde_json::error::Category;

use super::key::{Key, KeyError};

/// The keys of a set that tokens can be verified with. Others are left out: a set may have keys for
/// encryption, and of algorithms that are not supported.
///
/// # Errors
/// If it is no set, none of its keys can be used, or one that could be is malformed.
pub(super) fn parse(text: &[u8]) -> Result<Vec<Key>, KeyError> {
    let set: JwkSet =
        serde_json::from_slice(text).map_err(|error| KeyError::Jwks(fault(&error)))?;
    let keys: Vec<Key> =
        set.keys.iter().filter_map(|jwk| of_jwk(jwk).transpose()).collect::<Result<_, _>>()?;
    match keys.is_empty() {
        true => Err(KeyError::Kind("no key of the set can be used")),
        false => Ok(keys),
    }
}

/// What is wrong, without anything of what is there: it may be a secret in a wrong place.
fn fault(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        Category::Data => {
            "it has to be an object with a list `keys`, each with its `kty` and what belongs to it"
        }
        _ => "it is not JSON",
    }
}

/// The key; `None` if it is for something else.
fn of_jwk(jwk: &Jwk) -> Result<Option<Key>, KeyError> {
    let common = &jwk.common;
    let is_to_verify = match (&common.public_key_use, &common.key_operations) {
        (Some(of), _) => *of == PublicKeyUse::Signature,
        (None, Some(operations)) => operations.contains(&KeyOperations::Verify),
        (None, None) => true,
    };
    let algorithm = match &jwk.algorithm {
        AlgorithmParameters::RSA(_) => KeyAlgorithm::RS256,
        AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => {
            KeyAlgorithm::ES256
        }
        AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
            KeyAlgorithm::EdDSA
        }
        AlgorithmParameters::OctetKey(_) => KeyAlgorithm::HS256,
        _ => return Ok(None),
    };
    if !is_to_verify || common.key_algorithm.is_some_and(|named| named != algorithm) {
        return Ok(None);
    }
    let malformed = |_| KeyError::Kind("a key of the set is malformed");
    let key = DecodingKey::from_jwk(jwk).map_err(malformed)?;
    let bytes = || key.try_get_as_bytes().map_err(malformed);
    let key = match algorithm {
        KeyAlgorithm::RS256 => Key::of_components(&key),
        KeyAlgorithm::ES256 => Key::p256(bytes()?),
        KeyAlgorithm::EdDSA => Key::ed25519(bytes()?),
        _ => Key::secret(bytes()?),
    }?;
    Ok(Some(Key { kid: common.key_id.as_deref().map(Into::into), ..key }))
}
