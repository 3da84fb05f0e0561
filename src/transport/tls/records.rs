//! Records after the handshake: decrypted where they are, and encrypted into what is sent.
//!
//! rustls does the handshake and hands over the keys. What is left of a connection is what this
//! needs, and no buffers.

use ring::aead::LessSafeKey;
use rustls::AlertDescription as Alert;

use super::fault::{Exhausted, Fault, Taken};
use super::header::{ALERT, DATA, HANDSHAKE, HEADER, Header, MOST, unpad};
use super::keyring::{Keyring, Owner};
use super::keys::{Cipher, EXPLICIT, Half, Suite, TAG, Version, open, seal};
use super::messages::{Message, Partial};
use crate::base::Work;

const CLOSE_NOTIFY: u8 = 0;
const USER_CANCELED: u8 = 90;
const NO_RENEGOTIATION: u8 = 100;
const WARNING: u8 = 1;
const FATAL: u8 = 2;

/// So many records without content may follow each other.
const MAX_EMPTY: u8 = 32;
/// So many updates of keys, with no data between them.
const MAX_UPDATES: u8 = 32;
/// So many warnings in all.
const MAX_WARNINGS: u8 = 4;
/// So many wishes to begin anew in all.
const MAX_RENEGOTIATIONS: u8 = 1;
/// These of the records that a key may protect are for an update of the keys, and for alerts.
const RESERVED: u64 = 8;

/// The state of a connection after the handshake.
pub(super) struct Records {
    suite: Suite,
    read: Half,
    write: Half,
    owner: Owner,
    /// So many records each key may protect.
    limit: u64,
    /// So many the present one may still.
    left: u64,
    partial: Partial,
    empty: u8,
    updates: u8,
    warnings: u8,
    renegotiations: u8,
    /// The peer has asked for an update of the keys, which goes before the next data.
    owes_update: bool,
    /// Nothing more is sent: the peer was told so.
    has_ended: bool,
    /// Nothing more is received.
    is_over: bool,
}

impl Records {
    /// A connection whose keys have protected no record of its content yet. `limit` is how many
    /// records each key may protect.
    pub(super) fn new(suite: Suite, halves: (Half, Half), owner: Owner, limit: u64) -> Self {
        let (read, write) = halves;
        Self {
            suite,
            limit,
            left: limit.saturating_sub(write.seq),
            read,
            write,
            owner,
            partial: Partial::default(),
            empty: 0,
            updates: 0,
            warnings: 0,
            renegotiations: 0,
            owes_update: false,
            has_ended: false,
            is_over: false,
        }
    }

    /// Whether plain bytes can be received and sent: no fault was found.
    #[inline]
    pub(super) const fn is_open(&self) -> bool {
        !self.is_over
    }

    /// Drops what a core keeps for the connection, and overwrites its keys.
    pub(super) fn forget(&mut self, keys: &mut Keyring) {
        keys.forget(self.owner);
        self.read.wipe();
        self.write.wipe();
    }

    /// Takes records from the front of `input` until so much work is done. What they hold is put to
    /// the front of `input`, one behind the other.
    pub(super) fn receive(
        &mut self,
        keys: &mut Keyring,
        input: &mut [u8],
        out: &mut Vec<u8>,
        allowed: u64,
    ) -> Taken {
        let mut taken = Taken::default();
        while !self.is_over && !taken.is_end {
            let key = keys.read(self.owner, &self.read, self.suite.cipher);
            let result =
                key.ok_or(NO_KEY).and_then(|key| self.take_data(key, input, allowed, &mut taken));
            let result = match result {
                Ok(None) => break,
                Ok(Some((kind, len))) => {
                    let bytes = taken.plain.end..taken.plain.end + len;
                    let bytes = input.get(bytes).unwrap_or_default();
                    self.take_other(keys, kind, bytes, &mut taken, out)
                }
                Err(fault) => Err(fault),
            };
            if let Err(fault) = result {
                self.fail(keys, &fault, out);
                taken.fault = Some(fault);
            }
        }
        taken
    }

