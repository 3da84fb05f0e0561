//! The command line of `load`.

use std::io::{self, IsTerminal, Write};
use std::net::{SocketAddr, ToSocketAddrs};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::{Content, Echo, Fanout, Handshakes, Idle, Length, Moment, Pace, Plan, Tls, Work};
use super::{connect, report, run};
use crate::sys;

/// Loads a WebSocket server from one core and counts the replies.
#[derive(Debug, Parser)]
#[command(name = "load", arg_required_else_help = true)]
pub(super) struct Options {
    #[command(subcommand)]
    pub(super) work: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Every message comes back.
    ///
    /// The load uses io_uring, or epoll if io_uring is refused or LOAD_ENGINE=epoll is set.
    Echo(EchoOptions),
    /// One publisher's messages go to many subscribers.
    Fanout(FanoutOptions),
    /// Connections without messages.
    Idle(IdleOptions),
    /// Connect, upgrade and close repeatedly.
    Handshakes(HandshakesOptions),
}

#[derive(Debug, Args)]
pub(super) struct Common {
    /// HOST:PORT, ws://HOST:PORT/PATH, or with TLS wss://HOST:PORT/PATH.
    address: String,
    /// Measure for this number of seconds.
    #[arg(long, default_value_t = 10.0, value_name = "S", conflicts_with = "count")]
    seconds: f64,
    /// Measure this number of messages (echo), bursts (fanout) or handshakes.
    #[arg(long, value_name = "N")]
    count: Option<u64>,
    /// Seconds of warm-up before anything is counted.
    #[arg(long, default_value_t = 1.0, value_name = "S")]
    warm_up: f64,
    /// Sleep until input arrives, instead of polling.
    #[arg(long)]
    sleep: bool,
    /// Compare every byte of the replies, not only those of the first messages.
    #[arg(long)]
    verify: bool,
    /// Pin the load to this core.
    #[arg(long, value_name = "N")]
    core: Option<usize>,
    /// Print settings and results as one JSON object.
    #[arg(long)]
    pub(super) json: bool,
    /// Do not print progress.
    #[arg(long, conflicts_with = "progress")]
    quiet: bool,
    /// Print progress even if standard error is not a terminal.
    #[arg(long)]
    progress: bool,
}

#[derive(Debug, Args)]
pub(super) struct EchoOptions {
    #[command(flatten)]
    common: Common,
    /// The path of the handshake [default: /].
    #[arg(long)]
    path: Option<String>,
    #[arg(long, default_value_t = 100, value_name = "N")]
    connections: usize,
    /// Payload bytes of a message.
    #[arg(long, default_value_t = 20, value_name = "BYTES")]
    size: usize,
    /// Messages in flight on each connection.
    #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "rate")]
    depth: usize,
    /// Messages a second over all connections, independent of the replies (open loop).
    #[arg(long, value_name = "N")]
    rate: Option<f64>,
    /// The content of the payloads.
    #[arg(long, value_enum, default_value_t = Content::Binary)]
    content: Content,
    /// Compress; an error if the server does not accept.
    #[arg(long)]
    deflate: bool,
    /// Bare TCP: no handshake, and frames come back unchanged.
    #[arg(long, conflicts_with_all = ["path", "deflate"])]
    raw: bool,
    /// TLS: put each message into a record of its own.
    #[arg(long)]
    apart: bool,
}

#[derive(Debug, Args)]
pub(super) struct FanoutOptions {
    #[command(flatten)]
    common: Common,
    /// The path of the subscribers' handshake.
    #[arg(long, default_value = "/topics/bench?role=sub", value_name = "PATH")]
    subscriber: String,
    /// The path of the publisher's handshake.
    #[arg(long, default_value = "/topics/bench?role=pub", value_name = "PATH")]
    publisher: String,
    /// A text message that every subscriber sends first, such as a subscription.
    #[arg(long, value_name = "TEXT")]
    subscribe: Option<String>,
    #[arg(long, default_value_t = 1000, value_name = "N")]
    subscribers: usize,
    /// Payload bytes of a message.
    #[arg(long, default_value_t = 64, value_name = "BYTES")]
    size: usize,
    /// Messages of one write; the next burst follows when all of it has been delivered.
    #[arg(long, default_value_t = 1, value_name = "N")]
    burst: usize,
    /// Compress; an error if the server does not accept.
    #[arg(long)]
    deflate: bool,
}

