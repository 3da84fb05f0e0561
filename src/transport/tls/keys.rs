//! The keys of one direction of a connection, and what protects its records (RFC 8446 sections 5.2
//! and 7, RFC 5288 section 3, RFC 7905 section 2).

use ring::aead::{
    AES_128_GCM, AES_256_GCM, Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, Tag,
    UnboundKey,
};
use ring::hkdf::{HKDF_SHA256, HKDF_SHA384, KeyType, Prk};
use rustls::ConnectionTrafficSecrets;
use zeroize::Zeroize;

/// The part of a nonce that each record of AES-GCM in TLS 1.2 has with it.
pub(super) const EXPLICIT: usize = 8;
/// The tag of a record.
pub(super) const TAG: usize = 16;
const MAX_KEY: usize = 32;
const MAX_SECRET: usize = 48;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    Tls12,
    Tls13,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cipher {
    Aes128,
    Aes256,
    ChaCha20,
}

impl Cipher {
    const fn key_len(self) -> usize {
        match self {
            Self::Aes128 => 16,
            Self::Aes256 | Self::ChaCha20 => 32,
        }
    }

    /// The length of the hash that goes with it in TLS 1.3.
    const fn hash_len(self) -> usize {
        match self {
            Self::Aes128 | Self::ChaCha20 => 32,
            Self::Aes256 => MAX_SECRET,
        }
    }
}

/// The version and the cipher of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Suite {
    pub(super) version: Version,
    pub(super) cipher: Cipher,
}

impl Suite {
    /// The bytes before the ciphertext of a record.
    pub(super) const fn explicit(self) -> usize {
        match (self.version, self.cipher) {
            (Version::Tls12, Cipher::Aes128 | Cipher::Aes256) => EXPLICIT,
            _ => 0,
        }
    }

    /// The bytes of a record that are authenticated but not encrypted. `len` is that of the
    /// ciphertext without its tag.
    pub(super) fn additional(self, seq: u64, kind: u8, len: usize) -> Additional {
        let mut bytes = [0; 13];
        // Two bytes each: no record is longer.
        let ([.., high, low], [.., tagged_high, tagged_low]) =
            (len.to_be_bytes(), (len + TAG).to_be_bytes());
        match self.version {
            Version::Tls13 => {
                bytes[..5].copy_from_slice(&[23, 3, 3, tagged_high, tagged_low]);
                Additional { bytes, len: 5 }
            }
            Version::Tls12 => {
                bytes[..8].copy_from_slice(&seq.to_be_bytes());
                bytes[8..].copy_from_slice(&[kind, 3, 3, high, low]);
                Additional { bytes, len: 13 }
            }
        }
    }
}

pub(super) struct Additional {
    bytes: [u8; 13],
    len: usize,
}

impl AsRef<[u8]> for Additional {
    #[inline]
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

/// The traffic secret of a direction in TLS 1.3, from which its keys are made, and the next secret.
#[derive(Clone)]
pub(super) struct Secret([u8; MAX_SECRET]);

impl Secret {
    pub(super) const NONE: Self = Self([0; MAX_SECRET]);

    /// `None` if it is longer than those of any suite.
    pub(super) fn new(bytes: &[u8]) -> Option<Self> {
        let mut secret = Self::NONE;
        secret.0.get_mut(..bytes.len())?.copy_from_slice(bytes);
        Some(secret)
    }

    /// HKDF-Expand-Label without a context (RFC 8446 section 7.1).
    fn expand(&self, cipher: Cipher, label: &[u8], out: &mut [u8]) -> Option<()> {
        let hash = if cipher == Cipher::Aes256 { HKDF_SHA384 } else { HKDF_SHA256 };
        let prefix = b"tls13 ";
        let len = u16::try_from(out.len()).ok()?.to_be_bytes();
        let label_len = [u8::try_from(prefix.len() + label.len()).ok()?];
        let info: [&[u8]; 5] = [&len, &label_len, prefix, label, &[0]];
        let secret = Prk::new_less_safe(hash, self.0.get(..cipher.hash_len())?);
        let okm = secret.expand(&info, Len(out.len())).ok()?;
        okm.fill(out).ok()
    }
}

impl Secret {
    /// Overwrites it where it is: what is moved leaves its bytes behind.
    pub(super) fn wipe(&mut self) {
        self.0.zeroize();
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.wipe();
    }
}

struct Len(usize);

impl KeyType for Len {
    fn len(&self) -> usize {
        self.0
    }
}

/// What protects the records of one direction. The expanded form of the key is several times as
/// large and is in a [`Keyring`](super::keyring::Keyring).
pub(super) struct Half {
    key: [u8; MAX_KEY],
    iv: [u8; NONCE_LEN],
    secret: Secret,
    /// The number of the next record.
    pub(super) seq: u64,
}

impl Half {
    /// Keys that a handshake has led to; the secret is that of TLS 1.3. `None` if the keys are of
    /// a kind that is not known, or the secret is not theirs.
    pub(super) fn new(
        version: Version,
        (seq, keys): (u64, &ConnectionTrafficSecrets),
        secret: Option<&Secret>,
    ) -> Option<(Self, Cipher)> {
        let (cipher, key, iv) = match keys {
            ConnectionTrafficSecrets::Aes128Gcm { key, iv } => (Cipher::Aes128, key, iv),
            ConnectionTrafficSecrets::Aes256Gcm { key, iv } => (Cipher::Aes256, key, iv),
            ConnectionTrafficSecrets::Chacha20Poly1305 { key, iv } => (Cipher::ChaCha20, key, iv),
            _ => return None,
        };
        let mut half = Self { key: [0; 32], iv: [0; NONCE_LEN], secret: Secret::NONE, seq };
        if key.as_ref().len() != cipher.key_len() || iv.as_ref().len() != NONCE_LEN {
            return None;
        }
        half.key.get_mut(..cipher.key_len())?.copy_from_slice(key.as_ref());
        half.iv.copy_from_slice(iv.as_ref());
        if version == Version::Tls13 {
            half.secret = secret?.clone();
            let made = half.of_secret(cipher)?;
            if made.key != half.key || made.iv != half.iv {
                return None;
            }
        }
        Some((half, cipher))
    }

