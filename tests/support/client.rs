//! A WebSocket client for tests: it sends any bytes, and returns the received bytes unchanged.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use super::hex;
use super::wire::{self, Frame};

/// The time that a client waits for bytes that should arrive immediately.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// The key of RFC 6455 section 1.3, and the answer to it.
pub(crate) const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
pub(crate) const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// A valid opening handshake with further header lines, each ended by CR LF.
pub(crate) fn request(further: &str) -> Vec<u8> {
    request_to("/", further)
}

/// The same for a path, and a query if there is one, other than `/`.
pub(crate) fn request_to(target: &str, further: &str) -> Vec<u8> {
    let head = format!(
        "GET {target} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n{further}\r\n"
    );
    head.into_bytes()
}

/// The way in which the server's bytes ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// An orderly end: the server sent FIN.
    Fin,
    /// The connection was reset.
    Reset,
    /// The read timed out: neither bytes nor an end.
    Open,
}

/// The head of an HTTP response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) status: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl Head {
    /// The head at the start of `bytes` and its length, `None` while incomplete.
    ///
    /// # Panics
    /// If it is not HTTP in the form that this server sends: lines ended by CR LF, `Name: value`.
    pub(crate) fn parse(bytes: &[u8]) -> Option<(Self, usize)> {
        let len = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = std::str::from_utf8(&bytes[..len - 4]).expect("a response in ASCII");
        let mut lines = text.split("\r\n");
        let status = lines.next().unwrap().to_owned();
        let header = |line: &str| {
            assert!(!line.contains(['\r', '\n']), "bare CR or LF in {line:?}");
            let (name, value) = line.split_once(": ").expect("a header line");
            (name.to_owned(), value.to_owned())
        };
        Some((Self { status, headers: lines.map(header).collect() }, len))
    }

    /// The values of the header `name`, in order.
    pub(crate) fn all(&self, name: &str) -> Vec<&str> {
        let named = self.headers.iter().filter(|(n, _)| n.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str()).collect()
    }

    /// The value of the header `name`, which must not occur twice.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        let all = self.all(name);
        assert!(all.len() < 2, "{name} more than once: {all:?}");
        all.first().copied()
    }
}

/// One connection.
pub(crate) struct Client {
    stream: TcpStream,
    received: Vec<u8>,
    taken: usize,
}

