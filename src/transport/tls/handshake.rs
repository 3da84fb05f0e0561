//! The handshake, by rustls, up to the keys.

use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{
    CipherSuite, Error, HandshakeKind, NamedGroup, ProtocolVersion, ServerConfig,
    SupportedCipherSuite,
};

use super::fault::{Fault, Taken};
use super::header::{CHANGE_CIPHER_SPEC, DATA, HEADER, MOST};
use super::keyring::Owner;
use super::keys::{Cipher, Half, Suite, TAG, Version, open};
use super::records::Records;
use super::secrets::Secrets;

/// The most encrypted records of a client within the handshake: if its early data is refused it may
/// send some, and its last message may be cut.
const MAX_ENCRYPTED: u32 = 64;
/// The shortest payload of an encrypted record: a tag, and one byte.
const LEAST_ENCRYPTED: u8 = 17;
/// The header of a record of a type that there is not. rustls sends an alert for it.
const WRONG: [u8; HEADER] = [0xff, 3, 3, 0, 1];

/// The state of a handshake.
pub(super) struct Handshake {
    connection: UnbufferedServerConnection,
    pub(super) secrets: Secrets,
    /// So many bytes at the front of the input rustls has seen. It has not taken them, because they
    /// are a part of a message.
    seen: usize,
    /// The encrypted records of the client.
    encrypted: u32,
    /// rustls has decrypted one of them: those that follow are not early data.
    has_decrypted: bool,
    /// It was told that the key exchange takes long.
    is_told: bool,
    is_over: bool,
}

/// What rustls waits for.
enum Next {
    /// The next record.
    Input,
    /// Nothing: the handshake is complete, and all that it has to say is in the output.
    Nothing,
}

/// How far a handshake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// It is not complete, or has failed.
    Incomplete,
    Complete,
    /// It is complete, and the record that has completed it goes on with another message.
    GoesOn,
}

