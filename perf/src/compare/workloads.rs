//! The workloads, and the servers that can do them.

use std::io;

use super::options::Set;
use super::servers::{How, Role, Running, Server};
use crate::load::{Content, Echo, Fanout, Handshakes, Idle, Pace, Tls, Work};

/// The paths of publisher and subscribers, for servers with topics.
const SUBSCRIBER: &str = "/topics/bench?role=sub";
const PUBLISHER: &str = "/topics/bench?role=pub";

/// A workload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Job {
    pub(crate) name: &'static str,
    /// Its description.
    pub(crate) title: &'static str,
    /// The unit of a message.
    pub(crate) unit: &'static str,
    pub(crate) set: Set,
    pub(crate) kind: Kind,
    /// Only servers with TLS do it; corecast does it without as well, for comparison.
    pub(crate) tls: Option<Tls>,
}

/// The kind of work, and the servers that do it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Echo(Shape),
    /// An open loop at half the maximum rate of the slowest server.
    Latency(Shape),
    Fanout(Burst),
    /// corecast only: compressed messages, and plain ones of the size to which they shrink.
    Deflated(Burst),
    Handshakes(usize),
    Idle(usize),
    /// This number of subscribers, for servers other than corecast as many as the limit of open
    /// files allows, and a broadcast to them.
    Crowd(usize),
    /// corecast only, with growing numbers of connections.
    EchoGrowth(&'static [usize]),
    /// corecast only, with growing numbers of subscribers.
    FanoutGrowth(&'static [usize]),
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    connections: usize,
    size: usize,
    content: Content,
    depth: usize,
    deflate: bool,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Burst {
    subscribers: usize,
    size: usize,
    frames: usize,
}

/// The values from earlier runs that a workload needs.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Learnt {
    /// Messages a second of an open loop.
    pub(crate) rate: f64,
    /// Payload bytes of a compressed delivery.
    pub(crate) compressed: usize,
    /// The number of connections that the limit of open files allows.
    pub(crate) connections: usize,
}

/// One row of a table: a server and its work.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) name: String,
    pub(crate) server: &'a Server,
    pub(crate) work: Work,
    pub(crate) deflate: bool,
    pub(crate) tls: Option<Tls>,
}

const fn echo(connections: usize, size: usize, content: Content, depth: usize) -> Shape {
    Shape { connections, size, content, depth, deflate: false }
}

const fn small(depth: usize) -> Shape {
    echo(100, 20, Content::Binary, depth)
}

const fn burst(frames: usize) -> Burst {
    Burst { subscribers: 1000, size: 64, frames }
}

/// Over TLS, as many messages in a record as are sent together.
const TOGETHER: Tls = Tls { apart: false, resume: false };
const ECHO_125: Shape = echo(1000, 125, Content::Binary, 1);
const JSON: Shape = Shape { deflate: true, ..echo(100, 1024, Content::Json, 1) };

macro_rules! jobs {
    ($($set:ident $unit:literal $name:literal $title:literal $kind:expr $(, $tls:expr)?;)*) => {
        &[$(Job {
            name: $name,
            title: $title,
            unit: $unit,
            set: Set::$set,
            kind: $kind,
            tls: jobs!(@ $($tls)?),
        }),*]
    };
    (@) => { None };
    (@ $tls:expr) => { Some($tls) };
}

