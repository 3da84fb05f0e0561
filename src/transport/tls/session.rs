//! TLS of one connection, sans-IO: records in, plain bytes out, and the other way.

use std::sync::Arc;

use rustls::server::UnbufferedServerConnection;
use rustls::unbuffered::{
    ConnectionState, EncodeError, EncodeTlsData, EncryptError, UnbufferedStatus, WriteTraffic,
};
use rustls::{Error, ServerConfig};

/// What a record has besides its payload, at most: a header, an explicit nonce or the byte with the
/// true type, and a tag.
const OVERHEAD: usize = 5 + 8 + 1 + 16;
/// The most plain bytes of a record (RFC 8446 section 5.1).
const RECORD: usize = 16 << 10;

/// The state of TLS of one connection. It holds no part of what is received or sent: a record that
/// is not complete stays with the caller.
pub(crate) struct TlsSession {
    connection: UnbufferedServerConnection,
    /// A fault was found. rustls must not be given anything more.
    is_broken: bool,
}

impl std::fmt::Debug for TlsSession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TlsSession").field("is_open", &self.is_open()).finish_non_exhaustive()
    }
}

/// What was received does not keep to TLS, or cannot be decrypted.
pub(crate) type Fault = Error;

/// The keys may not encrypt more, or the connection is in no state for it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Exhausted;

/// How far the received bytes were taken.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The bytes that are done with. The rest is the beginning of what is to come: the next call is
    /// to be given it again, with more behind it.
    pub(crate) bytes: usize,
    /// The peer sends no more: it has said so (`close_notify`).
    pub(crate) is_end: bool,
    /// Ends the connection; the alert that says so is in the output.
    pub(crate) fault: Option<Fault>,
}

impl TlsSession {
    pub(crate) fn new(config: &Arc<ServerConfig>) -> Result<Self, Fault> {
        let connection = UnbufferedServerConnection::new(Arc::clone(config))?;
        Ok(Self { connection, is_broken: false })
    }

    /// Whether the handshake is complete, so that plain bytes can be sent.
    #[inline]
    pub(crate) fn is_open(&self) -> bool {
        !self.connection.is_handshaking() && !self.is_broken
    }

    /// Takes records from the front of `input` and decrypts them there. Adds what they hold to
    /// `plain`, and what TLS itself has to say to `out`.
    pub(crate) fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Taken {
        let mut taken = Taken { bytes: 0, is_end: false, fault: None };
        // After a fault only the alert is to be fetched.
        while !self.is_broken || self.connection.wants_write() {
            let rest = input.get_mut(taken.bytes..).unwrap_or_default();
            let UnbufferedStatus { discard, state, .. } = self.connection.process_tls_records(rest);
            let mut is_done = false;
            match state {
                Ok(ConnectionState::ReadTraffic(mut traffic)) => {
                    while let Some(record) = traffic.next_record() {
                        match record {
                            Ok(record) => plain.extend_from_slice(record.payload),
                            Err(fault) => taken.fault = Some(fault),
                        }
                    }
                }
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => taken.is_end = true,
                Ok(_) => is_done = true,
                Err(fault) => {
                    self.is_broken = true;
                    taken.fault = Some(fault);
                }
            }
            taken.bytes += discard;
            if is_done {
                break;
            }
        }
        taken
    }

    /// Encrypts `plain` and adds the records to `out`. `input` is the incomplete record that the
    /// caller holds.
    pub(crate) fn seal(
        &mut self,
        plain: &[u8],
        input: &mut [u8],
        out: &mut Vec<u8>,
    ) -> Result<(), Exhausted> {
        let room = plain.len() + plain.len().div_ceil(RECORD).max(1) * OVERHEAD;
        self.write(input, out, room, |traffic, to| traffic.encrypt(plain, to))
    }

    /// Adds the alert to `out` that says that nothing more is sent (`close_notify`).
    pub(crate) fn end(&mut self, input: &mut [u8], out: &mut Vec<u8>) -> Result<(), Exhausted> {
        self.write(input, out, 2 + OVERHEAD, |traffic, to| traffic.queue_close_notify(to))
    }

    fn write<F>(
        &mut self,
        input: &mut [u8],
        out: &mut Vec<u8>,
        mut room: usize,
        mut encrypt: F,
    ) -> Result<(), Exhausted>
    where
        F: FnMut(&mut WriteTraffic<'_, Data>, &mut [u8]) -> Result<usize, EncryptError>,
    {
        while !self.is_broken {
            match self.connection.process_tls_records(input).state {
                Ok(ConnectionState::EncodeTlsData(mut data)) => encode(&mut data, out),
                Ok(ConnectionState::TransmitTlsData(data)) => data.done(),
                Ok(ConnectionState::PeerClosed) => {}
                Ok(ConnectionState::WriteTraffic(mut traffic)) => {
                    let at = out.len();
                    out.resize(at + room, 0);
                    let result = encrypt(&mut traffic, &mut out[at..]);
                    out.truncate(at + *result.as_ref().unwrap_or(&0));
                    match result {
                        Ok(_) => return Ok(()),
                        // An update of the keys goes first.
                        Err(EncryptError::InsufficientSize(size)) if size.required_size > room => {
                            room = size.required_size;
                        }
                        Err(_) => return Err(Exhausted),
                    }
                }
                Ok(_) => return Err(Exhausted),
                Err(_) => self.is_broken = true,
            }
        }
        Err(Exhausted)
    }
}

type Data = rustls::server::ServerConnectionData;

/// Adds what TLS itself sends.
fn encode(data: &mut EncodeTlsData<'_, Data>, out: &mut Vec<u8>) {
    let at = out.len();
    if let Err(EncodeError::InsufficientSize(size)) = data.encode(&mut []) {
        out.resize(at + size.required_size, 0);
        let written = data.encode(&mut out[at..]).unwrap_or_default();
        out.truncate(at + written);
    }
}