impl Handshake {
    pub(super) fn new(config: &Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config))?;
        let secrets = Secrets::default();
        Ok(Self {
            connection,
            secrets,
            seen: 0,
            encrypted: 0,
            has_decrypted: false,
            is_told: false,
            is_over: false,
        })
    }

    /// Takes messages of the handshake from the front of `input`. rustls is shown one record after
    /// the other, so it sees none of those behind the handshake.
    pub(super) fn receive(&mut self, input: &mut [u8], out: &mut Vec<u8>) -> (Taken, Progress) {
        let mut taken = Taken::default();
        if self.is_over {
            return (taken, Progress::Incomplete);
        }
        match self.take_records(input, out, &mut taken) {
            Ok(progress) => (taken, progress),
            Err(error) => {
                self.refuse(input.get(taken.bytes..).unwrap_or_default(), out);
                taken.fault = Some(Fault::Handshake(error));
                (taken, Progress::Incomplete)
            }
        }
    }

    fn take_records(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        taken: &mut Taken,
    ) -> Result<Progress, Error> {
        let mut last: Option<Vec<u8>> = None;
        while matches!(self.go_on(input, out, taken)?, Next::Input) {
            if let Some(mut record) = last.take() {
                if self.seen == record.len() && !self.is_of_handshake(&mut record) {
                    // Early data: rustls has not taken it, and would look at it again.
                    taken.bytes += std::mem::take(&mut self.seen);
                } else {
                    self.has_decrypted = true;
                }
            }
            let rest = input.get(taken.bytes..).unwrap_or_default();
            match next_record(rest.get(self.seen..).unwrap_or_default()) {
                Some(Ok(len)) if self.seen + len <= rest.len() => {
                    if rest.get(self.seen) == Some(&DATA) {
                        self.encrypted += 1;
                        // rustls decrypts it where it is, whether that succeeds or not.
                        let is_first = self.seen == 0
                            && !self.has_decrypted
                            && self.secrets.handshake.is_some();
                        last = rest.get(..len).filter(|_| is_first).map(<[u8]>::to_vec);
                    }
                    if self.encrypted > MAX_ENCRYPTED {
                        return Err(Error::General("too much early data".to_owned()));
                    }
                    self.seen += len;
                }
                Some(Ok(_)) | None => return Ok(Progress::Incomplete),
                Some(Err(WrongHeader)) => {
                    self.seen += HEADER;
                    self.go_on(input, out, taken)?;
                    // It waits for the rest.
                    self.seen = self.seen.saturating_sub(HEADER);
                    return Err(Error::General("a record with a wrong header".to_owned()));
                }
            }
        }
        Ok(if self.seen > 0 { Progress::GoesOn } else { Progress::Complete })
    }

    /// Whether a record is the first one of the end of the client's handshake. What the client has
    /// sent before are early data (RFC 8446 section 4.2.10).
    fn is_of_handshake(&self, record: &mut [u8]) -> bool {
        let suite = self.connection.negotiated_cipher_suite();
        let cipher = match suite.map(|suite| suite.suite()) {
            Some(CipherSuite::TLS13_AES_128_GCM_SHA256) => Cipher::Aes128,
            Some(CipherSuite::TLS13_AES_256_GCM_SHA384) => Cipher::Aes256,
            Some(CipherSuite::TLS13_CHACHA20_POLY1305_SHA256) => Cipher::ChaCha20,
            _ => return true,
        };
        let secret = self.secrets.handshake.clone();
        let Some(half) = secret.and_then(|secret| Half::of(secret, cipher)) else { return true };
        let Some(key) = half.expanded(cipher) else { return true };
        let suite = Suite { version: Version::Tls13, cipher };
        let len = record.len().saturating_sub(HEADER + TAG);
        let additional = suite.additional(half.seq, DATA, len);
        let payload = record.get_mut(HEADER..).unwrap_or_default();
        open(&key, half.nonce(), &additional, payload, 0).is_some()
    }

    /// Ends it, with an alert. `input` is what was given to [`receive`](Self::receive) and not
    /// taken.
    pub(super) fn refuse(&mut self, input: &[u8], out: &mut Vec<u8>) {
        if std::mem::replace(&mut self.is_over, true) {
            return;
        }
        let said = out.len();
        self.send_alert(out);
        // rustls has no call that sends an alert, and does not send one for each fault.
        if out.len() == said
            && let Some(shown) = input.get(..self.seen)
        {
            let _ = self.connection.process_tls_records(&mut [shown, &WRONG].concat());
            self.send_alert(out);
        }
    }

    /// Lets rustls look at what it is shown, and say what it has to say.
    fn go_on(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        taken: &mut Taken,
    ) -> Result<Next, Error> {
        loop {
            let shown = taken.bytes..taken.bytes + self.seen;
            let shown = input.get_mut(shown).unwrap_or_default();
            let UnbufferedStatus { discard, state, .. } =
                self.connection.process_tls_records(shown);
            self.seen = self.seen.saturating_sub(discard);
            taken.bytes += discard;
            // In any case: what an error left would be taken for that of the next connection.
            self.secrets.collect();
            let is_done = match state? {
                ConnectionState::EncodeTlsData(mut data) => {
                    encode(&mut data, out);
                    false
                }
                ConnectionState::TransmitTlsData(data) => {
                    data.done();
                    false
                }
                ConnectionState::BlockedHandshake | ConnectionState::WriteTraffic(_) => true,
                // Nothing of that is possible before the handshake is complete.
                _ => return Err(Error::General("data within a handshake".to_owned())),
            };
            if is_done {
                let is_complete = !self.connection.is_handshaking();
                return Ok(if is_complete { Next::Nothing } else { Next::Input });
            }
        }
    }

    /// Sends what rustls has to say.
    fn send_alert(&mut self, out: &mut Vec<u8>) {
        while self.connection.wants_write() {
            match self.connection.process_tls_records(&mut []).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                _ => return,
            }
        }
    }

    /// Whether there was a key exchange that takes long. It is told once.
    pub(super) fn is_slow(&mut self) -> bool {
        let group = self.connection.negotiated_key_exchange_group();
        let is_slow = group.is_some_and(|group| group.name() == NamedGroup::secp384r1);
        is_slow && !std::mem::replace(&mut self.is_told, true)
    }

    /// Whether a session was resumed.
    pub(super) fn is_resumed(&self) -> bool {
        self.connection.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// What is left of a handshake that is complete: its keys. `secrets` were taken from it.
    pub(super) fn into_records(self, secrets: &Secrets, owner: Owner) -> Result<Records, Error> {
        let none = || Error::General("there are no keys".to_owned());
        let Self { connection, .. } = self;
        let (suite, version) =
            (connection.negotiated_cipher_suite(), connection.protocol_version());
        let version = match version.ok_or_else(none)? {
            ProtocolVersion::TLSv1_3 => Version::Tls13,
            ProtocolVersion::TLSv1_2 => Version::Tls12,
            _ => return Err(none()),
        };
        let limit = match suite.ok_or_else(none)? {
            SupportedCipherSuite::Tls13(suite) => suite.common.confidentiality_limit,
            SupportedCipherSuite::Tls12(suite) => suite.common.confidentiality_limit,
        };
        let (keys, _) = connection.dangerous_into_kernel_connection()?;
        let half = |(seq, keys): &(u64, _), secret: &Option<_>| {
            Half::new(version, (*seq, keys), secret.as_ref()).ok_or_else(none)
        };
        let (read, cipher) = half(&keys.rx, &secrets.client)?;
        let (write, other) = half(&keys.tx, &secrets.server)?;
        if cipher != other {
            return Err(none());
        }
        Ok(Records::new(Suite { version, cipher }, (read, write), owner, limit))
    }
}

