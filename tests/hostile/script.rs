//! What an attacker's connection does, as data.

use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;

/// Bytes that many connections send.
pub(crate) type Bytes = Arc<[u8]>;

/// What is done with what the server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reads {
    /// It is read and thrown away.
    All,
    /// Nothing is read after the response to the handshake.
    Nothing,
    /// So many bytes are read at each look, some 300 times a second.
    Slowly(usize),
}

/// What a connection does once it has sent all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    Stays,
    /// It is reset.
    Resets,
    /// FIN is sent, and the rest is read as said.
    Finishes,
}

/// How a connection reaches the server.
#[derive(Clone)]
pub(crate) enum Over {
    /// Through the listener without TLS.
    Tcp,
    /// Through the listener with TLS, to which the bytes are sent as they are.
    BareTls,
    Tls(Secure),
}

/// A client of TLS.
#[derive(Clone)]
pub(crate) struct Secure {
    pub(crate) config: Arc<ClientConfig>,
    /// The most plain bytes of a record.
    pub(crate) record: usize,
    /// Whether the key is updated before each record.
    pub(crate) updates: bool,
}

/// A number of connections that do the same.
#[derive(Clone)]
pub(crate) struct Group {
    pub(crate) count: usize,
    pub(crate) over: Over,
    /// The path and query of the handshake; without one the bytes come on a bare TCP connection.
    pub(crate) target: Option<String>,
    /// Whether permessage-deflate is offered.
    pub(crate) deflate: bool,
    /// What is sent first: connection `i` sends entry `i` modulo their number.
    pub(crate) first: Vec<Bytes>,
    /// What is sent after that, again and again; chosen in the same way.
    pub(crate) again: Vec<Bytes>,
    /// How often `again` is sent; `None` is without end.
    pub(crate) times: Option<u64>,
    /// The time from one sending of `again` to the next; as fast as it is taken if not given.
    pub(crate) every: Option<Duration>,
    /// How long after the start of the attack the connections begin.
    pub(crate) delay: Duration,
    /// How long after that `again` is sent for the first time, at once by all.
    pub(crate) hold: Duration,
    pub(crate) reads: Reads,
    /// Bytes of the receive buffer, if it is not the system's default.
    pub(crate) room: Option<usize>,
    pub(crate) then: Then,
    /// Whether a connection that has ended is made anew.
    pub(crate) anew: bool,
}

impl Group {
    /// `count` connections that do a handshake for `target` and read all.
    pub(crate) fn to(target: &str, count: usize) -> Self {
        Self { target: Some(target.to_owned()), ..Self::bare(count) }
    }

    /// `count` TCP connections without a handshake of their own.
    pub(crate) fn bare(count: usize) -> Self {
        Self {
            count,
            over: Over::Tcp,
            target: None,
            deflate: false,
            first: Vec::new(),
            again: Vec::new(),
            times: None,
            every: None,
            delay: Duration::ZERO,
            hold: Duration::ZERO,
            reads: Reads::All,
            room: None,
            then: Then::Stays,
            anew: false,
        }
    }

    pub(crate) fn over(self, over: Over) -> Self {
        Self { over, ..self }
    }

    pub(crate) fn deflate(self) -> Self {
        Self { deflate: true, ..self }
    }

    /// All send these bytes first.
    pub(crate) fn first(self, bytes: Vec<u8>) -> Self {
        self.firsts(vec![bytes])
    }

    /// Each sends bytes of its own first.
    pub(crate) fn firsts(self, all: Vec<Vec<u8>>) -> Self {
        Self { first: all.into_iter().map(Bytes::from).collect(), ..self }
    }

    /// All send these bytes again and again.
    pub(crate) fn again(self, bytes: Vec<u8>) -> Self {
        self.agains(vec![bytes])
    }

    /// Each sends bytes of its own again and again.
    pub(crate) fn agains(self, all: Vec<Vec<u8>>) -> Self {
        Self { again: all.into_iter().map(Bytes::from).collect(), ..self }
    }

    pub(crate) fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    pub(crate) fn every_ms(self, ms: u64) -> Self {
        Self { every: Some(Duration::from_millis(ms)), ..self }
    }

    pub(crate) fn after_ms(self, ms: u64) -> Self {
        Self { delay: Duration::from_millis(ms), ..self }
    }

    pub(crate) fn hold_ms(self, ms: u64) -> Self {
        Self { hold: Duration::from_millis(ms), ..self }
    }

    pub(crate) fn reads(self, reads: Reads) -> Self {
        Self { reads, ..self }
    }

    /// Nothing is read.
    pub(crate) fn unread(self) -> Self {
        self.reads(Reads::Nothing)
    }

    pub(crate) fn room(self, bytes: usize) -> Self {
        Self { room: Some(bytes), ..self }
    }

    pub(crate) fn then(self, then: Then) -> Self {
        Self { then, ..self }
    }

    pub(crate) fn anew(self) -> Self {
        Self { anew: true, ..self }
    }
}

/// One kind of hostile load.
#[derive(Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) name: &'static str,
    /// What it does, in one line.
    pub(crate) about: &'static str,
    /// The fault that it stands for; empty for one that stands for itself.
    pub(crate) fault: &'static str,
    /// Whether the load is the work of one connection, to which the smaller bound applies.
    pub(crate) is_one: bool,
    /// The least seconds that the attack needs to come to its point.
    pub(crate) least: u64,
    /// What the command is given besides.
    pub(crate) flags: &'static [&'static str],
    pub(crate) make: fn() -> Vec<Group>,
}

impl Workload {
    /// The load of many connections.
    pub(crate) const fn many(
        name: &'static str,
        fault: &'static str,
        about: &'static str,
        make: fn() -> Vec<Group>,
    ) -> Self {
        Self { name, about, fault, is_one: false, least: 0, flags: &[], make }
    }

    /// The load of one connection.
    pub(crate) const fn one(
        name: &'static str,
        fault: &'static str,
        about: &'static str,
        make: fn() -> Vec<Group>,
    ) -> Self {
        Self { name, about, fault, is_one: true, least: 0, flags: &[], make }
    }

    /// The server has these flags.
    pub(crate) const fn with(self, flags: &'static [&'static str]) -> Self {
        Self { flags, ..self }
    }

    /// The attack takes so many seconds at least.
    pub(crate) const fn at_least(self, seconds: u64) -> Self {
        Self { least: seconds, ..self }
    }
}
