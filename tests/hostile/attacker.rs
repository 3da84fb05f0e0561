//! One connection of an attacker, and what an attack did in sum.

use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, Shutdown, SocketFlags, SocketType, connect, shutdown, socket_with,
    sockopt,
};

use crate::run::Addresses;
use crate::script::{Bytes, Group, Over, Reads, Then};
use crate::stream::Stream;
use crate::support::client::request_to;

/// Bytes of one call to send, so that no call keeps the core for long.
const PIECE: usize = 64 << 10;
/// Such calls before the next connection has its turn.
const PIECES: usize = 4;
/// What is kept of what the server said.
const SAID: usize = 400;
const DEFLATE: &str = "Sec-WebSocket-Extensions: permessage-deflate\r\n";

/// What an attack did.
#[derive(Clone, Debug, Default)]
pub(crate) struct Report {
    /// Bytes that the sockets took, handshakes and all.
    pub(crate) sent: u64,
    /// Connections whose handshake was done, or bare ones that were connected.
    pub(crate) opened: u64,
    /// Handshakes that were answered with another status than 101.
    pub(crate) refused: u64,
    /// Connections that the server ended.
    pub(crate) ended: u64,
    /// The first bytes that each group was sent behind the handshake.
    pub(crate) said: Vec<Vec<u8>>,
}

/// What all attackers share.
pub(crate) struct Scratch {
    pub(crate) epoll: OwnedFd,
    pub(crate) report: Report,
    addresses: Addresses,
    room: Vec<u8>,
}

impl Scratch {
    pub(crate) fn new(epoll: OwnedFd, addresses: Addresses, groups: usize) -> Self {
        let report = Report { said: vec![Vec::new(); groups], ..Report::default() };
        Self { epoll, report, addresses, room: vec![0; 1 << 20] }
    }
}

/// What a connection is sending.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd)]
enum Part {
    Head,
    /// Nothing: the response to the handshake has not come.
    Response,
    First,
    Again,
    /// Nothing more.
    Done,
}

/// One connection, through all its lives.
pub(crate) struct Attacker<'a> {
    group: &'a Group,
    number: usize,
    index: usize,
    token: u64,
    head: Vec<u8>,
    stream: Option<Stream>,
    part: Part,
    offset: usize,
    rounds: u64,
    response: Vec<u8>,
    interest: EventFlags,
    /// When it begins, or sends again; `None` once it is over, and while it has something to send.
    due: Option<Instant>,
    /// When it sends `again` for the first time, if it is ready by then.
    hold: Instant,
}

impl<'a> Attacker<'a> {
    pub(crate) fn new(
        group: &'a Group,
        number: usize,
        index: usize,
        token: u64,
        start: Instant,
    ) -> Self {
        let further = if group.deflate { DEFLATE } else { "" };
        let head = group.target.as_deref().map(|target| request_to(target, further));
        Self {
            group,
            number,
            index,
            token,
            head: head.unwrap_or_default(),
            stream: None,
            part: Part::Head,
            offset: 0,
            rounds: 0,
            response: Vec::new(),
            interest: EventFlags::empty(),
            due: Some(start),
            hold: start + group.hold,
        }
    }

    /// Connects, sends and reads what is due.
    pub(crate) fn tick(&mut self, now: Instant, scratch: &mut Scratch) {
        if self.due.is_some_and(|due| due <= now) {
            if self.stream.is_none() {
                self.due = None;
                self.connect(scratch);
                return;
            }
            let late = now - self.due.take().unwrap_or(now);
            self.write(scratch);
            // Keeps the pace, whatever the delay of this look.
            if let (Some(due), true) = (&mut self.due, late < Duration::from_millis(100)) {
                *due -= late;
            }
        }
        if let Reads::Slowly(most) = self.group.reads
            && self.part > Part::Response
        {
            self.read(most, scratch);
        }
        self.update(scratch);
    }

    /// Does what the socket is ready for.
    pub(crate) fn ready(&mut self, flags: EventFlags, scratch: &mut Scratch) {
        if flags.contains(EventFlags::IN) && self.stream.is_some() {
            self.read(usize::MAX, scratch);
        }
        if flags.contains(EventFlags::OUT)
            && let Some(stream) = &mut self.stream
        {
            // What TLS has to say, also if there is nothing else to send.
            let _ = stream.flush();
            self.write(scratch);
        }
        let is_broken = flags.intersects(EventFlags::ERR | EventFlags::HUP);
        if is_broken && !flags.contains(EventFlags::IN) && self.stream.is_some() {
            self.end(scratch);
        }
        self.update(scratch);
    }

    /// Keeps the first that the server said to this group, if nothing was kept yet.
    pub(crate) fn listen_once(&mut self, scratch: &mut Scratch) {
        if scratch.report.said[self.number].is_empty() && self.part > Part::Response {
            self.read(SAID, scratch);
        }
    }