    /// Overwrites the keys where they are.
    pub(super) fn wipe(&mut self) {
        self.key.zeroize();
        self.iv.zeroize();
        self.secret.wipe();
    }

    /// The keys of its secret, from the first record on.
    fn of_secret(&self, cipher: Cipher) -> Option<Self> {
        Self::of(self.secret.clone(), cipher)
    }

    /// The keys of a secret, from the first record on.
    pub(super) fn of(secret: Secret, cipher: Cipher) -> Option<Self> {
        let mut made = Self { key: [0; MAX_KEY], iv: [0; NONCE_LEN], secret, seq: 0 };
        let Self { key, iv, secret, .. } = &mut made;
        secret.expand(cipher, b"key", key.get_mut(..cipher.key_len())?)?;
        secret.expand(cipher, b"iv", iv)?;
        Some(made)
    }

    /// Goes on to the next keys (RFC 8446 section 7.2).
    pub(super) fn update(&mut self, cipher: Cipher) -> Option<()> {
        let mut next = Secret::NONE;
        let len = cipher.hash_len();
        self.secret.expand(cipher, b"traffic upd", next.0.get_mut(..len)?)?;
        self.secret = next;
        *self = self.of_secret(cipher)?;
        Some(())
    }

    /// The expanded form of the key.
    pub(super) fn expanded(&self, cipher: Cipher) -> Option<LessSafeKey> {
        let algorithm = match cipher {
            Cipher::Aes128 => &AES_128_GCM,
            Cipher::Aes256 => &AES_256_GCM,
            Cipher::ChaCha20 => &CHACHA20_POLY1305,
        };
        let key = UnboundKey::new(algorithm, self.key.get(..cipher.key_len())?).ok()?;
        Some(LessSafeKey::new(key))
    }

    /// The nonce of the next record.
    #[inline]
    pub(super) fn nonce(&self) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        for (byte, seq) in nonce.iter_mut().skip(4).zip(self.seq.to_be_bytes()) {
            *byte ^= seq;
        }
        nonce
    }

    /// The nonce of a record that has a part of it with it.
    #[inline]
    pub(super) fn nonce_with(&self, explicit: [u8; EXPLICIT]) -> [u8; NONCE_LEN] {
        let mut nonce = self.iv;
        nonce[4..].copy_from_slice(&explicit);
        nonce
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.wipe();
    }
}

/// Decrypts what is in `bytes` from `from` on, to the start of `bytes`. Returns its length.
#[inline]
pub(super) fn open(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    additional: &Additional,
    bytes: &mut [u8],
    from: usize,
) -> Option<usize> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    let plain = key.open_within(nonce, Aad::from(additional.as_ref()), bytes, from..).ok()?;
    Some(plain.len())
}

/// Encrypts `bytes` where they are. The nonce must be that of no other record.
#[inline]
pub(super) fn seal(
    key: &LessSafeKey,
    nonce: [u8; NONCE_LEN],
    additional: &Additional,
    bytes: &mut [u8],
) -> Option<Tag> {
    let nonce = Nonce::assume_unique_for_key(nonce);
    key.seal_in_place_separate_tag(nonce, Aad::from(additional.as_ref()), bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::super::secrets::Secrets;
    use super::*;

    #[test]
    fn keys_and_secrets_are_overwritten_where_they_are() {
        let of = |bytes: &[u8]| Secret::new(bytes);
        let (client, server, handshake) = (of(&[7; 32]), of(&[9; 48]), of(&[5; 32]));
        let mut secrets = Secrets { client, server, handshake };
        let taken = secrets.take();
        let bytes = |secret: &Option<Secret>| secret.as_ref().unwrap().0;
        assert_eq!((bytes(&taken.client)[31], bytes(&taken.server)[47]), (7, 9));
        for left in [&secrets.client, &secrets.server, &secrets.handshake] {
            assert_eq!(bytes(left), [0; MAX_SECRET]);
        }
        let secret = taken.client.clone().unwrap();
        let mut half = Half { key: [1; MAX_KEY], iv: [2; NONCE_LEN], secret, seq: 3 };
        half.wipe();
        assert_eq!((half.key, half.iv, half.secret.0), ([0; 32], [0; 12], [0; MAX_SECRET]));
    }
}
