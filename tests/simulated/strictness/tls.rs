//! Runs the table over TLS, with rustls as the client: bytes in one record, each in a record of its
//! own, and records that TCP brings byte by byte.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustls::{ClientConfig, ClientConnection};

use super::case::MAX_MESSAGE;
use super::tcp::{Pace, Peer};
use crate::certificates::Pair;
use crate::support::client::{End, Head, PATIENCE};
use crate::support::server::{Server, command};
use crate::support::wire::{self, Frame};

/// A server with TLS, and what its clients trust.
pub(crate) struct TlsServer {
    server: Server,
    config: Arc<ClientConfig>,
    folder: PathBuf,
}

impl TlsServer {
    /// A server with the limits of the table. `name` is that of the test.
    pub(crate) fn start(name: &str) -> Self {
        let pair = Pair::new(&["localhost"]);
        let folder = std::env::temp_dir().join(format!("corecast-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let [cert, key] = [("cert.pem", &pair.cert), ("key.pem", &pair.key)].map(|(file, text)| {
            let path = folder.join(file);
            fs::write(&path, text).unwrap();
            path.display().to_string()
        });
        let flags =
            ["serve", "--listen-tls", "127.0.0.1:0", "--tls-cert", &cert, "--tls-key", &key];
        let max = MAX_MESSAGE.to_string();
        let server = Server::spawn(command(&[&flags[..], &["--max-message", &max]].concat()));
        Self { server, config: Arc::new(pair.client()), folder }
    }

    /// A connection after the handshake of TLS.
    pub(crate) fn connect(&self, pace: Pace, cuts_records: bool) -> TlsClient {
        TlsClient::connect(self.server.addr(), &self.config, pace, cuts_records)
    }
}

impl Drop for TlsServer {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A client over TLS. The end of the server is [`End::Fin`] only if `close_notify` comes before it.
pub(crate) struct TlsClient {
    tls: ClientConnection,
    stream: TcpStream,
    pace: Pace,
    cuts_records: bool,
    received: Vec<u8>,
}

impl TlsClient {
    fn connect(
        addr: SocketAddr,
        config: &Arc<ClientConfig>,
        pace: Pace,
        cuts_records: bool,
    ) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        stream.set_nodelay(true).unwrap();
        let name = "localhost".try_into().unwrap();
        let mut tls = ClientConnection::new(Arc::clone(config), name).unwrap();
        tls.set_buffer_limit(None);
        let mut this = Self { tls, stream, pace, cuts_records, received: Vec::new() };
        while this.tls.is_handshaking() {
            this.tls.complete_io(&mut this.stream).unwrap();
        }
        this
    }

    /// Sends what TLS has to send. Returns whether that was possible.
    fn flush(&mut self) -> bool {
        let mut bytes = Vec::new();
        while self.tls.wants_write() {
            self.tls.write_tls(&mut bytes).unwrap();
        }
        let step = if self.cuts_records { Pace::ByteByByte.step(bytes.len()) } else { bytes.len() };
        bytes.chunks(step.max(1)).all(|piece| {
            let is_sent = self.stream.write_all(piece).is_ok();
            // In most cases the server receives this piece separately.
            std::thread::sleep(Duration::from_micros(20));
            is_sent
        })
    }

    /// Reads once; returns the end if there is one.
    fn fill(&mut self) -> Option<End> {
        match self.tls.read_tls(&mut self.stream) {
            // It is told by the state, and TCP has ended too early without.
            Ok(0) => return Some(if self.has_ended() { End::Fin } else { End::Reset }),
            Ok(_) => {}
            Err(error) => {
                let kind = error.kind();
                let is_open = matches!(kind, ErrorKind::WouldBlock | ErrorKind::TimedOut);
                return Some(if is_open { End::Open } else { End::Reset });
            }
        }
        let state = self.tls.process_new_packets().unwrap();
        let mut plain = vec![0; state.plaintext_bytes_to_read()];
        self.tls.reader().read_exact(&mut plain).unwrap();
        self.received.extend(plain);
        state.peer_has_closed().then(|| self.end())
    }

    fn has_ended(&mut self) -> bool {
        self.tls.process_new_packets().is_ok_and(|state| state.peer_has_closed())
    }

    /// Answers the server's end of TLS, after which that of TCP has to come.
    fn end(&mut self) -> End {
        self.tls.send_close_notify();
        self.flush();
        match self.stream.read(&mut [0]) {
            Ok(0) => End::Fin,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Reset,
            _ => End::Open,
        }
    }

    fn wait(&mut self, limit: Duration) {
        self.stream.set_read_timeout(Some(limit.max(Duration::from_millis(1)))).unwrap();
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        self.received.drain(..len).collect()
    }
}

impl Peer for TlsClient {
    fn send(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(self.pace.step(bytes.len()).max(1)) {
            self.tls.writer().write_all(piece).unwrap();
            if !self.flush() {
                return;
            }
        }
    }

    fn read_head(&mut self) -> Head {
        self.wait(PATIENCE);
        loop {
            if let Some((head, len)) = Head::parse(&self.received) {
                self.take(len);
                return head;
            }
            assert_eq!(self.fill(), None, "while waiting for a head");
        }
    }

    fn try_read_through(&mut self, end: &[u8], limit: Duration) -> Vec<u8> {
        self.wait(limit);
        loop {
            let at = self.received.windows(end.len()).position(|window| window == end);
            if let Some(at) = at {
                return self.take(at + end.len());
            }
            if self.fill().is_some() {
                return std::mem::take(&mut self.received);
            }
        }
    }

    fn try_read_frame(&mut self, limit: Duration) -> Result<Frame, (Vec<u8>, End)> {
        self.wait(limit);
        loop {
            if let Some((header, len)) = wire::server_header(&self.received)
                && self.received.len() >= header + len
            {
                let frame = self.take(header + len);
                return Ok(Frame { first: frame[0], payload: frame[header..].to_vec() });
            }
            if let Some(end) = self.fill() {
                return Err((std::mem::take(&mut self.received), end));
            }
        }
    }

    fn read_to_end(&mut self, limit: Duration) -> (Vec<u8>, End) {
        let deadline = Instant::now() + limit;
        loop {
            self.wait(deadline.saturating_duration_since(Instant::now()));
            if let Some(end) = self.fill() {
                return (std::mem::take(&mut self.received), end);
            }
        }
    }
}
