//! One key that tokens are verified with.

use std::fmt;

use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind};
use pkcs1::RsaPublicKeyRef;
use spki::der::pem::decode_label;
use spki::der::{Decode, Document};
use spki::{ObjectIdentifier, SubjectPublicKeyInfoRef};

use crate::base::Work;

/// The least bytes of a secret: as many as its hash has (RFC 7518 section 3.2).
const MIN_SECRET: usize = 32;
/// How a text in PEM begins.
const BEGIN: &[u8] = b"-----BEGIN";
/// The bits of a key of RSA. More take long.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=4096;
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");
const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");

/// Why a key, or a file of keys, cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum KeyError {
    /// The secret is too short: its number of bytes.
    ShortSecret(usize),
    /// The secret is a text in PEM, such as a public key, which is known to others.
    PemSecret,
    /// It is no public key in PEM.
    Pem(String),
    /// It is a key of a kind that is not supported, or no key.
    Kind(&'static str),
    /// A key of RSA has so many bits.
    RsaBits(usize),
    /// It is no set of keys in JSON (RFC 7517).
    Jwks(&'static str),
    /// Too many keys of one algorithm would have to be tried.
    TooMany,
    /// A line of a file of API keys is wrong: its number, and the reason.
    Line(usize, String),
}

impl fmt::Display for KeyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ShortSecret(len) => write!(
                f,
                "the secret has {len} bytes; it needs {MIN_SECRET} at least, such as `openssl rand \
                 -hex 32` makes"
            ),
            Self::PemSecret => f.write_str(
                "it is a key or a certificate in PEM and no secret; a public key is for \
                 `--token-key`",
            ),
            Self::Pem(error) => write!(
                f,
                "it holds no public key in PEM, between BEGIN PUBLIC KEY and END PUBLIC KEY: \
                 {error}"
            ),
            Self::Kind(what) => write!(
                f,
                "{what}; keys may be RSA of 2048 to 4096 bits, ECDSA on P-256, and Ed25519"
            ),
            Self::RsaBits(bits) => {
                write!(f, "the key of RSA has {bits} bits; it may have 2048 to 4096")
            }
            Self::Jwks(error) => write!(f, "it is no JSON Web Key Set: {error}"),
            Self::TooMany => f.write_str(
                "there are more than 4 keys of one algorithm and the same kid, or without one",
            ),
            Self::Line(line, why) => write!(f, "line {line}: {why}"),
        }
    }
}

impl std::error::Error for KeyError {}

/// A key, and the one algorithm that it is for: a token that names another one is not verified with
/// it.
#[derive(Clone)]
pub(super) struct Key {
    pub(super) kid: Option<Box<str>>,
    pub(super) algorithm: Algorithm,
    pub(super) key: DecodingKey,
    /// The work of one signature.
    pub(super) work: u64,
}

/// Without the secret.
impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Key");
        debug.field("kid", &self.kid).field("algorithm", &self.algorithm).finish_non_exhaustive()
    }
}

impl Key {
    /// A secret of HS256.
    pub(super) fn secret(secret: &[u8]) -> Result<Self, KeyError> {
        let short = || KeyError::ShortSecret(secret.len());
        if secret.trim_ascii_start().starts_with(BEGIN) {
            return Err(KeyError::PemSecret);
        }
        if secret.len() < MIN_SECRET {
            return Err(short());
        }
        let key = DecodingKey::from_secret(secret).map_err(|_| short())?;
        Ok(Self { kid: None, algorithm: Algorithm::HS256, key, work: Work::HMAC })
    }

    /// A public key of RSA, of so many bytes with big ends.
    pub(super) fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<Self, KeyError> {
        let zeros = modulus.iter().take_while(|byte| **byte == 0).count();
        let modulus = modulus.get(zeros..).unwrap_or_default();
        let unused = modulus.first().map_or(0, |byte| byte.leading_zeros() as usize);
        let bits = modulus.len() * 8 - unused;
        if !RSA_BITS.contains(&bits) {
            return Err(KeyError::RsaBits(bits));
        }
        let key = DecodingKey::from_rsa_raw_components(modulus, exponent);
        Ok(Self { kid: None, algorithm: Algorithm::RS256, key, work: Work::of_rsa(bits) })
    }