    /// Takes records with data, up to one that is something else: returns its type and its length.
    /// It is behind the plain bytes.
    #[inline]
    fn take_data(
        &mut self,
        key: &LessSafeKey,
        input: &mut [u8],
        allowed: u64,
        taken: &mut Taken,
    ) -> Result<Option<(u8, usize)>, Fault> {
        let suite = self.suite;
        let explicit = suite.explicit();
        loop {
            let rest = input.get(taken.bytes..).unwrap_or_default();
            let Some(Header { kind, len }) = Header::read(suite, rest)? else { return Ok(None) };
            if rest.len() < HEADER + len {
                return Ok(None);
            }
            if taken.work >= allowed {
                taken.is_paused = true;
                return Ok(None);
            }
            taken.work += self.work_of(len);
            let (at, plain) = (taken.bytes + HEADER, taken.plain.end);
            let bytes = input.get_mut(plain..at + len).unwrap_or_default();
            let nonce = match bytes.get(at - plain..).and_then(|bytes| bytes.first_chunk()) {
                Some(&part) if explicit == EXPLICIT => self.read.nonce_with(part),
                _ => self.read.nonce(),
            };
            let seq = self.read.seq;
            let additional = suite.additional(seq, kind, len - explicit - TAG);
            let Some(inner) = open(key, nonce, &additional, bytes, at + explicit - plain) else {
                return Err(Fault::Records(Alert::BadRecordMac, "a record cannot be decrypted"));
            };
            self.read.seq = seq.checked_add(1).ok_or(NO_KEY)?;
            taken.bytes = at + len;
            let (kind, len) = match suite.version {
                Version::Tls13 => unpad(bytes.get(..inner).unwrap_or_default())?,
                Version::Tls12 if inner > MOST => {
                    return Err(Fault::Records(Alert::RecordOverflow, "a record is too long"));
                }
                Version::Tls12 => (kind, inner),
            };
            if kind != DATA || len == 0 || !self.partial.is_empty() {
                return Ok(Some((kind, len)));
            }
            (self.empty, self.updates) = (0, 0);
            taken.plain.end += len;
        }
    }

    /// Takes a record that is not data, or has none.
    #[cold]
    fn take_other(
        &mut self,
        keys: &mut Keyring,
        kind: u8,
        bytes: &[u8],
        taken: &mut Taken,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        if !self.partial.is_empty() && kind != HANDSHAKE {
            let what = "a record within a message";
            return Err(Fault::Records(Alert::UnexpectedMessage, what));
        }
        match (kind, bytes) {
            (DATA, _) if self.empty < MAX_EMPTY => self.empty += 1,
            (DATA, _) => {
                let what = "too many records without content";
                return Err(Fault::Records(Alert::UnexpectedMessage, what));
            }
            (ALERT, &[level, alert]) => taken.is_end = self.take_alert(level, alert)?,
            (ALERT, _) => {
                return Err(Fault::Records(Alert::DecodeError, "an alert of a wrong length"));
            }
            (HANDSHAKE, [_, ..]) => return self.take_handshake(keys, bytes, taken, out),
            _ => {
                let what = "a record of a wrong content";
                return Err(Fault::Records(Alert::UnexpectedMessage, what));
            }
        }
        Ok(())
    }

    /// Returns whether it is the end of what the peer sends.
    fn take_alert(&mut self, level: u8, alert: u8) -> Result<bool, Fault> {
        let description = Alert::from(alert);
        match level {
            WARNING | FATAL if alert == CLOSE_NOTIFY => Ok(true),
            WARNING if self.warnings == MAX_WARNINGS => {
                Err(Fault::Records(Alert::UnexpectedMessage, "too many warnings"))
            }
            WARNING if self.suite.version == Version::Tls12 || alert == USER_CANCELED => {
                self.warnings += 1;
                Ok(false)
            }
            WARNING => Err(Fault::Records(Alert::DecodeError, "an alert that is no warning")),
            FATAL => Err(Fault::Alert(description)),
            _ => Err(Fault::Records(Alert::IllegalParameter, "an alert of a wrong level")),
        }
    }

    fn take_handshake(
        &mut self,
        keys: &mut Keyring,
        bytes: &[u8],
        taken: &mut Taken,
        out: &mut Vec<u8>,
    ) -> Result<(), Fault> {
        let mut rest = bytes;
        while let Some((&byte, behind)) = rest.split_first() {
            rest = behind;
            match self.partial.take(self.suite.version, byte)? {
                None => {}
                Some(Message::KeyUpdate { .. }) if !rest.is_empty() => {
                    let what = "something behind an update of keys";
                    return Err(Fault::Records(Alert::UnexpectedMessage, what));
                }
                Some(Message::KeyUpdate { .. }) if self.updates == MAX_UPDATES => {
                    let what = "too many updates of keys";
                    return Err(Fault::Records(Alert::UnexpectedMessage, what));
                }
                Some(Message::KeyUpdate { is_requested }) => {
                    self.updates += 1;
                    self.owes_update |= is_requested;
                    taken.work += Work::KEYS;
                    self.read.update(self.suite.cipher).ok_or(NO_KEY)?;
                    keys.forget(self.owner);
                }
                Some(Message::Renegotiation) if self.renegotiations == MAX_RENEGOTIATIONS => {
                    let what = "it wants to begin anew again";
                    return Err(Fault::Records(Alert::UnexpectedMessage, what));
                }
                Some(Message::Renegotiation) => {
                    self.renegotiations += 1;
                    if !self.has_ended {
                        let _ = self.put(keys, ALERT, &[WARNING, NO_RENEGOTIATION], out);
                    }
                }
            }
        }
        Ok(())
    }

