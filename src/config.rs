//! All settings of a server, with their defaults and the reasons for them.

mod drain;
mod pattern;
mod rates;
mod reload;
mod routes;
mod slow;

use std::time::Duration;

use crate::protocol::http::{HeadLimits, TrustedProxies};
use crate::protocol::websocket::handshake::{DeflatePolicy, Origins};
pub use drain::{DrainCode, Draining};
pub use pattern::{Pattern, PatternError};
pub use rates::{RatePolicy, Rates, RouteRates};
pub(crate) use routes::TOPIC;
pub use routes::{Access, Compression, Route, RouteError, RouteId, RouteTo, Routes};
pub use slow::SlowConsumer;

/// The settings of one server.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// Limits of connections and messages.
    pub limits: Limits,
    /// How fast each client may send.
    pub rates: Rates,
    /// Timeouts of connections.
    pub timeouts: Timeouts,
    /// How connections are ended when the server stops.
    pub draining: Draining,
    /// permessage-deflate (RFC 7692): whether it is negotiated, and with which parameters.
    pub deflate: DeflatePolicy,
    /// The compression level, 1 (fast) to 9 (small).
    pub deflate_level: DeflateLevel,
    /// The origins (RFC 6454) whose pages may connect; others are refused with 403. By default an
    /// origin must have the host that the request names. `corecast serve` allows every origin.
    pub origins: Origins,
    /// The proxies that are believed when they say which client a request comes from. Default none.
    /// With any, each loop accepts 64 connections at most for each listener in a turn, and a
    /// connection takes some 64 bytes more.
    pub trusted_proxies: TrustedProxies,
    /// Whether the addresses of peers are known: in log lines, and for those who administrate the
    /// server. Default no; with [`trusted_proxies`](Self::trusted_proxies) they are in any case.
    /// Each loop accepts 64 connections at most for each listener in a turn then, and a connection
    /// takes 32 bytes more. `corecast serve` asks for them.
    pub peer_addresses: bool,
    /// Whether each answered request, and the end of each WebSocket, is an event of `tracing` with
    /// the target `corecast::access`: the client, if its address is known, the method, the path
    /// without its query, and the status. Default no.
    pub access_log: bool,
    /// The receive buffers of each loop. A core has one loop by default.
    pub buffers: Buffers,
    /// Publish and subscribe.
    pub pubsub: PubSub,
    /// What is served on which paths, with limits of their own. By default the endpoints of
    /// [`PubSub::endpoints`], and the application on every other path.
    pub routes: Routes,
    /// The interface of the kernel that the loops use. Default: io_uring where it can be used, else
    /// epoll.
    pub backend: Backend,
}

impl Config {
    /// Whether clients can publish and subscribe: by a route, or without any by
    /// [`PubSub::endpoints`].
    #[must_use]
    pub fn serves_topics(&self) -> bool {
        if self.routes.is_empty() {
            return self.pubsub.endpoints;
        }
        self.routes.iter().any(Route::serves_topics)
    }

    /// The origins whose pages may connect by a route.
    pub(crate) fn origins_of(&self, route: RouteId) -> &Origins {
        self.routes.get(route).and_then(|route| route.origins.as_ref()).unwrap_or(&self.origins)
    }

    /// How compression is negotiated on a route.
    pub(crate) fn deflate_of(&self, route: RouteId) -> DeflatePolicy {
        let compression = self.routes.get(route).and_then(|route| route.compression);
        compression.map_or(self.deflate, |compression| compression.apply(self.deflate))
    }

    /// The bytes that a message of a client on a route may have.
    pub(crate) fn max_message_of(&self, route: RouteId) -> usize {
        let own = self.routes.get(route).and_then(|route| route.max_message);
        own.unwrap_or(self.limits.max_message)
    }

    /// How fast a client on a route may send.
    pub(crate) fn rates_of(&self, route: RouteId) -> Rates {
        self.routes.get(route).map_or(self.rates, |route| route.rates.over(self.rates))
    }

