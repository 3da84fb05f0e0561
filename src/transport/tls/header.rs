//! Headers of records after the handshake, and what is behind the content of a record (RFC 8446
//! sections 5.1, 5.2 and 5.4, RFC 5246 section 6.2).

use rustls::AlertDescription as Alert;

use super::fault::Fault;
use super::keys::{Suite, TAG, Version};

pub(super) const HEADER: usize = 5;
/// The most plain bytes of a record.
pub(super) const MOST: usize = 1 << 14;

pub(super) const CHANGE_CIPHER_SPEC: u8 = 20;
pub(super) const ALERT: u8 = 21;
pub(super) const HANDSHAKE: u8 = 22;
pub(super) const DATA: u8 = 23;

/// The header of an encrypted record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) kind: u8,
    /// The bytes behind the header.
    pub(super) len: usize,
}

impl Header {
    /// Reads it from the front of `bytes`; `None` if it is not complete.
    pub(super) fn read(suite: Suite, bytes: &[u8]) -> Result<Option<Self>, Fault> {
        let Some(&[kind, major, minor, high, low]) = bytes.first_chunk() else { return Ok(None) };
        let len = usize::from(u16::from_be_bytes([high, low]));
        let (is_kind, most) = match suite.version {
            // A change_cipher_spec was for middleboxes, and is over with the handshake.
            Version::Tls13 => (kind == DATA, MOST + 256),
            Version::Tls12 => (matches!(kind, ALERT | HANDSHAKE | DATA), MOST + 2048),
        };
        if !is_kind {
            return Err(Fault::Records(Alert::UnexpectedMessage, "a record of a wrong type"));
        }
        if [major, minor] != [3, 3] {
            return Err(Fault::Records(Alert::DecodeError, "a record of a wrong version"));
        }
        if len > most {
            return Err(Fault::Records(Alert::RecordOverflow, "a record is too long"));
        }
        if len < suite.explicit() + TAG {
            return Err(Fault::Records(Alert::BadRecordMac, "a record is too short"));
        }
        Ok(Some(Self { kind, len }))
    }
}

/// Finds the type and the length of the content in what was encrypted with TLS 1.3, which ends with
/// the type and zeros.
pub(super) fn unpad(inner: &[u8]) -> Result<(u8, usize), Fault> {
    let Some(at) = inner.iter().rposition(|&byte| byte != 0) else {
        return Err(Fault::Records(Alert::UnexpectedMessage, "a record is nothing but padding"));
    };
    let kind = inner.get(at).copied().unwrap_or_default();
    if inner.len() > MOST + 1 {
        return Err(Fault::Records(Alert::RecordOverflow, "a record is too long"));
    }
    Ok((kind, at))
}