/// All workloads, in the order in which they are run.
pub(crate) const JOBS: &[Job] = jobs! {
    Quick "echo" "echo-20" "20 B binary, 100 connections, 1 in flight" Kind::Echo(small(1));
    Default "echo" "echo-125" "125 B binary, 1,000 connections, 1 in flight" Kind::Echo(ECHO_125);
    Quick "echo" "echo-20-d16" "20 B binary, 100 connections, 16 in flight each"
        Kind::Echo(small(16));
    Default "echo" "echo-20-d128" "20 B binary, 100 connections, 128 in flight each"
        Kind::Echo(small(128));
    All "echo" "binary-16k" "16 KiB binary, 16 connections, 1 in flight"
        Kind::Echo(echo(16, 16 << 10, Content::Binary, 1));
    All "echo" "ascii-16k" "16 KiB ASCII text, 16 connections, 1 in flight"
        Kind::Echo(echo(16, 16 << 10, Content::Ascii, 1));
    Quick "echo" "korean-16k" "16 KiB Korean text, 16 connections, 1 in flight"
        Kind::Echo(echo(16, 16 << 10, Content::Korean, 1));
    All "echo" "korean-1m" "1 MiB Korean text, 4 connections, 1 in flight"
        Kind::Echo(echo(4, 1 << 20, Content::Korean, 1));
    Default "echo" "deflate-1k" "1 KiB JSON, permessage-deflate, 100 connections, 1 in flight"
        Kind::Echo(JSON);
    Default "delivery" "fanout-1" "64 B to 1,000 subscribers, bursts of 1" Kind::Fanout(burst(1));
    Quick "delivery" "fanout-8" "64 B to 1,000 subscribers, bursts of 8" Kind::Fanout(burst(8));
    Default "delivery" "fanout-64" "64 B to 1,000 subscribers, bursts of 64"
        Kind::Fanout(burst(64));
    All "delivery" "fanout-deflate-8"
        "1 KiB to 1,000 subscribers, bursts of 8, compressed once; and as many plain bytes"
        Kind::Deflated(Burst { subscribers: 1000, size: 1024, frames: 8 });
    Default "connection" "handshakes" "connect, upgrade, close; 16 at a time" Kind::Handshakes(16);
    Default "connection" "idle" "9,000 connections without messages for 2 s" Kind::Idle(9000);
    All "connection" "idle-crowd" "subscribers, up to 100,000, and one message to all of them"
        Kind::Crowd(100_000);
    Default "echo" "latency-125" "125 B binary, 100 connections, open loop at half of what the \
        slowest server's maximum" Kind::Latency(echo(100, 125, Content::Binary, 1));
    All "echo" "growth-echo" "125 B binary, 1 in flight, growing number of connections"
        Kind::EchoGrowth(&[10, 100, 1000, 10_000]);
    All "delivery" "growth-fanout" "64 B, bursts of 1, growing number of subscribers"
        Kind::FanoutGrowth(&[100, 1000, 10_000]);
    Tls "echo" "tls-echo-20" "TLS, 20 B binary, 100 connections, 1 in flight"
        Kind::Echo(small(1)), TOGETHER;
    Tls "echo" "tls-echo-20-d16"
        "TLS, 20 B binary, 100 connections, 16 in flight each, as many in a record as are sent"
        Kind::Echo(small(16)), TOGETHER;
    Tls "echo" "tls-echo-20-d16-apart"
        "TLS, 20 B binary, 100 connections, 16 in flight each, each in a record of its own"
        Kind::Echo(small(16)), Tls { apart: true, ..TOGETHER };
    Tls "echo" "tls-binary-16k" "TLS, 16 KiB binary, 16 connections, 1 in flight"
        Kind::Echo(echo(16, 16 << 10, Content::Binary, 1)), TOGETHER;
    Tls "delivery" "tls-fanout-8" "TLS, 64 B to 1,000 subscribers, bursts of 8"
        Kind::Fanout(burst(8)), TOGETHER;
    Tls "connection" "tls-handshakes" "connect, full handshake of TLS, upgrade, close; 16 at a time"
        Kind::Handshakes(16), TOGETHER;
    Tls "connection" "tls-resumed" "connect, resumed handshake of TLS, upgrade, close; 16 at a time"
        Kind::Handshakes(16), Tls { resume: true, ..TOGETHER };
    Tls "connection" "tls-idle" "TLS, 9,000 connections without messages for 2 s"
        Kind::Idle(9000), TOGETHER;
};

impl Job {
    /// Whether connections are only held, without a rate.
    pub(crate) fn holds(&self) -> bool {
        matches!(self.kind, Kind::Idle(_) | Kind::Crowd(_))
    }

    /// Whether each row is a number of connections and not a server.
    pub(crate) fn grows(&self) -> bool {
        matches!(self.kind, Kind::EchoGrowth(_) | Kind::FanoutGrowth(_))
    }

    /// Whether its instructions can be stepped in reasonable time.
    pub(crate) fn steppable(&self) -> bool {
        let large = matches!(self.kind, Kind::Echo(shape) if shape.size > 64 << 10);
        // Stepped servers would take minutes for the handshakes of TLS.
        self.tls.is_none()
            && !self.holds()
            && !large
            && !self.grows()
            && !matches!(self.kind, Kind::Latency(_))
    }

    /// The servers that can do it.
    fn takes(&self, server: &Server) -> bool {
        if self.tls.is_some() && !server.tls {
            return false;
        }
        match self.kind {
            Kind::Echo(shape) | Kind::Latency(shape) => match server.role {
                Role::Bare => shape.content == Content::Binary,
                role => role != Role::Floor,
            },
            Kind::Handshakes(_) | Kind::Idle(_) => {
                matches!(server.role, Role::Full | Role::Echo)
            }
            Kind::Fanout(_) => matches!(server.role, Role::Full | Role::Floor),
            Kind::Crowd(_) => server.role == Role::Full,
            Kind::Deflated(_) | Kind::EchoGrowth(_) | Kind::FanoutGrowth(_) => server.is_corecast(),
        }
    }

