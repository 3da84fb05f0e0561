//! The stream of an attacker: TCP, or TLS on it.

use std::io::{self, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags, recv, send};
use rustls::ClientConnection;

use crate::script::Secure;

/// Bytes that are read of a record at once.
const ROOM: usize = 16 << 10;

/// A connection, with TLS if there is any.
pub(crate) struct Stream {
    pub(crate) socket: OwnedFd,
    tls: Option<Box<Tls>>,
    /// Bytes that the socket took and that nobody asked for yet.
    sent: u64,
}

struct Tls {
    connection: ClientConnection,
    /// The most plain bytes of a record.
    record: usize,
    /// Whether the key is updated before each record.
    updates: bool,
}

impl Stream {
    pub(crate) fn new(socket: OwnedFd, secure: Option<&Secure>) -> Self {
        let tls = secure.map(|secure| {
            let name = "localhost".try_into().unwrap();
            let connection = ClientConnection::new(secure.config.clone(), name).unwrap();
            Box::new(Tls { connection, record: secure.record, updates: secure.updates })
        });
        Self { socket, tls, sent: 0 }
    }

    /// The bytes that the socket took since the last call.
    pub(crate) fn take_sent(&mut self) -> u64 {
        std::mem::take(&mut self.sent)
    }

    /// Whether the handshake of TLS is under way.
    pub(crate) fn is_handshaking(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.is_handshaking())
    }

    /// Whether TLS has something to send.
    pub(crate) fn wants_write(&self) -> bool {
        self.tls.as_ref().is_some_and(|tls| tls.connection.wants_write())
    }

    /// Sends something of `bytes`. `AGAIN` if the socket has no room or a handshake is under way.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        self.flush()?;
        let Some(tls) = &mut self.tls else {
            let len = send(&self.socket, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL)?;
            self.sent += len as u64;
            return Ok(len);
        };
        let mut taken = 0;
        if tls.connection.is_handshaking() {
            return Err(Errno::AGAIN);
        }
        for record in bytes.chunks(tls.record) {
            if tls.updates {
                tls.connection.refresh_traffic_keys().map_err(|_| Errno::PROTO)?;
            }
            let len = tls.connection.writer().write(record).unwrap();
            taken += len;
            if len < record.len() {
                break;
            }
        }
        match self.flush() {
            Err(error) if error != Errno::AGAIN => Err(error),
            _ => Ok(taken),
        }
    }

    /// Receives into `room`; 0 is the end. What TLS has beyond the length of `room` is dropped.
    pub(crate) fn receive(&mut self, room: &mut [u8], flags: RecvFlags) -> Result<usize, Errno> {
        let Some(tls) = &mut self.tls else {
            return recv(&self.socket, room, flags).map(|(len, _)| len);
        };
        match tls.connection.read_tls(&mut Socket(&self.socket)) {
            Ok(0) => return Ok(0),
            Ok(_) => {}
            Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::PROTO)),
        }
        let is_fine = tls.connection.process_new_packets().is_ok();
        let mut taken = 0;
        let mut plain = [0; ROOM];
        while let Ok(len @ 1..) = tls.connection.reader().read(&mut plain) {
            let kept = len.min(room.len() - taken);
            room[taken..taken + kept].copy_from_slice(&plain[..kept]);
            taken += kept;
        }
        // The last part of the handshake, the answer to an update of keys, or an alert.
        let flushed = self.flush();
        match (taken, flushed) {
            (0, _) if !is_fine => Err(Errno::PROTO),
            (0, Err(error)) => Err(error),
            (0, Ok(())) => Err(Errno::AGAIN),
            (taken, _) => Ok(taken),
        }
    }

    /// Sends what TLS has to send.
    pub(crate) fn flush(&mut self) -> Result<(), Errno> {
        let Some(tls) = &mut self.tls else { return Ok(()) };
        while tls.connection.wants_write() {
            match tls.connection.write_tls(&mut Socket(&self.socket)) {
                Ok(len) => self.sent += len as u64,
                Err(error) => return Err(Errno::from_io_error(&error).unwrap_or(Errno::PROTO)),
            }
        }
        Ok(())
    }
}

/// A socket that is not waited for.
struct Socket<'a>(&'a OwnedFd);

impl Read for Socket<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        recv(self.0, room, RecvFlags::DONTWAIT).map(|(len, _)| len).map_err(io::Error::from)
    }
}

impl Write for Socket<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match send(self.0, bytes, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
            Ok(0) => Err(ErrorKind::WriteZero.into()),
            other => other.map_err(io::Error::from),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