    /// The same of a key that has such parts.
    pub(super) fn of_components(key: &DecodingKey) -> Result<Self, KeyError> {
        match key.kind() {
            DecodingKeyKind::RsaModulusExponent { n, e } => Self::rsa(n, e),
            DecodingKeyKind::SecretOrDer(_) => Err(KeyError::Kind("it is no key of RSA")),
        }
    }

    /// A point of P-256, not compressed.
    pub(super) fn p256(point: &[u8]) -> Result<Self, KeyError> {
        if point.len() != 65 || point.first() != Some(&4) {
            return Err(KeyError::Kind("it is no point of P-256"));
        }
        let key = DecodingKey::from_ec_der(point);
        Ok(Self { kid: None, algorithm: Algorithm::ES256, key, work: Work::SIGNATURE })
    }

    /// A public key of Ed25519.
    pub(super) fn ed25519(point: &[u8]) -> Result<Self, KeyError> {
        if point.len() != 32 {
            return Err(KeyError::Kind("it is no key of Ed25519"));
        }
        let key = DecodingKey::from_ed_der(point);
        Ok(Self { kid: None, algorithm: Algorithm::EdDSA, key, work: Work::SIGNATURE })
    }

    /// A public key in PEM: `PUBLIC KEY`, or `RSA PUBLIC KEY`.
    pub(super) fn pem(text: &[u8]) -> Result<Self, KeyError> {
        // The parser would find fault with the first byte.
        if !text.windows(BEGIN.len()).any(|part| part == BEGIN) {
            return Err(KeyError::Pem("no line begins with -----BEGIN".to_owned()));
        }
        let label = decode_label(text).map_err(|error| KeyError::Pem(error.to_string()))?;
        let of_kind = match label {
            "PUBLIC KEY" => Self::spki,
            "RSA PUBLIC KEY" => Self::pkcs1,
            label if label.ends_with("PRIVATE KEY") => {
                return Err(KeyError::Kind(
                    "it is a private key, which this server must not have: `openssl pkey -pubout` \
                     makes the public one",
                ));
            }
            "CERTIFICATE" => {
                return Err(KeyError::Kind(
                    "it is a certificate: `openssl x509 -noout -pubkey` makes its public key",
                ));
            }
            _ => return Err(KeyError::Kind("it is no public key")),
        };
        let text = str::from_utf8(text).map_err(|_| KeyError::Pem("it is not text".to_owned()))?;
        match Document::from_pem(text) {
            Ok((_, document)) => of_kind(document.as_bytes()),
            Err(error) => Err(KeyError::Pem(error.to_string())),
        }
    }

    fn spki(der: &[u8]) -> Result<Self, KeyError> {
        let malformed = KeyError::Kind("its content is malformed");
        let Ok(info) = SubjectPublicKeyInfoRef::from_der(der) else { return Err(malformed) };
        let bits = info.subject_public_key.as_bytes().ok_or(malformed)?;
        match info.algorithm.oid {
            RSA => Self::pkcs1(bits),
            EC if info.algorithm.parameters_oid() == Ok(P256) => Self::p256(bits),
            EC => Err(KeyError::Kind("it is a key on another curve than P-256")),
            ED25519 => Self::ed25519(bits),
            _ => Err(KeyError::Kind("it is a key of another algorithm")),
        }
    }

    fn pkcs1(der: &[u8]) -> Result<Self, KeyError> {
        let key = RsaPublicKeyRef::from_der(der);
        let key = key.map_err(|_| KeyError::Kind("its content is malformed"))?;
        Self::rsa(key.modulus.as_bytes(), key.public_exponent.as_bytes())
    }
}