    /// The queue of a subscriber on a route, and what becomes of one that reads too slowly.
    pub(crate) fn queue_of(&self, route: RouteId) -> (SlowConsumer, usize) {
        let PubSub { slow, queue, .. } = self.pubsub;
        self.routes.get(route).map_or((slow, queue), |route| {
            (route.slow.unwrap_or(slow), route.queue.unwrap_or(queue))
        })
    }
}

/// The interface of the kernel that all loops of a server use.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Backend {
    /// io_uring if every loop gets its ring. If the kernel lacks it, something forbids it, or there
    /// is too little memory for the rings, a warning is logged that names the cause, and all loops
    /// use epoll.
    #[default]
    Auto,
    /// io_uring; without it the server does not start.
    Uring,
    /// epoll.
    Epoll,
}

/// Limits of connections and messages. A peer that exceeds one gets the close code or HTTP status
/// named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message after decompression; close code 1009 (RFC 6455 section 7.4.1).
    /// Default 16 MiB, which the largest cases of the Autobahn suite need.
    pub max_message: usize,
    /// Fragments of one message; close code 1008. Default 131,072. Nothing is stored per fragment,
    /// so this bounds the work that one message can cause. Autobahn sends 65,536.
    pub max_fragments: u32,
    /// The head of a request. Default 16 KiB and 64 headers (status 431), of which the request line
    /// may have 8 KiB (414). A head is parsed in one piece, so others wait for a long one: the
    /// command allows 256 KiB.
    pub head: HeadLimits,
    /// Bytes of the body of a plain request, also of one that is read and discarded; status 413.
    /// Default 1 MiB.
    pub max_body: usize,
    /// Connections of each loop; status 503. Default 1,000,000, and never more than the
    /// descriptors that a ring may have.
    pub max_connections: u32,
    /// Connections of one address, for all loops together: of an IPv4 address, or of the first 64
    /// bits of an IPv6 address; status 429. Behind proxies it is the address that they name, by
    /// [`Config::trusted_proxies`] or the PROXY protocol. Peers on Unix-domain sockets have none,
    /// and are not counted. Beyond twice the limit connections are closed without an answer.
    /// Default `None`: no limit.
    pub max_connections_per_address: Option<u32>,
    /// Connections of each loop whose first request is not answered yet; status 503. Default
    /// `None`: no limit.
    pub max_handshakes: Option<u32>,
    /// Connections that one address may begin in a second, for all loops together; status 429.
    /// Behind a trusted proxy its handshakes of WebSockets count. Default `None`: no limit.
    pub handshake_rate: Option<u32>,
    /// Connections that one address may begin at once. Default `None`: those of a second.
    pub handshake_burst: Option<u32>,
    /// Bytes of replies that may be queued for a peer that reads slowly, before the server stops
    /// reading from it. Default 256 KiB. The replies to one receive may exceed it. What arrives
    /// until the kernel has stopped receiving, up to a few times 512 KiB from a peer that sends as
    /// fast as it can, is kept as it is and handled once half of the replies are sent.
    pub send_queue: usize,
    /// Bytes that the peers of one loop may make it hold: incomplete heads and messages, input and
    /// output that waits, filters and retained values. Filters and retained values may take half of
    /// it; a further one is answered with an error, or the request with 503. From seven eighths on,
    /// those that publish large messages are not read from, and connections are closed until an
    /// eighth is free: first those of which a part of a message has come and the rest comes too
    /// slowly, with 1008, then those that hold the most, with 1009 if they send, with 1013 if they
    /// do not read, without a close frame if they have read nothing for 0.1 s. From fifteen
    /// sixteenths on, new connections are answered with 503. From 63 sixty-fourths on, nobody who
    /// publishes is read from. Default 512 MiB.
    pub memory: usize,
}

impl Limits {
    /// The memory from which on a loop is short of it: seven eighths of the limit.
    pub(crate) const fn short_memory(&self) -> usize {
        self.memory - self.memory / 8
    }

