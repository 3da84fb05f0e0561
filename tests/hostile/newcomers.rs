//! Honest newcomers: one after the other connects, does a handshake and leaves.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, recv, send, socket_with,
    sockopt,
};

use crate::sched::Moment;
use crate::series::{Begun, Measured};
use crate::support::client::request_to;

const PERIOD: Duration = Duration::from_millis(100);
/// Where they go, in turn: to the echo, to a topic and to the JSON protocol.
const TARGETS: [&str; 3] = ["/", "/topics/newcomers?role=sub", "/pubsub"];

struct Newcomer {
    socket: OwnedFd,
    begun: Begun,
    request: Vec<u8>,
    response: Vec<u8>,
}

/// What came of a handshake.
enum Answer {
    /// 101.
    Welcome,
    /// 503.
    Refused,
    /// None, or another.
    Lost,
}

/// All that are under way.
pub(crate) struct Newcomers {
    addr: SocketAddr,
    /// The number of the first in epoll; the others have those above.
    first: u64,
    due: Instant,
    count: u64,
    waiting: HashMap<u64, Newcomer>,
}

impl Newcomers {
    pub(crate) fn new(addr: SocketAddr, first: u64, start: Instant) -> Self {
        Self { addr, first, due: start, count: 0, waiting: HashMap::new() }
    }

    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.due <= now
    }

    /// The next one connects.
    pub(crate) fn connect(&mut self, epoll: &OwnedFd, begun: Begun) {
        self.due = (self.due + PERIOD).max(begun.at.at);
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, flags, None).unwrap();
        sockopt::set_socket_linger(&socket, Some(Duration::ZERO)).unwrap();
        let outcome = connect(&socket, &self.addr);
        assert!(matches!(outcome, Ok(()) | Err(Errno::INPROGRESS | Errno::CONNREFUSED)));
        let token = self.first + self.count;
        let target = TARGETS[usize::try_from(self.count).unwrap() % TARGETS.len()];
        self.count += 1;
        let flags = EventFlags::OUT | EventFlags::IN | EventFlags::ET;
        epoll::add(epoll, &socket, EventData::new_u64(token), flags).unwrap();
        let request = request_to(target, "");
        self.waiting.insert(token, Newcomer { socket, begun, request, response: Vec::new() });
    }

    /// Does what the socket is ready for; one that has its answer leaves.
    pub(crate) fn ready(&mut self, token: u64, flags: EventFlags, now: &Moment, to: &mut Measured) {
        let Some(newcomer) = self.waiting.get_mut(&token) else { return };
        match newcomer.go_on(flags) {
            Some(Answer::Welcome) => to.handshake.add(&newcomer.begun, now),
            Some(Answer::Refused) => {
                to.handshake.add(&newcomer.begun, now);
                to.refused += 1;
            }
            Some(Answer::Lost) => to.handshake.lose(&newcomer.begun, now),
            None => return,
        }
        self.waiting.remove(&token);
    }

    pub(crate) fn are_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub(crate) fn give_up(&mut self, now: &Moment, to: &mut Measured) {
        self.waiting.drain().for_each(|(_, newcomer)| to.handshake.lose(&newcomer.begun, now));
    }
}

impl Newcomer {
    /// Sends and receives; what the answer is, once that is known.
    fn go_on(&mut self, flags: EventFlags) -> Option<Answer> {
        if flags.contains(EventFlags::OUT) && !self.request.is_empty() {
            let len = send(&self.socket, &self.request, SendFlags::NOSIGNAL).unwrap_or(0);
            self.request.drain(..len);
        }
        let mut room = [0; 1024];
        // A server that refuses it ends the connection right behind its answer.
        let is_over = loop {
            match recv(&self.socket, &mut room, RecvFlags::DONTWAIT) {
                Ok((0, _)) => break true,
                Ok((len, _)) => self.response.extend_from_slice(&room[..len]),
                Err(Errno::AGAIN) => break false,
                Err(_) => break true,
            }
        };
        let is_whole = self.response.windows(4).any(|four| four == b"\r\n\r\n");
        if is_over && !is_whole {
            return Some(Answer::Lost);
        }
        is_whole.then(|| match self.response.get(9..12) {
            Some(b"101") => Answer::Welcome,
            Some(b"503") => Answer::Refused,
            _ => Answer::Lost,
        })
    }
}