/// Adds what the handshake sends.
fn encode(data: &mut EncodeTlsData<'_, ServerConnectionData>, out: &mut Vec<u8>) {
    let at = out.len();
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        out.resize(at + size.required_size, 0);
        let written = data.encode(out.get_mut(at..).unwrap_or_default()).unwrap_or_default();
        out.truncate(at + written);
    }
}

/// The header of a record has a wrong type, version or length.
struct WrongHeader;

/// The length of the next record; `None` if its header is not complete.
fn next_record(bytes: &[u8]) -> Option<Result<usize, WrongHeader>> {
    let &[kind, major, _, high, low] = bytes.first_chunk()?;
    let len = usize::from(u16::from_be_bytes([high, low]));
    let is_fine = (CHANGE_CIPHER_SPEC..=DATA).contains(&kind)
        && major == 3
        && len >= if kind == DATA { usize::from(LEAST_ENCRYPTED) } else { 1 }
        && len < MOST + 2048;
    Some(if is_fine { Ok(HEADER + len) } else { Err(WrongHeader) })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// rustls would look at thousands of empty ones again and again, as early data that it refuses.
    #[test]
    fn encrypted_records_that_cannot_be_decrypted_are_refused_by_their_header() {
        for len in 0..LEAST_ENCRYPTED {
            assert!(matches!(next_record(&[DATA, 3, 3, 0, len]), Some(Err(WrongHeader))), "{len}");
        }
        for (kind, len) in [(DATA, LEAST_ENCRYPTED), (CHANGE_CIPHER_SPEC, 1)] {
            let taken = next_record(&[kind, 3, 3, 0, len]);
            assert!(matches!(taken, Some(Ok(all)) if all == HEADER + usize::from(len)));
        }
        assert!(matches!(next_record(&[CHANGE_CIPHER_SPEC, 3, 3, 0, 0]), Some(Err(WrongHeader))));
        assert!(next_record(&[DATA, 3, 3, 0]).is_none());
    }
}