    /// The memory from which on new connections are refused: fifteen sixteenths of the limit.
    pub(crate) const fn scarce_memory(&self) -> usize {
        self.memory - self.memory / 16
    }

    /// The memory from which on nothing at all is published: 63 sixty-fourths of the limit.
    pub(crate) const fn used_up_memory(&self) -> usize {
        self.memory - self.memory / 64
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 16 << 20,
            max_fragments: 131_072,
            head: HeadLimits::default(),
            max_body: 1 << 20,
            max_connections: 1_000_000,
            max_connections_per_address: None,
            max_handshakes: None,
            handshake_rate: None,
            handshake_burst: None,
            send_queue: 256 << 10,
            memory: 512 << 20,
        }
    }
}

/// Timeouts of connections. Each fires up to 0.1 s late.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From accept to the end of the request head, at any rate of arrival; status 408. Also from
    /// accept to a decision about the handshake that is made later, and from a plain request to an
    /// answer that is given later; status 503. For a later request
    /// of the connection it begins with the first byte of that. Default 5 s.
    pub handshake: Duration,
    /// From the end of a request head to the end of the body; status 408. Default 30 s.
    pub body: Duration,
    /// From the answer to a plain request to the next request; then the connection is closed.
    /// Default 60 s.
    pub keep_alive: Duration,
    /// Time without input from the peer before it is sent a ping. Default 30 s.
    pub ping_after: Duration,
    /// From the ping to the next input from the peer; close code 1001. Default 15 s.
    ///
    /// A peer cannot answer a ping that it has not been able to read. So where the kernel reports
    /// how far the peer has read (Linux 6.8), it has more time:
    ///
    /// - While its receive window moves by 4 KiB within this time, it is not closed. If the window
    ///   is closed, or its kernel acknowledges the same bytes again because segments are lost, it
    ///   has [`stall`](Self::stall) for that.
    /// - Once its kernel has the ping, it has the time to read what was sent before the ping at
    ///   8 KiB for each second: what was sent since its last input, 4 MiB at most.
    ///
    /// A peer whose host is gone acknowledges nothing, and is closed after this time in any case.
    pub pong: Duration,
    /// Time without data messages; close code 1001. Every byte of a message counts, also of one
    /// that is incomplete; pings and pongs do not. Default `None`: no limit.
    pub idle: Option<Duration>,
    /// From the first byte of a message that comes in pieces until it must be complete, and one
    /// second more for each 4 KiB of it; then close 1008. Default 60 s.
    pub message: Duration,
    /// From the server's close frame to the peer's (RFC 6455 section 7.1). Default 5 s. A peer that
    /// goes on sending messages and has not read all that was sent to it is reset then.
    pub close: Duration,
    /// After a protocol error or a refusal, the time for which input is still read and discarded,
    /// so that the peer receives the close frame or response and not a reset. Default 2 s.
    pub linger: Duration,
    /// Time for which queued data makes no progress, because the peer does not read; close code
    /// 1013. Default 60 s. If the peer does not take the close frame, the connection is cut after
    /// [`close`](Self::close) more, a quarter of this time at most.
    ///
    /// Progress is that the socket takes some of the queued data, or that the peer's receive window
    /// moves by 4 KiB. Where the kernel does not report the window (before Linux 6.8), the send is
    /// tried again four times in this time.
    pub stall: Duration,
    /// From the start of draining until the connections that are left are cut, [`Draining::delay`]
    /// and [`Draining::window`] included. Default 9 s, so that a server stops within 10 s.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            body: Duration::from_secs(30),
            keep_alive: Duration::from_secs(60),
            ping_after: Duration::from_secs(30),
            pong: Duration::from_secs(15),
            idle: None,
            message: Duration::from_secs(60),
            close: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(9),
        }
    }
}