#[derive(Debug, Args)]
pub(super) struct IdleOptions {
    #[command(flatten)]
    common: Common,
    /// The path of the handshake [default: /topics/bench?role=sub].
    #[arg(long)]
    path: Option<String>,
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    connections: usize,
    /// At the end, publish one message on this path, which all must receive; `none` turns it off.
    #[arg(long, default_value = "/topics/bench?role=pub", value_name = "PATH")]
    broadcast: String,
}

#[derive(Debug, Args)]
pub(super) struct HandshakesOptions {
    #[command(flatten)]
    common: Common,
    /// The path of the handshake [default: /].
    #[arg(long)]
    path: Option<String>,
    /// Handshakes in flight.
    #[arg(long, default_value_t = 16, value_name = "N")]
    concurrent: usize,
    /// TLS: resume sessions, by tickets.
    #[arg(long)]
    resume: bool,
}

impl ValueEnum for Content {
    fn value_variants<'a>() -> &'a [Self] {
        &[Self::Binary, Self::Ascii, Self::Korean, Self::Emoji, Self::Mixed, Self::Json]
    }

    fn to_possible_value(&self) -> Option<clap::builder::PossibleValue> {
        Some(clap::builder::PossibleValue::new(self.name()))
    }
}

impl Content {
    /// The name in the command line and in the results.
    pub fn name(self) -> &'static str {
        match self {
            Self::Binary => "binary",
            Self::Ascii => "ascii",
            Self::Korean => "korean",
            Self::Emoji => "emoji",
            Self::Mixed => "mixed",
            Self::Json => "json",
        }
    }
}

