//! The settings of a load, and its results.

use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

use super::tls::Tls;

/// One run of a load against one server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The address of the server.
    pub address: SocketAddr,
    pub work: Work,
    /// The warm-up time before anything is counted.
    pub warm_up: Duration,
    /// The time of the measurement. Idle connections are held for this time.
    pub length: Length,
    /// Poll without sleeping, so that the server's time contains no wake of the load.
    pub busy: bool,
    /// Compare every byte of the replies. Without it only the first replies of each connection are
    /// compared, and then frames are counted.
    pub verify: bool,
    /// Offer permessage-deflate, and send compressed messages if the server agrees. An error if it
    /// does not.
    pub deflate: bool,
    /// Connections use TLS. Compressed messages are then not supported.
    pub tls: Option<Tls>,
}

/// The end of the measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Time(Duration),
    /// After this number of messages (echo), bursts (fan-out) or handshakes.
    Count(u64),
}

/// The kinds of load.
#[derive(Clone, Debug)]
pub enum Work {
    Echo(Echo),
    Fanout(Fanout),
    Idle(Idle),
    Handshakes(Handshakes),
}

/// Every message comes back.
#[derive(Clone, Debug)]
pub struct Echo {
    /// The path of the handshake; `None` means bare TCP: no handshake, the masked frames are sent
    /// unchanged, and must come back unchanged.
    pub path: Option<String>,
    pub connections: usize,
    /// Payload bytes of a message.
    pub size: usize,
    pub content: Content,
    pub pace: Pace,
}

/// The schedule of echo messages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: the number of messages in flight on each connection. As many as came back
    /// together are sent together.
    Depth(usize),
    /// Open loop: the number of messages a second over all connections in turn, independent of the
    /// replies; latency counts from the intended time of a send.
    Rate(f64),
}

/// The content of the payloads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Binary messages of random bytes.
    Binary,
    /// Text of letters, digits and spaces.
    Ascii,
    /// Text of Hangul syllables, three bytes each.
    Korean,
    /// Text of emoji, four bytes each.
    Emoji,
    /// Text of characters of one to four bytes in random order.
    Mixed,
    /// Text: an array of small JSON objects with random values.
    Json,
}

/// One publisher's messages go to many subscribers.
#[derive(Clone, Debug)]
pub struct Fanout {
    pub subscriber: String,
    pub publisher: String,
    /// Text messages that a subscriber (a publisher) sends first, such as a subscription in JSON.
    pub subscribe: Option<String>,
    pub subscribers: usize,
    pub size: usize,
    /// Frames of one write of the publisher; the next burst follows when all of it has been
    /// delivered.
    pub burst: usize,
}

/// Connections without messages.
#[derive(Clone, Debug)]
pub struct Idle {
    pub path: String,
    pub connections: usize,
    /// A path to which one message is published after the measurement; every connection must
    /// receive it.
    pub broadcast: Option<String>,
}

/// Connect, upgrade, close, repeatedly.
#[derive(Clone, Debug)]
pub struct Handshakes {
    pub path: String,
    /// The number of handshakes in flight.
    pub concurrent: usize,
}

/// The events at which the caller reads its meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Echo, fan-out, handshakes: the measurement begins. Idle: no connection is open yet.
    Begin,
    /// The measurement ends. Idle: all connections have been open for the time of the plan.
    End,
    /// About once a second in between, with the number of messages so far.
    Progress(u64),
}

/// The counts between `Begin` and `End`.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Messages that came back (echo), deliveries (fan-out), connections opened, upgraded and
    /// closed (handshakes), connections held (idle).
    pub messages: u64,
    /// Payload and header bytes received.
    pub bytes: u64,
    /// The time between `Begin` and `End`.
    pub elapsed: Duration,
    /// Nanoseconds. Echo: from a message to its reply; in an open loop from the intended time of
    /// the send. Fan-out: from the write of a burst to its last delivery. Handshakes: from connect
    /// to 101.
    pub latency: Histogram<u64>,
    /// Open loop: messages that were due and not sent when the measurement ended.
    pub behind: u64,
    /// Idle with a broadcast: from the write to the last delivery.
    pub broadcast: Option<Duration>,
}