/// Publish and subscribe: the endpoints `/topics/<topic>` and `/pubsub`, and publishing by the
/// program.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSub {
    /// Whether the two endpoints are served. If not, requests to their paths go to the handler.
    /// Default `true`. With [`Config::routes`] it has no effect.
    pub endpoints: bool,
    /// The policy for subscribers that read too slowly. Default: close with 1013.
    pub slow: SlowConsumer,
    /// Bytes of messages that may be queued for one subscriber before `slow` applies. Data in the
    /// kernel and up to 128 KiB that are being sent do not count. Default 256 KiB. A single message
    /// may be queued whatever its size.
    pub queue: usize,
    /// Bytes of a topic or filter. Default 255, and never more than 65,535.
    pub max_topic: usize,
    /// Subscriptions of one connection; a further one is answered with an error. Default 128.
    pub max_subscriptions: usize,
    /// Bytes that the filters of one connection may count for in the index; a further filter is
    /// answered with an error, or the request with 503. A filter counts for its length and some 500
    /// bytes, which is what it takes if no other connection has it. Default 256 KiB.
    pub max_connection_index: usize,
    /// Bytes that the index of each core may take: the filters of its connections, those that other
    /// cores want, and the lists of subscribers. A further filter of a connection is answered with
    /// an error, or the request with 503; what other cores want is indexed in any case. Default 256
    /// MiB.
    pub max_index: usize,
    /// Topics with a retained value; a further one is answered with an error. Default 10,000.
    pub max_retained: usize,
    /// Bytes of all retained values with their topics. Cores share the values, so this counts them
    /// once for all cores. Default 64 MiB.
    pub max_retained_bytes: usize,
    /// Bytes that may be queued between two cores, and for the deliveries of one core. Beyond it,
    /// connections that publish are not read from until there is room. Default 8 MiB.
    pub backlog: usize,
}

impl Default for PubSub {
    fn default() -> Self {
        Self {
            endpoints: true,
            slow: SlowConsumer::default(),
            queue: 256 << 10,
            max_topic: 255,
            max_subscriptions: 128,
            max_connection_index: 256 << 10,
            max_index: 256 << 20,
            max_retained: 10_000,
            max_retained_bytes: 64 << 20,
            backlog: 8 << 20,
        }
    }
}

/// The receive buffers of one loop, shared by all its connections. An idle connection holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffers {
    /// The initial number: a power of two, at most 32,768. Default 128: few enough to stay in the
    /// cache, enough for the 40 connections that one call into the kernel reports.
    pub count: u16,
    /// The maximum number: a power of two, at least `count`. The number doubles each time a receive
    /// finds no buffer. Default 1,024: before Linux 6.13 one call reports all connections that
    /// have sent something.
    pub max: u16,
    /// The size of each in bytes. Default 16,448: a message of 16 KiB with its header, and an odd
    /// number of cache lines, so that the starts of the buffers do not fall into the same cache
    /// sets.
    pub size: u32,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { count: 128, max: 1024, size: 257 * 64 }
    }
}

impl Buffers {
    /// A fixed number of buffers: `count` (rounded up to a power of two, 2 to 32,768) of `size`
    /// bytes (64 to 1 MiB).
    #[must_use]
    pub fn new(count: u16, size: u32) -> Self {
        let count = count.clamp(2, 1 << 15).next_power_of_two();
        Self { count, max: count, size: size.clamp(64, 1 << 20) }
    }

    /// The same, growing to at most `max` buffers (rounded up to a power of two) as needed.
    #[must_use]
    pub fn growing_to(self, max: u16) -> Self {
        Self { max: max.clamp(self.count, 1 << 15).next_power_of_two(), ..self }
    }
}

/// A compression level from 1 to 9.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeflateLevel(u8);

impl DeflateLevel {
    /// The level nearest to `level` within 1 to 9.
    #[must_use]
    pub fn new(level: u8) -> Self {
        Self(level.clamp(1, 9))
    }

    /// The number.
    #[must_use]
    pub const fn value(self) -> u8 {
        self.0
    }
}

impl Default for DeflateLevel {
    fn default() -> Self {
        Self(1)
    }
}