fn invalid(what: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

/// Splits `ws://HOST:PORT/PATH`, the same with `wss://`, or `HOST:PORT`, and resolves the host. The
/// last of the result is whether TLS is used.
fn target(text: &str) -> io::Result<(SocketAddr, Option<String>, bool)> {
    let secured = text.strip_prefix("wss://");
    let rest = secured.or(text.strip_prefix("ws://")).unwrap_or(text);
    let (host, path) = match rest.find('/') {
        Some(at) => (&rest[..at], Some(rest[at..].to_owned())),
        None => (rest, None),
    };
    let wrong = |e: io::Error| invalid(format!("{text}: {e}; give HOST:PORT"));
    let found: Vec<_> = host.to_socket_addrs().map_err(wrong)?.collect();
    // Prefer IPv4, because most servers under test listen only on it.
    let address = found.iter().find(|a| a.is_ipv4()).or(found.first());
    let address = address.ok_or_else(|| invalid(format!("{host} has no address")))?;
    Ok((*address, path, secured.is_some()))
}

fn seconds(name: &str, value: f64) -> io::Result<Duration> {
    Duration::try_from_secs_f64(value)
        .map_err(|e| invalid(format!("--{name} {value}: {e}; give seconds, such as 2.5")))
}

/// The path may come from the address or from an option, but not from both.
fn one_path(url: Option<String>, option: Option<String>, default: &str) -> io::Result<String> {
    match (url, option) {
        (Some(_), Some(_)) => Err(invalid("give the path in the address or as --path".into())),
        (Some(path), None) | (None, Some(path)) => Ok(path),
        (None, None) => Ok(default.to_owned()),
    }
}

impl Command {
    pub(super) fn common(&self) -> &Common {
        match self {
            Self::Echo(o) => &o.common,
            Self::Fanout(o) => &o.common,
            Self::Idle(o) => &o.common,
            Self::Handshakes(o) => &o.common,
        }
    }

    pub(super) fn plan(&self) -> io::Result<Plan> {
        let common = self.common();
        let (address, url, secured) = target(&common.address)?;
        let no_url = |what: &str| match &url {
            Some(path) => Err(invalid(format!("no path ({path}) goes with {what}"))),
            None => Ok(()),
        };
        let (work, deflate) = match self {
            Self::Echo(o) => {
                if o.raw {
                    no_url("--raw")?;
                }
                let path = if o.raw { None } else { Some(one_path(url, o.path.clone(), "/")?) };
                let pace = o.rate.map_or(Pace::Depth(o.depth), Pace::Rate);
                let (connections, size, content) = (o.connections, o.size, o.content);
                (Work::Echo(Echo { path, connections, size, content, pace }), o.deflate)
            }
            Self::Fanout(o) => {
                no_url("fanout: use --subscriber and --publisher")?;
                let fanout = Fanout {
                    subscriber: o.subscriber.clone(),
                    publisher: o.publisher.clone(),
                    subscribe: o.subscribe.clone(),
                    subscribers: o.subscribers,
                    size: o.size,
                    burst: o.burst,
                };
                (Work::Fanout(fanout), o.deflate)
            }
            Self::Idle(o) => {
                let path = one_path(url, o.path.clone(), "/topics/bench?role=sub")?;
                let broadcast = (o.broadcast != "none").then(|| o.broadcast.clone());
                (Work::Idle(Idle { path, connections: o.connections, broadcast }), false)
            }
            Self::Handshakes(o) => {
                let path = one_path(url, o.path.clone(), "/")?;
                (Work::Handshakes(Handshakes { path, concurrent: o.concurrent }), false)
            }
        };
        let tls = match self {
            Self::Echo(o) => Tls { apart: o.apart, resume: false },
            Self::Handshakes(o) => Tls { apart: false, resume: o.resume },
            Self::Fanout(_) | Self::Idle(_) => Tls::default(),
        };
        if !secured && tls != Tls::default() {
            return Err(invalid("--apart and --resume are for wss://".into()));
        }
        let length = match common.count {
            Some(count) => Length::Count(count),
            None => Length::Time(seconds("seconds", common.seconds)?),
        };
        Ok(Plan {
            address,
            work,
            warm_up: seconds("warm-up", common.warm_up)?,
            length,
            busy: !common.sleep,
            verify: common.verify,
            deflate,
            tls: secured.then_some(tls),
        })
    }
}

/// The number of connections that a plan opens at a time.
fn connections(work: &Work) -> usize {
    match work {
        Work::Echo(echo) => echo.connections,
        Work::Fanout(fanout) => fanout.subscribers + 1,
        Work::Idle(idle) => idle.connections + usize::from(idle.broadcast.is_some()),
        Work::Handshakes(handshakes) => handshakes.concurrent,
    }
}

fn carry_out(options: &Options) -> io::Result<()> {
    let common = options.work.common();
    let plan = options.work.plan()?;
    let (needed, room) = (connections(&plan.work), connect::room_for_files()?);
    if needed > room {
        return Err(io::Error::other(format!(
            "{needed} connections need {needed} open files and some more, but the limit leaves \
             room for {room}: raise it (ulimit -Hn) or open fewer"
        )));
    }
    if let Some(core) = common.core {
        sys::pin(core).map_err(|e| invalid(format!("--core {core}: {e}")))?;
    }
    let mut progress = Progress::new(common);
    let outcome = run(&plan, &mut |moment| progress.show(moment));
    progress.clear()?;
    let outcome = outcome?;
    let text = if common.json {
        report::json(&plan, common.core, &outcome)?
    } else {
        report::text(&plan, &outcome)
    };
    io::stdout().write_all(text.as_bytes())
}

/// The progress line.
struct Progress {
    shown: bool,
    /// It overwrites the previous line.
    rewrites: bool,
    dirty: bool,
    begin: Instant,
}

impl Progress {
    fn new(common: &Common) -> Self {
        let rewrites = io::stderr().is_terminal();
        let shown = !common.quiet && (rewrites || common.progress);
        Self { shown, rewrites, dirty: false, begin: Instant::now() }
    }

    fn show(&mut self, moment: Moment) -> io::Result<()> {
        match moment {
            Moment::Begin => self.begin = Instant::now(),
            Moment::Progress(messages) if self.shown => {
                let elapsed = self.begin.elapsed().as_secs_f64();
                let rate = messages as f64 / elapsed;
                let (start, end) = if self.rewrites { ("\r", "\x1b[K") } else { ("", "\n") };
                let mut to = io::stderr().lock();
                write!(to, "{start}{elapsed:.0} s, {messages} messages, {rate:.0}/s{end}")?;
                self.dirty = self.rewrites;
            }
            Moment::Progress(_) | Moment::End => {}
        }
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        if std::mem::take(&mut self.dirty) {
            io::stderr().write_all(b"\r\x1b[K")?;
        }
        Ok(())
    }
}

/// The whole program.
pub fn main() -> ExitCode {
    match carry_out(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("load: {e}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
