//! Every number that a server can be given, with its default and the reason for it.

use std::time::Duration;

use crate::protocol::http::HeadLimits;
use crate::protocol::websocket::handshake::{DeflatePolicy, Origins};

/// What one server accepts and how long it waits.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Config {
    /// How much of everything.
    pub limits: Limits,
    /// How long for everything.
    pub timeouts: Timeouts,
    /// permessage-deflate (RFC 7692): whether, and with which parameters.
    pub deflate: DeflatePolicy,
    /// The compression level, 1 (fast) to 9 (small).
    pub deflate_level: DeflateLevel,
    /// Which pages of browsers may connect; others get 403. By default those from the host that
    /// they connect to. `corecast serve`, which has no secrets to guard, lets every page in.
    pub origins: Origins,
    /// The receive buffers of each loop, of which a core has one.
    pub buffers: Buffers,
    /// Publish and subscribe.
    pub pubsub: PubSub,
}

/// How much of everything. What goes beyond is refused with the close code or status named.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message, after decompression; beyond it 1009. Default 16 MiB, which the
    /// largest cases of the Autobahn suite need.
    pub max_message: usize,
    /// Fragments of one message; beyond it 1008. Default 131,072: no object is kept for a
    /// fragment, so this bounds the work of a message that never ends. Autobahn sends 65,536.
    pub max_fragments: u32,
    /// The request head: 8 KiB and 64 headers by default; beyond it 431.
    pub head: HeadLimits,
    /// Connections of each loop; beyond it 503. Default 1,000,000, and never more than the
    /// descriptors that a ring may have.
    pub max_connections: u32,
    /// Bytes of replies that wait for a peer who reads slowly, before the server stops reading
    /// from it. Default 256 KiB. One message, and what comes in until the kernel has stopped
    /// receiving, may come on top: up to a few times 512 KiB from a peer that sends as fast as it
    /// can and reads nothing.
    pub send_queue: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message: 16 << 20,
            max_fragments: 131_072,
            head: HeadLimits::default(),
            max_connections: 1_000_000,
            send_queue: 256 << 10,
        }
    }
}

/// How long for everything. Deadlines are kept to a tenth of a second.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Timeouts {
    /// From accept to the end of the request head, however steadily it trickles in; then 408.
    /// Default 5 s.
    pub handshake: Duration,
    /// Silence of the peer before it is sent a ping. Default 30 s.
    pub ping_after: Duration,
    /// From the ping to any sign of life; then close 1001. Default 15 s.
    ///
    /// A peer cannot answer a ping that it has not been able to read. So where the kernel tells
    /// how far it is (Linux 6.8), it has more time:
    ///
    /// - While its receive window moves on by 4 KiB within this time, it is not closed. If the
    ///   window is closed, or its kernel acknowledges the same bytes again because segments are
    ///   lost, it has [`stall`](Self::stall) for that.
    /// - Once its kernel has the ping, it has the time to read what was sent before the ping at
    ///   8 KiB for each second: what was sent since it last spoke, 4 MiB at most.
    ///
    /// A peer whose host is gone acknowledges nothing, and is closed after this time in any case.
    pub pong: Duration,
    /// From the last byte of a message to close 1001, if given. Bytes of a message under way count;
    /// pings and pongs do not. Not given by default.
    pub idle: Option<Duration>,
    /// From our close frame to the peer's. Default 5 s. A peer that goes on sending messages and
    /// has not read all that was sent to it is reset then.
    pub close: Duration,
    /// After a fatal error or a refusal, how long what the peer still sends is read and thrown
    /// away, so that it gets the close frame instead of a reset. Default 2 s.
    pub linger: Duration,
    /// Without progress towards a peer that does not read; then close 1013. Default 60 s. If the
    /// peer does not take the close frame, it is cut after [`close`](Self::close) more, a quarter
    /// of this time at most.
    ///
    /// Progress is that the socket takes some of what waits, or that the peer's receive window
    /// moves on by 4 KiB. Where the kernel does not tell of the window (before Linux 6.8), the
    /// socket is tried four times in this time.
    pub stall: Duration,
    /// From the signal to stop until connections that do not leave are cut. Default 9 s, so that
    /// the server is gone within 10.
    pub drain: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            handshake: Duration::from_secs(5),
            ping_after: Duration::from_secs(30),
            pong: Duration::from_secs(15),
            idle: None,
            close: Duration::from_secs(5),
            linger: Duration::from_secs(2),
            stall: Duration::from_secs(60),
            drain: Duration::from_secs(9),
        }
    }
}

