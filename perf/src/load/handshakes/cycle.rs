//! Connections one after the other in one place: connect, upgrade, close.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use crate::frames::{self, CLOSE, Head, Offer};
use crate::load::connect;
use crate::load::open::Opener;
use crate::load::tls::Client;

/// The status code of a normal closure.
const NORMAL: [u8; 2] = 1000_u16.to_be_bytes();

/// The settings that all connections share.
pub(super) struct Shared {
    pub(super) address: SocketAddr,
    pub(super) path: String,
    pub(super) deflate: bool,
    pub(super) opener: Opener,
    /// A session that is not resumed is an error.
    pub(super) resumes: bool,
    /// The server waits for the client to end the stream.
    pub(super) we_end: bool,
    pub(super) epoll: OwnedFd,
    pub(super) buffer: Vec<u8>,
    /// Bytes received.
    pub(super) bytes: u64,
}

/// The result of an event.
pub(super) enum Step {
    Waits,
    /// The time from `connect` to the response.
    Upgraded(Duration),
    Ended,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Connecting,
    /// The request is sent.
    Asking,
    /// The close frame is sent.
    Closing,
    /// The server's close frame was received; only the end of the stream is missing.
    Ending,
}

/// A place for connections.
pub(super) struct Cycle {
    stream: Option<TcpStream>,
    state: State,
    key: String,
    request: String,
    handshake: Option<Client>,
    /// Whether the response is checked completely.
    check: bool,
    began: Instant,
    /// Input that is not handled yet.
    came: Vec<u8>,
}

impl Cycle {
    pub(super) fn new() -> Self {
        Self {
            stream: None,
            state: State::Connecting,
            key: String::new(),
            request: String::new(),
            handshake: None,
            check: false,
            began: Instant::now(),
            came: Vec::with_capacity(1024),
        }
    }

    /// Starts a connection from `source`; its events carry `token`.
    pub(super) fn begin(
        &mut self,
        shared: &Shared,
        source: Option<Ipv4Addr>,
        check: bool,
        token: usize,
    ) -> io::Result<()> {
        let offer = if shared.deflate { Offer::Takeover } else { Offer::Nothing };
        self.key = connect::random_key();
        self.request = frames::request(&shared.path, shared.address, &self.key, offer);
        self.came.clear();
        (self.state, self.check, self.began) = (State::Connecting, check, Instant::now());
        let stream = connect::dial(shared.address, source, true)
            .map_err(|e| io::Error::new(e.kind(), format!("connecting: {e}")))?;
        self.stream = Some(stream);
        self.handshake = shared.opener.handshake()?;
        if let Some(client) = &mut self.handshake {
            client.send(self.request.as_bytes())?;
        }
        // Over loopback the connection is established by now.
        let flags = match self.send_request() {
            Ok(n) if n == self.request.len() => {
                self.state = State::Asking;
                EventFlags::IN | EventFlags::RDHUP
            }
            Err(e) if e.kind() == ErrorKind::WouldBlock => EventFlags::OUT,
            done => return Err(unwritten("the request", done)),
        };
        let Some(stream) = &self.stream else { return Ok(()) };
        epoll::add(&shared.epoll, stream, EventData::new_u64(token as u64), flags)?;
        Ok(())
    }

    /// Sends the request, or with TLS the beginning of the handshake that it follows.
    fn send_request(&mut self) -> io::Result<usize> {
        let Some(mut stream) = self.stream.as_ref() else { return Ok(0) };
        match &mut self.handshake {
            Some(client) => client.flush(stream).map(|()| self.request.len()),
            None => stream.write(self.request.as_bytes()),
        }
    }

    /// Closes this end of the stream; the kernel handles the rest.
    pub(super) fn end(&mut self) {
        self.stream = None;
        self.handshake = None;
    }

    /// Whether only the end of the stream is missing.
    pub(super) fn is_ending(&self) -> bool {
        self.state == State::Ending
    }