    /// Its rows.
    pub(crate) fn entries<'a>(&self, servers: &'a [Server], learnt: &Learnt) -> Vec<Entry<'a>> {
        let all = servers.iter().filter(|server| self.takes(server));
        let mut rows: Vec<Entry<'a>> = all.flat_map(|server| self.rows(server, learnt)).collect();
        if self.tls.is_some() {
            let ours = servers.iter().filter(|server| server.is_corecast());
            let plain = Self { tls: None, ..*self };
            rows.extend(
                ours.flat_map(|server| plain.rows(server, learnt))
                    .map(|entry| Entry { name: format!("{}, no TLS", entry.name), ..entry }),
            );
        }
        rows
    }

    /// The rows of one server.
    fn rows<'a>(&self, server: &'a Server, learnt: &Learnt) -> Vec<Entry<'a>> {
        let tls = self.tls;
        let named = |name: String, work, deflate| Entry { name, server, work, deflate, tls };
        let entry = |work, deflate| vec![named(server.name.clone(), work, deflate)];
        match self.kind {
            Kind::Echo(shape) => entry(shape.work(server, None), shape.deflate),
            Kind::Latency(shape) => entry(shape.work(server, Some(learnt.rate)), false),
            Kind::Fanout(burst) => entry(burst.work(server), false),
            Kind::Deflated(burst) => {
                let plain = Burst { size: learnt.compressed.max(1), ..burst };
                let name = format!("{}, plain {} B", server.name, plain.size);
                vec![
                    named(server.name.clone(), burst.work(server), true),
                    named(name, plain.work(server), false),
                ]
            }
            Kind::Handshakes(concurrent) => {
                let path = path(server, "/");
                entry(Work::Handshakes(Handshakes { path, concurrent }), false)
            }
            Kind::Idle(connections) => {
                let path = path(server, "/");
                entry(Work::Idle(Idle { path, connections, broadcast: None }), false)
            }
            Kind::Crowd(most) => {
                let most_of_others = most.min(learnt.connections);
                let connections = if server.is_corecast() { most } else { most_of_others };
                let broadcast = Some(path(server, PUBLISHER));
                let path = path(server, SUBSCRIBER);
                entry(Work::Idle(Idle { path, connections, broadcast }), false)
            }
            Kind::EchoGrowth(counts) => counts
                .iter()
                .map(|&connections| {
                    let work = Shape { connections, ..ECHO_125 }.work(server, None);
                    named(connections.to_string(), work, false)
                })
                .collect(),
            Kind::FanoutGrowth(counts) => counts
                .iter()
                .map(|&subscribers| {
                    let work = Burst { subscribers, ..burst(1) }.work(server);
                    named(subscribers.to_string(), work, false)
                })
                .collect(),
        }
    }

    /// The rows that must be run for a moment before the rounds.
    pub(crate) fn questions<'a>(&self, servers: &'a [Server]) -> Vec<Entry<'a>> {
        let kind = match self.kind {
            Kind::Latency(shape) => Kind::Echo(shape),
            Kind::Deflated(_) => self.kind,
            _ => return Vec::new(),
        };
        let mut entries = Self { kind, ..*self }.entries(servers, &Learnt::default());
        entries.retain(|entry| entry.deflate || matches!(kind, Kind::Echo(_)));
        entries
    }
}

impl Shape {
    /// The echo; an open loop if there is a rate.
    fn work(&self, server: &Server, rate: Option<f64>) -> Work {
        Work::Echo(Echo {
            path: (server.role != Role::Bare).then(|| path(server, "/")),
            connections: self.connections,
            size: self.size,
            content: self.content,
            pace: rate.map_or(Pace::Depth(self.depth), Pace::Rate),
        })
    }
}

impl Burst {
    fn work(&self, server: &Server) -> Work {
        Work::Fanout(Fanout {
            subscriber: path(server, SUBSCRIBER),
            publisher: path(server, PUBLISHER),
            subscribe: None,
            subscribers: self.subscribers,
            size: self.size,
            burst: self.frames,
        })
    }
}

fn path(server: &Server, usual: &str) -> String {
    server.path.clone().unwrap_or_else(|| usual.to_owned())
}

impl Entry<'_> {
    /// Starts its server for this work.
    pub(crate) fn start(&self, cores: &[usize], work: &Work, stepped: bool) -> io::Result<Running> {
        let (deflate, tls) = (self.deflate, self.tls.is_some());
        self.server.start(cores, &How { connections: connections(work), deflate, tls, stepped })
    }
}

/// The number of connections that a load opens.
pub(crate) fn connections(work: &Work) -> usize {
    match work {
        Work::Echo(echo) => echo.connections,
        Work::Fanout(fanout) => fanout.subscribers + 1,
        Work::Idle(idle) => idle.connections + 1,
        Work::Handshakes(handshakes) => handshakes.concurrent,
    }
}