/// Publish and subscribe: the endpoints `/topics/<topic>` and `/pubsub`, and programs that publish.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PubSub {
    /// Whether the two endpoints are served. If not, their paths are the handler's like all others.
    /// Default: they are.
    pub endpoints: bool,
    /// What happens to subscribers that read too slowly. Default: close with 1013.
    pub slow: SlowConsumer,
    /// Bytes of messages that may wait for one subscriber before `slow` applies, besides what the
    /// kernel has taken and up to 128 KiB that are being sent. Default 256 KiB. One message may
    /// wait however large it is.
    pub queue: usize,
    /// Bytes of a topic or filter. Default 255, and never more than 65,535.
    pub max_topic: usize,
    /// Subscriptions of one connection; a further one is answered with an error. Default 128.
    pub max_subscriptions: usize,
    /// Topics with a retained value; a further one is answered with an error. Default 10,000.
    pub max_retained: usize,
    /// Bytes of all retained values with their topics, on all cores together, since cores share
    /// them. Default 64 MiB.
    pub max_retained_bytes: usize,
    /// Bytes that may wait between two cores, and for the deliveries of one core, before those who
    /// publish are not read from until there is room. Default 8 MiB.
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
            max_retained: 10_000,
            max_retained_bytes: 64 << 20,
            backlog: 8 << 20,
        }
    }
}

/// What happens to a subscriber that reads more slowly than messages come, once as much waits for
/// it as [`PubSub::queue`] allows. Messages are dropped whole, and each drop is counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum SlowConsumer {
    /// It is closed with 1013, and connects anew when it can.
    #[default]
    Close,
    /// What comes is dropped until there is room again.
    DropNewest,
    /// What has waited longest is dropped to make room.
    DropOldest,
    /// Of each topic only the latest message waits, from the first that cannot be sent at once.
    Conflate,
}

/// The receive buffers of one loop, shared by all its connections: an idle connection holds none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Buffers {
    /// How many at first: a power of two, at most 32,768. Default 128: few enough to stay in the
    /// cache, enough for the 40 connections that one call into the kernel reports.
    pub count: u16,
    /// How many there may come to be when connections find none, doubling each time: a power of
    /// two, `count` at least. Default 1,024: before Linux 6.13 one call reports all connections
    /// that have sent something.
    pub most: u16,
    /// Bytes of each. Default 16,448: a message of 16 KiB with its header, and an odd number of
    /// cache lines, so that the starts of the buffers do not compete for the same cache sets.
    pub size: u32,
}

impl Default for Buffers {
    fn default() -> Self {
        Self { count: 128, most: 1024, size: 257 * 64 }
    }
}

impl Buffers {
    /// `count` buffers (rounded up to a power of two, 2 to 32,768) of `size` bytes (64 to 1 MiB),
    /// and never more.
    #[must_use]
    pub fn new(count: u16, size: u32) -> Self {
        let count = count.clamp(2, 1 << 15).next_power_of_two();
        Self { count, most: count, size: size.clamp(64, 1 << 20) }
    }

    /// The same, growing to `most` (rounded up to a power of two) as they are needed.
    #[must_use]
    pub fn growing_to(self, most: u16) -> Self {
        Self { most: most.clamp(self.count, 1 << 15).next_power_of_two(), ..self }
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
