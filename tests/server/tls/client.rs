//! A WebSocket client over TLS, which can send any bytes above and below TLS.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;

use rustls::{ClientConfig, ClientConnection, Error};

use crate::support::client::{Head, PATIENCE, request_to};
use crate::support::wire::{self, Frame};

/// How the server has ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// By `close_notify`.
    Notified,
    /// TCP has ended without it.
    Truncated,
    Reset,
}

pub(crate) struct TlsClient {
    pub(crate) tls: ClientConnection,
    pub(crate) stream: TcpStream,
    unread: Vec<u8>,
}

impl TlsClient {
    /// A connection after its handshake.
    pub(crate) const fn of(tls: ClientConnection, stream: TcpStream) -> Self {
        Self { tls, stream, unread: Vec::new() }
    }

    /// Connects and does the handshake of TLS.
    pub(crate) fn connect(addr: SocketAddr, config: ClientConfig) -> Self {
        Self::try_connect(addr, &Arc::new(config), "localhost").unwrap()
    }

    /// The same for a name. The error is that of TLS; other errors end the test.
    pub(crate) fn try_connect(
        addr: SocketAddr,
        config: &Arc<ClientConfig>,
        name: &str,
    ) -> Result<Self, Error> {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = name.to_owned().try_into().unwrap();
        let tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        let mut this = Self { tls, stream, unread: Vec::new() };
        while this.tls.is_handshaking() {
            if let Err(error) = this.tls.complete_io(&mut this.stream) {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<Error>());
                return Err(inner.unwrap_or_else(|| panic!("{error}")).clone());
            }
        }
        Ok(this)
    }

    /// Whether a request over this connection is answered with 503, by a server that may also end
    /// it at any time before.
    pub(crate) fn try_refused(mut stream: TcpStream, pair: &crate::certificates::Pair) -> bool {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::new(pair.client()), name).unwrap();
        tls.writer().write_all(&request_to("/", "")).unwrap();
        let mut answer = Vec::new();
        let kind = loop {
            if let Err(error) = tls.complete_io(&mut stream) {
                break error.kind();
            }
            match tls.reader().read_to_end(&mut answer) {
                Ok(_) => break ErrorKind::UnexpectedEof,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) => break error.kind(),
            }
        };
        assert!(!matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut), "it is left waiting");
        answer.starts_with(b"HTTP/1.1 503 ")
    }

    /// A WebSocket at `path`.
    pub(crate) fn open(addr: SocketAddr, config: ClientConfig, path: &str) -> Self {
        Self::connect(addr, config).upgrade(path)
    }

    pub(crate) fn upgrade(mut self, path: &str) -> Self {
        self.send(&request_to(path, ""));
        assert_eq!(self.read_head().status, "HTTP/1.1 101 Switching Protocols");
        self
    }

    pub(crate) fn send(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(32 << 10) {
            self.tls.writer().write_all(piece).unwrap();
            self.flush();
        }
    }

    /// Sends what TLS has to send.
    pub(crate) fn flush(&mut self) {
        while self.tls.wants_write() {
            self.tls.write_tls(&mut self.stream).unwrap();
        }
    }

    /// Receives something; `Err` is the end.
    pub(crate) fn fill(&mut self) -> Result<(), End> {
        let taken = match self.tls.read_tls(&mut self.stream) {
            Ok(taken) => taken,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => return Err(End::Reset),
            Err(error) => panic!("nothing came: {error}"),
        };
        let state = self.tls.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        self.tls.reader().read_exact(&mut plain).unwrap();
        self.unread.extend(plain);
        if state.peer_has_closed() {
            return Err(End::Notified);
        }
        if taken == 0 { Err(End::Truncated) } else { Ok(()) }
    }

    pub(crate) fn read_head(&mut self) -> Head {
        self.try_read_head().unwrap()
    }

    /// The head of a response; `Err` if the end has come before.
    pub(crate) fn try_read_head(&mut self) -> Result<Head, End> {
        loop {
            if let Some((head, len)) = Head::parse(&self.unread) {
                self.unread.drain(..len);
                return Ok(head);
            }
            self.fill()?;
        }
    }

    pub(crate) fn read_frame(&mut self) -> Frame {
        loop {
            if let Some((header, len)) = wire::server_header(&self.unread)
                && self.unread.len() >= header + len
            {
                let frame: Vec<u8> = self.unread.drain(..header + len).collect();
                return Frame { first: frame[0], payload: frame[header..].to_vec() };
            }
            self.fill().unwrap();
        }
    }

    /// Everything until the end.
    pub(crate) fn read_to_end(&mut self) -> (Vec<u8>, End) {
        loop {
            if let Err(end) = self.fill() {
                return (std::mem::take(&mut self.unread), end);
            }
        }
    }

    /// Sends a message and expects it back.
    pub(crate) fn echo(&mut self, payload: &[u8]) {
        self.send(&wire::frame(wire::FIN | wire::BINARY, payload));
        let frame = self.read_frame();
        assert!(frame.first == wire::FIN | wire::BINARY && frame.payload == payload);
    }

    /// The closing handshake, of WebSocket and of TLS.
    pub(crate) fn close(mut self) {
        self.send(&wire::close(1000, ""));
        assert_eq!(self.read_to_end(), (wire::server_close(1000, ""), End::Notified));
        self.tls.send_close_notify();
        self.flush();
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).unwrap();
        assert!(rest.is_empty());
    }
}

/// Bytes without a pattern that a mistake in their order could hide behind.
pub(crate) fn noise(len: usize, seed: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fastrand::Rng::with_seed(seed).fill(&mut bytes);
    bytes
}