    /// Handles an event.
    pub(super) fn ready(
        &mut self,
        shared: &mut Shared,
        flags: EventFlags,
        token: usize,
    ) -> io::Result<Step> {
        if self.state == State::Connecting {
            return self.ask(shared, token).map(|()| Step::Waits);
        }
        loop {
            match self.read(shared)? {
                Some(0) if self.state == State::Ending => return Ok(Step::Ended),
                Some(0) => return Err(self.broke("the server closed it")),
                Some(_) => {}
                None => return Ok(Step::Waits),
            }
            match self.state {
                State::Asking => {
                    if let Some(took) = self.upgrade(shared)? {
                        return Ok(Step::Upgraded(took));
                    }
                }
                State::Closing => self.close()?,
                State::Connecting | State::Ending => {}
            }
            if self.state == State::Ending {
                if !self.came.is_empty() {
                    return Err(self.broke("something came after the close frame"));
                }
                if shared.we_end {
                    return Ok(Step::Ended);
                }
            }
            if !flags.contains(EventFlags::RDHUP) {
                return Ok(Step::Waits);
            }
        }
    }

    /// Sends the request of a connection that is established or has failed by now.
    fn ask(&mut self, shared: &Shared, token: usize) -> io::Result<()> {
        match self.send_request() {
            Ok(n) if n == self.request.len() => self.state = State::Asking,
            done => return Err(unwritten("the request", done)),
        }
        let Some(stream) = &self.stream else { return Ok(()) };
        let flags = EventFlags::IN | EventFlags::RDHUP;
        epoll::modify(&shared.epoll, stream, EventData::new_u64(token as u64), flags)?;
        Ok(())
    }

    /// Reads the input: none yet, or no bytes at the end of the stream.
    fn read(&mut self, shared: &mut Shared) -> io::Result<Option<usize>> {
        let Some(mut stream) = self.stream.as_ref() else { return Ok(None) };
        match stream.read(&mut shared.buffer) {
            Ok(n) => {
                shared.bytes += n as u64;
                let Some(client) = &mut self.handshake else {
                    self.came.extend_from_slice(&shared.buffer[..n]);
                    return Ok(Some(n));
                };
                client.received(&shared.buffer[..n]);
                while client.record(&mut self.came)? {}
                client.flush(stream)?;
                Ok(Some(n))
            }
            Err(e) if matches!(e.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(None)
            }
            Err(e) => Err(self.broke(&e.to_string())),
        }
    }

    /// Looks for the complete response, checks it and sends the close frame.
    fn upgrade(&mut self, shared: &Shared) -> io::Result<Option<Duration>> {
        let Some(end) = frames::head_end(&self.came) else { return Ok(None) };
        let took = self.began.elapsed();
        let head = &self.came[..end];
        if self.check || !head.starts_with(b"HTTP/1.1 101 ") {
            connect::check_answer(head, &shared.path, &self.key, shared.deflate)?;
        }
        self.came.drain(..end);
        if shared.resumes && !self.handshake.as_ref().is_some_and(Client::is_resumed) {
            return Err(self.broke("the server did not resume the session"));
        }
        let frame = frames::masked(CLOSE, &NORMAL);
        let Some(mut stream) = self.stream.as_ref() else { return Ok(None) };
        let done = match &mut self.handshake {
            Some(client) => {
                client.send(&frame)?;
                client.flush(stream).map(|()| frame.len())
            }
            None => stream.write(&frame),
        };
        match done {
            Ok(n) if n == frame.len() => self.state = State::Closing,
            done => return Err(unwritten("the close frame", done)),
        }
        Ok(Some(took))
    }

    /// Looks for the server's close frame, and skips other frames before it.
    fn close(&mut self) -> io::Result<()> {
        while let Some(head) = Head::parse(&self.came) {
            if head.payload.end > self.came.len() {
                break;
            }
            let payload = self.came[head.payload.clone()].to_vec();
            self.came.drain(..head.payload.end);
            if head.opcode() == CLOSE {
                if !payload.is_empty() && !payload.starts_with(&NORMAL) {
                    return Err(self.broke(&format!("its close frame is {payload:02x?}")));
                }
                self.state = State::Ending;
                break;
            }
        }
        Ok(())
    }

    fn broke(&self, what: &str) -> io::Error {
        let when = match self.state {
            State::Connecting => "connecting",
            State::Asking => "waiting for the answer",
            State::Closing => "waiting for the close frame",
            State::Ending => "waiting for the end of the stream",
        };
        io::Error::other(format!("a connection failed, {when}: {what}"))
    }
}

/// The error for a write that did not take everything; there is always room for such short data.
fn unwritten(what: &str, done: io::Result<usize>) -> io::Error {
    match done {
        Ok(n) => io::Error::other(format!("only {n} bytes of {what} could be sent")),
        Err(e) => io::Error::new(e.kind(), format!("sending {what}: {e}")),
    }
}