impl Client {
    /// A TCP connection, without a handshake.
    pub(crate) fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).expect("a server that accepts");
        Self::from_stream(stream)
    }

    /// Takes over a connected socket.
    pub(crate) fn from_stream(stream: TcpStream) -> Self {
        stream.set_nodelay(true).unwrap();
        Self::from_socket(stream)
    }

    /// A connection to a Unix-domain socket, without a handshake.
    pub(crate) fn connect_unix(path: &Path) -> Self {
        let stream = UnixStream::connect(path).expect("a server that accepts");
        // The type only reads and writes: it serves for every stream socket.
        Self::from_socket(TcpStream::from(OwnedFd::from(stream)))
    }

    fn from_socket(stream: TcpStream) -> Self {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self { stream, received: Vec::new(), taken: 0 }
    }

    /// A connection after its handshake.
    pub(crate) fn open(addr: SocketAddr) -> Self {
        Self::open_with(addr, "").0
    }

    /// A connection after a handshake with further header lines, and the response.
    pub(crate) fn open_with(addr: SocketAddr, further: &str) -> (Self, Head) {
        let mut client = Self::connect(addr);
        let head = client.open_at("/", further);
        (client, head)
    }

    /// Does the handshake for `target`, with further header lines; returns the response.
    pub(crate) fn open_at(&mut self, target: &str, further: &str) -> Head {
        self.send(&request_to(target, further));
        let head = self.read_head();
        assert_eq!(head.status, "HTTP/1.1 101 Switching Protocols", "{target}");
        assert_eq!(head.get("Sec-WebSocket-Accept"), Some(ACCEPT));
        head
    }

    /// A TCP connection with a receive buffer of `bytes`, so that the server's sends fall short
    /// soon after the client stops reading.
    pub(crate) fn connect_narrow(addr: SocketAddr, bytes: usize) -> Self {
        use rustix::net::{AddressFamily, SocketType, connect, socket, sockopt};
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
        sockopt::set_socket_recv_buffer_size(&socket, bytes).unwrap();
        connect(&socket, &addr).expect("a server that accepts");
        Self::from_stream(TcpStream::from(socket))
    }

    /// The socket.
    pub(crate) fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Returns the socket.
    pub(crate) fn into_stream(self) -> TcpStream {
        assert!(self.unread().is_empty(), "received bytes would be lost");
        self.stream
    }

    /// Sends all of `bytes`.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("a server that takes what it is sent");
    }

    /// Sends all of `bytes`, if the server takes them within the write timeout.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Sends `bytes` in writes of `step` bytes, and stops at an error: a server that refuses them
    /// may have closed before the last.
    pub(crate) fn send_in_steps(&mut self, bytes: &[u8], step: usize) {
        for piece in bytes.chunks(step.max(1)) {
            if self.stream.write_all(piece).is_err() {
                return;
            }
            // In most cases the server receives this piece separately.
            std::thread::sleep(Duration::from_micros(20));
        }
    }

    /// Sends FIN.
    pub(crate) fn finish(&self) {
        let _ = self.stream.shutdown(Shutdown::Write);
    }

    /// Closes with a reset instead of FIN.
    pub(crate) fn reset(self) {
        rustix::net::sockopt::set_socket_linger(&self.stream, Some(Duration::ZERO)).unwrap();
    }

    /// The received bytes that were not taken yet.
    fn unread(&self) -> &[u8] {
        &self.received[self.taken..]
    }

    fn take(&mut self, len: usize) -> Vec<u8> {
        let bytes = self.received[self.taken..self.taken + len].to_vec();
        self.taken += len;
        if self.taken == self.received.len() {
            self.received.clear();
            self.taken = 0;
        }
        bytes
    }

    /// Reads once; returns the end if the stream has ended.
    fn fill(&mut self) -> Option<End> {
        let mut buffer = [0; 1 << 16];
        loop {
            match self.stream.read(&mut buffer) {
                Ok(0) => return Some(End::Fin),
                Ok(n) => {
                    self.received.extend_from_slice(&buffer[..n]);
                    return None;
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Some(end_of(error.kind())),
            }
        }
    }

    fn fill_or_panic(&mut self, waiting_for: &str) {
        if let Some(end) = self.fill() {
            panic!("{end:?} while waiting for {waiting_for}, after {}", hex(self.unread()));
        }
    }

    /// The head of an HTTP response.
    pub(crate) fn read_head(&mut self) -> Head {
        loop {
            if let Some((head, len)) = Head::parse(self.unread()) {
                self.take(len);
                return head;
            }
            self.fill_or_panic("the head of a response");
        }
    }

    /// The next frame if it is complete.
    fn take_frame(&mut self) -> Option<Frame> {
        let (header, payload) = wire::server_header(self.unread())?;
        if self.unread().len() < header + payload {
            return None;
        }
        let frame = self.take(header + payload);
        Some(Frame { first: frame[0], payload: frame[header..].to_vec() })
    }

    /// The complete frames that were received, without reading.
    pub(crate) fn take_frames(&mut self) -> Vec<Frame> {
        let frames = std::iter::from_fn(|| self.take_frame()).collect();
        // Discards the frames; otherwise the buffer would grow with all input.
        self.received.drain(..self.taken);
        self.taken = 0;
        frames
    }

    /// Reads once; returns the complete frames, and the end if the stream has ended.
    pub(crate) fn receive(&mut self) -> (Vec<Frame>, Option<End>) {
        let end = self.fill();
        (self.take_frames(), end)
    }

    /// The next frame.
    pub(crate) fn read_frame(&mut self) -> Frame {
        loop {
            if let Some(frame) = self.take_frame() {
                return frame;
            }
            self.fill_or_panic("a frame");
        }
    }

    /// The next frame. If a read takes longer than `limit`, the bytes that came instead and the
    /// end.
    pub(crate) fn try_read_frame(&mut self, limit: Duration) -> Result<Frame, (Vec<u8>, End)> {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let outcome = loop {
            if let Some(frame) = self.take_frame() {
                break Ok(frame);
            }
            if let Some(end) = self.fill() {
                break Err((self.take(self.unread().len()), end));
            }
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        outcome
    }

    /// The bytes up to and with the first `end`, or all bytes that came if a read takes longer than
    /// `limit`.
    pub(crate) fn try_read_through(&mut self, end: &[u8], limit: Duration) -> Vec<u8> {
        self.stream.set_read_timeout(Some(limit)).unwrap();
        let len = loop {
            let at = self.unread().windows(end.len()).position(|window| window == end);
            if let Some(at) = at {
                break at + end.len();
            }
            if self.fill().is_some() {
                break self.unread().len();
            }
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        self.take(len)
    }

    /// Reads so many bytes.
    pub(crate) fn read_bytes(&mut self, len: usize) -> Vec<u8> {
        while self.unread().len() < len {
            self.fill_or_panic(&format!("{len} bytes"));
        }
        self.take(len)
    }

    /// Reads as many bytes as `expected` has, and compares.
    pub(crate) fn expect(&mut self, expected: &[u8]) {
        while self.unread().len() < expected.len() {
            self.fill_or_panic(&hex(expected));
        }
        let got = self.take(expected.len());
        assert!(got == expected, "got {}\ninstead of {}", hex(&got), hex(expected));
    }

    /// All bytes until the server ends the connection, for at most `limit`.
    pub(crate) fn read_to_end(&mut self, limit: Duration) -> (Vec<u8>, End) {
        let deadline = Instant::now() + limit;
        let end = loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let timeout = left.max(Duration::from_millis(1));
            self.stream.set_read_timeout(Some(timeout)).unwrap();
            if let Some(end) = self.fill() {
                break end;
            }
        };
        self.stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let len = self.unread().len();
        (self.take(len), end)
    }

    /// The connection must send exactly `expected` and then FIN.
    pub(crate) fn expect_end(&mut self, expected: &[u8]) {
        let (got, end) = self.read_to_end(PATIENCE);
        assert!(
            got == expected && end == End::Fin,
            "got {} and {end:?}\ninstead of {} and FIN",
            hex(&got),
            hex(expected)
        );
    }

    /// The connection must be alive without unread data: the answer to a ping comes next.
    pub(crate) fn expect_alive(&mut self) {
        let payload = b"still there?";
        self.send(&wire::frame(wire::FIN | wire::PING, payload));
        self.expect(&wire::unmasked(wire::FIN | wire::PONG, payload));
    }

    /// The same if there are answers to earlier pings.
    pub(crate) fn expect_alive_behind_pongs(&mut self) {
        let payload = b"still there?";
        self.send(&wire::frame(wire::FIN | wire::PING, payload));
        loop {
            let Frame { first, payload: found } = self.read_frame();
            assert_eq!(first, wire::FIN | wire::PONG, "{}", hex(&found));
            if found == payload {
                return;
            }
        }
    }

    /// The closing handshake, after which the server must end the connection.
    pub(crate) fn close(mut self) {
        self.send(&wire::close(1000, ""));
        self.expect_end(&wire::server_close(1000, ""));
    }
}

fn end_of(kind: ErrorKind) -> End {
    match kind {
        ErrorKind::WouldBlock | ErrorKind::TimedOut => End::Open,
        _ => End::Reset,
    }
}
