//! What a load is to do, and what came of it.

use std::net::SocketAddr;
use std::time::Duration;

use hdrhistogram::Histogram;

/// One run of a load against one server.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where the server listens.
    pub address: SocketAddr,
    pub work: Work,
    /// How long the work goes on before anything is counted.
    pub warm_up: Duration,
    /// How long it is measured. Idle connections are held for so long.
    pub length: Length,
    /// Poll without ever sleeping, so that the server never pays for waking the load.
    pub busy: bool,
    /// Compare every byte that comes with what must come. Without it only the first replies of each
    /// connection are compared, and then frames are counted.
    pub verify: bool,
    /// Offer permessage-deflate, and send compressed messages if the server agrees. An error if it
    /// does not.
    pub deflate: bool,
}

/// When the measuring ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    Time(Duration),
    /// After so many messages (echo), bursts (fan-out) or handshakes.
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
    /// as they are, and must come back as they were sent.
    pub path: Option<String>,
    pub connections: usize,
    /// Payload bytes of a message.
    pub size: usize,
    pub content: Content,
    pub pace: Pace,
}

/// When the next message of an echo is sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Pace {
    /// Closed loop: so many messages of each connection are under way at any time. As many as came
    /// back together go out together.
    Depth(usize),
    /// Open loop: so many messages a second over all connections in turn, whatever comes back;
    /// latency counts from the moment at which a message should have been sent.
    Rate(f64),
}

/// What the payloads hold.
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
    /// Frames of one write of the publisher; the next burst follows when all of it has come.
    pub burst: usize,
}

/// Connections that say nothing.
#[derive(Clone, Debug)]
pub struct Idle {
    pub path: String,
    pub connections: usize,
    /// A path to publish one message to after the measuring, which every connection must get.
    pub broadcast: Option<String>,
}

/// Connect, upgrade, close, over and over.
#[derive(Clone, Debug)]
pub struct Handshakes {
    pub path: String,
    /// Handshakes under way at any time.
    pub concurrent: usize,
}

/// Moments that the caller is told of, to read its meters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Echo, fan-out, handshakes: the measuring begins. Idle: no connection is open yet.
    Begin,
    /// The measuring ends. Idle: all connections are open and have been for the time of the plan.
    End,
    /// About once a second in between, with the messages so far.
    Progress(u64),
}

/// What was counted between `Begin` and `End`.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Messages that came back (echo), deliveries (fan-out), connections opened, upgraded and
    /// closed (handshakes), connections held (idle).
    pub messages: u64,
    /// Payload and header bytes received.
    pub bytes: u64,
    /// Time between `Begin` and `End`.
    pub elapsed: Duration,
    /// Nanoseconds. Echo: from a message to its reply; in an open loop from the intended moment.
    /// Fan-out: from the write of a burst to its last delivery. Handshakes: from connect to 101.
    pub latency: Histogram<u64>,
    /// Open loop: messages that were due and could not be sent yet when the measuring ended.
    pub behind: u64,
    /// Idle with a broadcast: from the write to the last delivery.
    pub broadcast: Option<Duration>,
}
