//! An honest client of the echo, and an honest subscriber.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Instant;

use crate::sched::Moment;
use crate::series::{Begun, Series};
use crate::support::wire::{self, BINARY, CLOSE, FIN, Frame};

/// A connection, and what has come of a frame.
struct Peer {
    /// None once it has ended.
    stream: Option<TcpStream>,
    received: Vec<u8>,
}

impl Peer {
    fn new(stream: TcpStream) -> Self {
        Self { stream: Some(stream), received: Vec::new() }
    }

    fn is_ended(&self) -> bool {
        self.stream.is_none()
    }

    /// The whole frames that are here. A close frame, an end and an error end the connection.
    fn receive(&mut self) -> Vec<Frame> {
        let mut room = [0; 16 << 10];
        let Some(stream) = &mut self.stream else { return Vec::new() };
        match stream.read(&mut room) {
            Ok(0) => self.stream = None,
            Ok(len) => self.received.extend_from_slice(&room[..len]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => self.stream = None,
        }
        let (frames, rest) = wire::server_frames(&self.received);
        let taken = self.received.len() - rest.len();
        self.received.drain(..taken);
        if frames.iter().any(|frame| frame.first == FIN | CLOSE) {
            self.stream = None;
        }
        frames
    }
}

/// A client of the echo.
pub(crate) struct Echo {
    peer: Peer,
    begun: VecDeque<Begun>,
    pub(crate) due: Instant,
}

impl Echo {
    pub(crate) fn new(stream: TcpStream, due: Instant) -> Self {
        Self { peer: Peer::new(stream), begun: VecDeque::new(), due }
    }

    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.peer.stream.as_ref()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.peer.is_ended()
    }

    /// Sends a message, unless the connection has ended.
    pub(crate) fn send(&mut self, begun: Begun, payload: &[u8]) {
        let Some(stream) = &mut self.peer.stream else { return };
        let frame = wire::frame(FIN | BINARY, payload);
        match stream.write(&frame) {
            Ok(len) if len == frame.len() => self.begun.push_back(begun),
            // So little always has room, unless the server has not read for very long.
            _ => self.peer.stream = None,
        }
    }

    /// Takes the echoes that have come.
    pub(crate) fn receive(&mut self, now: &Moment, series: &mut Series) {
        for frame in self.peer.receive() {
            if frame.first == FIN | BINARY
                && let Some(begun) = self.begun.pop_front()
            {
                series.add(&begun, now);
            }
        }
    }

    pub(crate) fn is_waiting(&self) -> bool {
        !self.peer.is_ended() && !self.begun.is_empty()
    }

    pub(crate) fn give_up(&mut self, now: &Moment, series: &mut Series) {
        self.begun.drain(..).for_each(|begun| series.lose(&begun, now));
    }
}

/// A subscriber.
pub(crate) struct Subscriber {
    peer: Peer,
    /// The number of the message that comes next.
    next: usize,
}

impl Subscriber {
    pub(crate) fn new(stream: TcpStream) -> Self {
        Self { peer: Peer::new(stream), next: 0 }
    }

    pub(crate) fn stream(&self) -> Option<&TcpStream> {
        self.peer.stream.as_ref()
    }

    pub(crate) fn is_ended(&self) -> bool {
        self.peer.is_ended()
    }

    /// Takes the messages that have come; each holds its number.
    pub(crate) fn receive(&mut self, now: &Moment, published: &[Begun], series: &mut Series) {
        for frame in self.peer.receive() {
            let Ok(number) = <[u8; 8]>::try_from(frame.payload) else { continue };
            let number = usize::try_from(u64::from_be_bytes(number)).unwrap();
            let Some(begun) = published.get(number) else { continue };
            if let Some(skipped) = published.get(self.next..number) {
                skipped.iter().for_each(|begun| series.lose(begun, now));
            }
            series.add(begun, now);
            self.next = self.next.max(number + 1);
        }
    }

    pub(crate) fn is_waiting(&self, published: usize) -> bool {
        !self.peer.is_ended() && self.next < published
    }

    pub(crate) fn give_up(&mut self, now: &Moment, published: &[Begun], series: &mut Series) {
        for begun in &published[self.next..] {
            series.lose(begun, now);
        }
        self.next = published.len();
    }
}
