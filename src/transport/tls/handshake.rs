//! The handshake, by rustls, up to the keys.

use std::sync::Arc;

use rustls::server::{ServerConnectionData, UnbufferedServerConnection};
use rustls::unbuffered::{ConnectionState, EncodeError, EncodeTlsData, UnbufferedStatus};
use rustls::{Error, ProtocolVersion, ServerConfig, SupportedCipherSuite};

use super::fault::{Fault, Taken};
use super::header::{CHANGE_CIPHER_SPEC, DATA, HEADER, MOST};
use super::keyring::Owner;
use super::keys::{Half, Suite, Version};
use super::records::Records;
use super::secrets::Secrets;

/// The most encrypted records that rustls is shown again because it has not taken them. A client
/// whose early data is refused may send some; a message of its own is not cut into so many.
const MAX_ENCRYPTED: u32 = 8;
/// The shortest payload of an encrypted record: a tag, and one byte.
const LEAST_ENCRYPTED: u8 = 17;

/// The state of a handshake.
pub(super) struct Handshake {
    connection: UnbufferedServerConnection,
    pub(super) secrets: Secrets,
    /// So many bytes at the front of the input rustls has seen. It has not taken them, because they
    /// are a part of a message.
    seen: usize,
    /// The encrypted records among these.
    encrypted: u32,
    is_over: bool,
}

/// What rustls waits for.
enum Next {
    /// The next record.
    Input,
    /// Nothing: the handshake is complete, and all that it has to say is in the output.
    Nothing,
}

impl Handshake {
    pub(super) fn new(config: &Arc<ServerConfig>) -> Result<Self, Error> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Self { connection, secrets: Secrets::default(), seen: 0, encrypted: 0, is_over: false })
    }

    /// Takes messages of the handshake from the front of `input`. rustls is shown one record after
    /// the other, so it sees none of those behind the handshake. Returns whether it is complete.
    pub(super) fn receive(&mut self, input: &mut [u8], out: &mut Vec<u8>) -> (Taken, bool) {
        let mut taken = Taken::default();
        if self.is_over {
            return (taken, false);
        }
        match self.take_records(input, out, &mut taken) {
            Ok(is_complete) => (taken, is_complete),
            Err(error) => {
                self.is_over = true;
                while self.connection.wants_write() {
                    self.send_alert(out);
                }
                taken.fault = Some(Fault::Handshake(error));
                (taken, false)
            }
        }
    }

    fn take_records(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        taken: &mut Taken,
    ) -> Result<bool, Error> {
        while matches!(self.go_on(input, out, taken)?, Next::Input) {
            let rest = input.get(taken.bytes..).unwrap_or_default();
            match next_record(rest.get(self.seen..).unwrap_or_default()) {
                Some(Ok(len)) if self.seen + len <= rest.len() => {
                    self.encrypted += u32::from(rest.get(self.seen) == Some(&DATA));
                    self.seen += len;
                    // Each is decrypted again whenever rustls is shown one more.
                    if self.encrypted > MAX_ENCRYPTED {
                        return Err(Error::General("too much early data".to_owned()));
                    }
                }
                Some(Ok(_)) | None => return Ok(false),
                Some(Err(WrongHeader)) => {
                    self.seen += HEADER;
                    self.go_on(input, out, taken)?;
                    return Err(Error::General("a record with a wrong header".to_owned()));
                }
            }
        }
        if self.seen > 0 {
            return Err(Error::General("a message that goes on behind the handshake".to_owned()));
        }
        Ok(true)
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
            self.secrets.collect();
            self.seen = self.seen.saturating_sub(discard);
            taken.bytes += discard;
            if discard > 0 {
                self.encrypted = 0;
            }
            if is_done {
                let is_complete = !self.connection.is_handshaking();
                return Ok(if is_complete { Next::Nothing } else { Next::Input });
            }
        }
    }

    fn send_alert(&mut self, out: &mut Vec<u8>) {
        match self.connection.process_tls_records(&mut []).state {
            Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out),
            Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
            _ => {}
        }
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
