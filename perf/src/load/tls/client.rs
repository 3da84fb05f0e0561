//! The handshake of one connection, by rustls.

use std::io;
use std::net::TcpStream;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, HandshakeKind};

use super::records::{Records, whole};

/// The name that servers are asked for.
const NAME: &str = "localhost";

/// A connection during its handshake, or of a short life.
pub(in crate::load) struct Client {
    tls: ClientConnection,
    /// Received bytes, and the number of them that are handled.
    came: Vec<u8>,
    used: usize,
}

impl Client {
    pub(in crate::load) fn new(settings: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(NAME).map_err(io::Error::other)?;
        let tls = ClientConnection::new(Arc::clone(settings), name).map_err(io::Error::other)?;
        Ok(Self { tls, came: Vec::new(), used: 0 })
    }

    /// Sends `bytes` when the handshake allows it and `flush` is called.
    pub(in crate::load) fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        io::Write::write_all(&mut self.tls.writer(), bytes)
    }

    /// Writes everything that can be sent; there is room in the socket for the few bytes of a
    /// handshake.
    pub(in crate::load) fn flush(&mut self, mut stream: &TcpStream) -> io::Result<()> {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut stream)?;
        }
        Ok(())
    }

    /// Takes received bytes; `record` handles them.
    pub(in crate::load) fn received(&mut self, bytes: &[u8]) {
        self.came.drain(..self.used);
        self.used = 0;
        self.came.extend_from_slice(bytes);
    }

    /// Handles one record, and appends its data to `data`; `false` if there is no whole one.
    pub(in crate::load) fn record(&mut self, data: &mut Vec<u8>) -> io::Result<bool> {
        let Some(length) = whole(&self.came[self.used..]) else { return Ok(false) };
        let mut record = &self.came[self.used..self.used + length];
        self.used += length;
        // Nothing is read after the server has closed.
        while !record.is_empty() && self.tls.read_tls(&mut record)? > 0 {}
        let failed = |e: rustls::Error| io::Error::other(format!("TLS: {e}"));
        let state = self.tls.process_new_packets().map_err(failed)?;
        let begin = data.len();
        data.resize(begin + state.plaintext_bytes_to_read(), 0);
        io::Read::read_exact(&mut self.tls.reader(), &mut data[begin..])?;
        Ok(true)
    }

    /// Whether the session was resumed.
    pub(in crate::load) fn is_resumed(&self) -> bool {
        self.tls.handshake_kind() == Some(HandshakeKind::Resumed)
    }

    /// The record layer of a connection that has nothing more to send.
    pub(in crate::load) fn into_records(self) -> io::Result<Records> {
        let Self { tls, mut came, used } = self;
        came.drain(..used);
        let secrets = tls.dangerous_extract_secrets().map_err(io::Error::other)?;
        Records::new(secrets, came)
    }
}
