//! The record layer of TLS 1.3 (RFC 8446 section 5) after the handshake, without allocations: the
//! load must cost less than the server.

use std::io;

use ring::aead::{AES_128_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use rustls::{ConnectionTrafficSecrets, ExtractedSecrets};

/// The length of a record's header, and of its tag.
const HEADER: usize = 5;
const TAG: usize = 16;

/// The most content of one record.
const MOST: usize = 1 << 14;

/// The most bytes of a record: header, content, padding and tag.
pub(in crate::load) const LONGEST: usize = HEADER + MOST + 256;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;

/// The type of a handshake message that holds a session ticket.
const TICKET: u8 = 4;
const CLOSE_NOTIFY: u8 = 0;

/// The keys of one direction.
#[derive(Debug)]
struct Half {
    key: LessSafeKey,
    iv: [u8; 12],
    /// The number of the next record.
    next: u64,
}

impl Half {
    fn new((next, secrets): (u64, ConnectionTrafficSecrets)) -> io::Result<Self> {
        let ConnectionTrafficSecrets::Aes128Gcm { key, iv } = secrets else {
            return Err(io::Error::other("another cipher suite was agreed than was offered"));
        };
        let unusable = |_| io::Error::other("the keys cannot be used");
        let key = UnboundKey::new(&AES_128_GCM, key.as_ref()).map_err(unusable)?;
        let iv = iv.as_ref().try_into().map_err(io::Error::other)?;
        Ok(Self { key: LessSafeKey::new(key), iv, next })
    }

    fn nonce(&mut self) -> Nonce {
        let mut nonce = self.iv;
        for (byte, number) in nonce[4..].iter_mut().zip(self.next.to_be_bytes()) {
            *byte ^= number;
        }
        self.next += 1;
        Nonce::assume_unique_for_key(nonce)
    }
}

/// Both directions of a connection.
#[derive(Debug)]
pub(in crate::load) struct Records {
    out: Half,
    input: Half,
    /// Received bytes that are not handled: less than a record between calls.
    came: Vec<u8>,
}

impl Records {
    /// Goes on after a handshake; `came` was received after what the handshake has used.
    pub(super) fn new(secrets: ExtractedSecrets, came: Vec<u8>) -> io::Result<Self> {
        Ok(Self { out: Half::new(secrets.tx)?, input: Half::new(secrets.rx)?, came })
    }

    /// Appends the records for `bytes` to `to`, each with at most `most` bytes.
    pub(in crate::load) fn seal(&mut self, bytes: &[u8], most: usize, to: &mut Vec<u8>) {
        for part in bytes.chunks(most.clamp(1, MOST)) {
            let length = u16::try_from(part.len() + 1 + TAG).unwrap_or(u16::MAX).to_be_bytes();
            let header = [DATA, 3, 3, length[0], length[1]];
            to.extend_from_slice(&header);
            let begin = to.len();
            to.extend_from_slice(part);
            to.push(DATA);
            let nonce = self.out.nonce();
            let sealed =
                self.out.key.seal_in_place_separate_tag(nonce, Aad::from(header), &mut to[begin..]);
            // It fails only for content of gigabytes.
            if let Ok(tag) = sealed {
                to.extend_from_slice(tag.as_ref());
            }
        }
    }

    /// Takes received bytes; `open` handles them.
    pub(in crate::load) fn received(&mut self, bytes: &[u8]) {
        self.came.extend_from_slice(bytes);
    }

    /// Handles all whole records; `take` is called with the content of each record of data.
    pub(in crate::load) fn open(
        &mut self,
        take: &mut dyn FnMut(&[u8]) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut at = 0;
        while let Some(length) = whole(&self.came[at..]) {
            let (header, rest) = self.came[at..at + length].split_at_mut(HEADER);
            let aad = Aad::from([header[0], header[1], header[2], header[3], header[4]]);
            let nonce = self.input.nonce();
            let content = self.input.key.open_in_place(nonce, aad, rest);
            let content = content.map_err(|_| io::Error::other("a record cannot be decrypted"))?;
            // Zeros after the type are padding.
            let end = content.iter().rposition(|byte| *byte != 0);
            match end.map(|end| (content[end], &content[..end])) {
                Some((DATA, data)) => take(data)?,
                Some((HANDSHAKE, [TICKET, ..])) | Some((ALERT, [_, CLOSE_NOTIFY])) => {}
                Some((HANDSHAKE, _)) => {
                    let text = "the server updates its keys, which this load cannot: a run is to \
                                be shorter";
                    return Err(io::Error::other(text));
                }
                other => {
                    return Err(io::Error::other(format!("the server sent a record of {other:?}")));
                }
            }
            at += length;
        }
        self.came.drain(..at);
        Ok(())
    }

    /// Releases the memory of a connection that is held for long, if it is not in use.
    pub(super) fn shrink(&mut self) {
        if self.came.is_empty() {
            self.came = Vec::new();
        }
    }
}

/// The length of the record at the begin of `bytes`, if all of it is there.
pub(super) fn whole(bytes: &[u8]) -> Option<usize> {
    let [_, _, _, high, low, ..] = bytes else { return None };
    let length = HEADER + usize::from(u16::from_be_bytes([*high, *low]));
    (length <= bytes.len()).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A connection to itself.
    fn records() -> Records {
        let half = || {
            let key = UnboundKey::new(&AES_128_GCM, &[7; 16]).unwrap();
            Half { key: LessSafeKey::new(key), iv: [3; 12], next: 258 }
        };
        Records { out: half(), input: half(), came: Vec::new() }
    }

    /// The content of `wire`, received in pieces of `step` bytes.
    fn opened(records: &mut Records, wire: &[u8], step: usize) -> io::Result<Vec<u8>> {
        let mut content = Vec::new();
        for piece in wire.chunks(step) {
            records.received(piece);
            records.open(&mut |data| {
                content.extend_from_slice(data);
                Ok(())
            })?;
        }
        Ok(content)
    }

    #[test]
    fn content_survives_wherever_records_are_cut() {
        let content: Vec<u8> = (0..40_000).map(|_| fastrand::u8(..)).collect();
        for most in [usize::MAX, 1000] {
            for step in [1, 7, 5000, usize::MAX] {
                let (mut records, mut wire) = (records(), Vec::new());
                records.seal(&content, most, &mut wire);
                let count = content.len().div_ceil(most.min(MOST));
                assert_eq!(wire.len(), content.len() + count * (HEADER + 1 + TAG));
                assert!(opened(&mut records, &wire, step).unwrap() == content);
                assert!(records.came.is_empty());
            }
        }
    }

    #[test]
    fn a_changed_or_repeated_record_is_refused() {
        let mut wire = Vec::new();
        records().seal(b"content", 100, &mut wire);
        for at in [0, HEADER, wire.len() - 1] {
            let mut changed = wire.clone();
            changed[at] ^= 1;
            assert!(opened(&mut records(), &changed, 100).is_err(), "byte {at}");
        }
        let mut twice = records();
        assert_eq!(opened(&mut twice, &wire, 100).unwrap(), b"content");
        assert!(opened(&mut twice, &wire, 100).is_err());
    }
}