    fn connect(&mut self, scratch: &mut Scratch) {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)
            .expect("descriptors for all attackers: raise the limit of open files");
        if let Some(room) = self.group.room {
            let _ = sockopt::set_socket_recv_buffer_size(&socket, room);
        }
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        // Ports are not kept by ends in TIME_WAIT.
        let _ = sockopt::set_socket_linger(&socket, Some(Duration::ZERO));
        let (addr, secure) = match &self.group.over {
            Over::Tcp => (scratch.addresses.plain, None),
            Over::BareTls => (scratch.addresses.tls(), None),
            Over::Tls(secure) => (scratch.addresses.tls(), Some(secure)),
        };
        match connect(&socket, &addr) {
            Ok(()) | Err(Errno::INPROGRESS) => {}
            Err(_) => {
                self.due = Some(Instant::now() + Duration::from_millis(5));
                return;
            }
        }
        self.interest = EventFlags::OUT;
        let data = EventData::new_u64(self.token);
        epoll::add(&scratch.epoll, &socket, data, self.interest).unwrap();
        self.stream = Some(Stream::new(socket, secure));
        (self.part, self.offset, self.rounds) = (Part::Head, 0, 0);
        self.response.clear();
    }

    /// What is being sent.
    fn output(&self) -> &[u8] {
        match self.part {
            Part::Head => &self.head,
            Part::First => self.own(&self.group.first),
            Part::Again => self.own(&self.group.again),
            Part::Response | Part::Done => &[],
        }
    }

    /// What this connection sends of `all`.
    fn own<'b>(&self, all: &'b [Bytes]) -> &'b [u8] {
        if all.is_empty() { &[] } else { &all[self.index % all.len()] }
    }

    fn write(&mut self, scratch: &mut Scratch) {
        for _ in 0..PIECES {
            while self.offset == self.output().len() {
                if !self.advance(scratch) {
                    return;
                }
            }
            let Some(mut stream) = self.stream.take() else { return };
            let rest = &self.output()[self.offset..];
            let length = rest.len().min(PIECE);
            let sent = stream.send(&rest[..length]);
            scratch.report.sent += stream.take_sent();
            self.stream = Some(stream);
            match sent {
                Ok(taken) => {
                    self.offset += taken;
                    if taken < length {
                        return;
                    }
                }
                Err(Errno::AGAIN) => return,
                Err(_) => return self.end(scratch),
            }
        }
    }

    /// Goes on to what comes next; `false` if that is not to be sent now.
    fn advance(&mut self, scratch: &mut Scratch) -> bool {
        self.offset = 0;
        self.part = match self.part {
            Part::Head if self.group.target.is_some() => Part::Response,
            Part::Head => {
                scratch.report.opened += 1;
                Part::First
            }
            Part::First if self.group.again.is_empty() => Part::Done,
            Part::First => Part::Again,
            Part::Again => {
                self.rounds += 1;
                let is_last = self.group.times.is_some_and(|times| self.rounds >= times);
                if is_last { Part::Done } else { Part::Again }
            }
            same => same,
        };
        if self.part == Part::Done {
            self.finish();
        }
        if self.part == Part::Again && self.rounds > 0 {
            self.due = self.group.every.map(|every| Instant::now() + every);
        } else if self.part == Part::Again && Instant::now() < self.hold {
            self.due = Some(self.hold);
        }
        !matches!(self.part, Part::Response | Part::Done) && self.due.is_none()
    }

    /// All is sent.
    fn finish(&mut self) {
        match (self.group.then, &self.stream) {
            (Then::Finishes, Some(stream)) => {
                let _ = shutdown(&stream.socket, Shutdown::Write);
            }
            (Then::Resets, _) => self.leave(),
            _ => {}
        }
    }

    fn read(&mut self, most: usize, scratch: &mut Scratch) {
        let Some(stream) = &mut self.stream else { return };
        let is_response = self.part <= Part::Response && self.group.target.is_some();
        let said = &mut scratch.report.said[self.number];
        let (len, flags) = match (is_response, said.len() < SAID) {
            (true, _) => (1024, RecvFlags::DONTWAIT),
            (false, true) => (SAID, RecvFlags::DONTWAIT),
            // Thrown away by the kernel, which is cheap.
            (false, false) => (scratch.room.len(), RecvFlags::DONTWAIT | RecvFlags::TRUNC),
        };
        let room = &mut scratch.room[..len.min(most)];
        let received = stream.receive(room, flags);
        scratch.report.sent += stream.take_sent();
        match received {
            Ok(0) => self.end(scratch),
            Ok(len) if is_response => {
                let bytes = scratch.room[..len].to_vec();
                self.response.extend(bytes);
                self.take_response(scratch);
            }
            Ok(len) => {
                if said.len() < SAID {
                    said.extend_from_slice(&scratch.room[..len.min(SAID)]);
                }
            }
            Err(Errno::AGAIN) => {}
            Err(_) => self.end(scratch),
        }
    }

    fn take_response(&mut self, scratch: &mut Scratch) {
        if !self.response.windows(4).any(|four| four == b"\r\n\r\n") {
            return;
        }
        if self.response.starts_with(b"HTTP/1.1 101 ") {
            scratch.report.opened += 1;
            self.part = Part::First;
            self.offset = 0;
        } else {
            scratch.report.refused += 1;
            self.end(scratch);
        }
    }

    /// The server has ended it.
    fn end(&mut self, scratch: &mut Scratch) {
        scratch.report.ended += 1;
        self.leave();
    }

    fn leave(&mut self) {
        self.stream = None;
        self.part = Part::Done;
        self.due = self.group.anew.then(Instant::now);
    }

    /// Tells epoll what is waited for.
    fn update(&mut self, scratch: &Scratch) {
        let Some(stream) = &self.stream else { return };
        let is_sending = matches!(self.part, Part::Head | Part::First | Part::Again);
        let reads = self.group.reads == Reads::All || self.part == Part::Response;
        let mut interest = EventFlags::empty();
        let handshakes = stream.is_handshaking();
        let sends = is_sending && self.due.is_none() && !handshakes;
        interest.set(EventFlags::OUT, sends || stream.wants_write());
        interest.set(EventFlags::IN, reads || handshakes);
        if interest != self.interest {
            self.interest = interest;
            let data = EventData::new_u64(self.token);
            epoll::modify(&scratch.epoll, &stream.socket, data, interest).unwrap();
        }
    }
}