    /// Ends the connection for a fault, of which the peer is told.
    #[cold]
    pub(super) fn fail(&mut self, keys: &mut Keyring, fault: &Fault, out: &mut Vec<u8>) {
        if let &Fault::Records(alert, _) = fault
            && !self.has_ended
        {
            // Without a key there is nothing that could be sent.
            let _ = self.put(keys, ALERT, &[FATAL, alert.into()], out);
        }
        (self.is_over, self.has_ended) = (true, true);
    }

    /// Encrypts `plain` and adds the records to `out`. Returns the work that it was.
    pub(super) fn seal(
        &mut self,
        keys: &mut Keyring,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<u64, Exhausted> {
        let mut work = 0;
        if self.is_over || self.has_ended {
            return Err(Exhausted);
        }
        for piece in plain.chunks(MOST) {
            if self.owes_update || self.left <= RESERVED {
                self.update(keys, out)?;
                work += Work::KEYS;
            }
            self.put(keys, DATA, piece, out)?;
            work += self.work_of(piece.len());
        }
        Ok(work)
    }

    /// Adds the alert to `out` that says that nothing more is sent (`close_notify`).
    pub(super) fn end(&mut self, keys: &mut Keyring, out: &mut Vec<u8>) -> Result<(), Exhausted> {
        if self.is_over || self.has_ended {
            return Err(Exhausted);
        }
        self.has_ended = true;
        self.put(keys, ALERT, &[WARNING, CLOSE_NOTIFY], out)
    }

    /// Goes on to the next keys, before too much is encrypted with the present ones, or because the
    /// peer has asked for it. TLS 1.2 has none, so there the connection ends.
    #[cold]
    fn update(&mut self, keys: &mut Keyring, out: &mut Vec<u8>) -> Result<(), Exhausted> {
        if self.suite.version == Version::Tls12 {
            self.end(keys, out)?;
            return Err(Exhausted);
        }
        // KeyUpdate, one byte: the peer need not do the same.
        self.put(keys, HANDSHAKE, &[24, 0, 0, 1, 0], out)?;
        self.owes_update = false;
        self.write.update(self.suite.cipher).ok_or(Exhausted)?;
        self.left = self.limit;
        keys.forget(self.owner);
        Ok(())
    }

    /// Adds a record to `out`.
    #[inline]
    fn put(
        &mut self,
        keys: &mut Keyring,
        kind: u8,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Exhausted> {
        let suite = self.suite;
        let key = keys.write(self.owner, &self.write, suite.cipher).ok_or(Exhausted)?;
        let left = self.left.checked_sub(1).ok_or(Exhausted)?;
        let seq = self.write.seq.checked_add(1).ok_or(Exhausted)?;
        let nonce = self.write.nonce();
        let hidden = usize::from(suite.version == Version::Tls13);
        let (explicit, len) = (suite.explicit(), plain.len() + hidden);
        let outer = if hidden > 0 { DATA } else { kind };
        let [.., high, low] = (explicit + len + TAG).to_be_bytes();
        let start = out.len();
        out.reserve(HEADER + explicit + len + TAG);
        out.extend_from_slice(&[outer, 3, 3, high, low]);
        out.extend_from_slice(nonce.get(nonce.len() - explicit..).unwrap_or_default());
        let at = out.len();
        out.extend_from_slice(plain);
        if hidden > 0 {
            out.push(kind);
        }
        let additional = suite.additional(self.write.seq, outer, len);
        let Some(tag) = seal(key, nonce, &additional, out.get_mut(at..).unwrap_or_default()) else {
            out.truncate(start);
            return Err(Exhausted);
        };
        out.extend_from_slice(tag.as_ref());
        (self.write.seq, self.left) = (seq, left);
        Ok(())
    }

    /// The work for a record.
    const fn work_of(&self, len: usize) -> u64 {
        Work::RECORD + Work::of_sealed(matches!(self.suite.cipher, Cipher::ChaCha20), len)
    }

    /// Lets the present keys protect so many records more, and each of the next ones.
    #[cfg(test)]
    pub(super) const fn limit_to(&mut self, records: u64) {
        (self.limit, self.left) = (records + RESERVED, records + RESERVED);
    }

    /// Adds any record to `out`, as a peer may that keeps to nothing.
    #[cfg(test)]
    pub(super) fn put_any(
        &mut self,
        keys: &mut Keyring,
        kind: u8,
        plain: &[u8],
        out: &mut Vec<u8>,
    ) {
        self.put(keys, kind, plain, out).unwrap();
    }

    /// Goes on to the next keys for what is sent, without a word.
    #[cfg(test)]
    pub(super) fn next_keys(&mut self, keys: &mut Keyring) {
        self.write.update(self.suite.cipher).unwrap();
        keys.forget(self.owner);
    }
}

/// What the keys were made for is over: more records than there are numbers, or a fault of ours.
const NO_KEY: Fault = Fault::Records(Alert::InternalError, "there is no key");
