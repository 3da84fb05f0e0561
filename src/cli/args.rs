//! The flags. Their doc comments are the text of `--help`.

#[cfg(feature = "tls")]
use clap::builder::ArgPredicate;
use clap::{Args, Parser, Subcommand, ValueEnum};
use corecast::protocol::http::TrustedProxies;
use corecast::protocol::websocket::handshake::Origins;

use super::listen::{Listens, parse_listen};
#[cfg(feature = "tls")]
use super::tls::TlsFlags;
#[cfg(feature = "tokens")]
use super::tokens::TokenFlags;
use super::values::{
    Cores, parse_cores, parse_head_size, parse_loops, parse_origin, parse_proxies, parse_seconds,
    parse_size,
};

/// A strict, thread-per-core WebSocket server on io_uring or epoll.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
#[allow(clippy::large_enum_variant, reason = "there is one")]
pub(super) enum Command {
    /// Serve until SIGTERM or SIGINT: publish and subscribe on /topics/<topic> and, in JSON, on
    /// /pubsub; echo on every other path.
    Serve(Serve),
    /// Print for each backend, io_uring and epoll, whether it would be used and why.
    Probe,
}

#[derive(Clone, Debug, Args)]
pub(super) struct Serve {
    /// The address to listen on; may be given several times. `9001` is this machine alone, `:9001`
    /// all interfaces, `localhost:9001` that name in IPv4 and IPv6. Port 0 lets the system choose.
    /// `[::]` accepts IPv4 as well, unless an IPv4 address with the same port is given.
    /// `unix:/run/corecast.sock` is a Unix-domain socket, and with `,mode=0660` behind it has these
    /// permissions. `systemd` takes the sockets that systemd passes, `systemd:web` those of this
    /// name. With `,proxy` behind any of these, each connection has to begin with a header of the
    /// PROXY protocol, version 1 or 2, and the client is the one that it names.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9001")]
    #[arg(value_parser = parse_listen)]
    #[cfg_attr(
        feature = "tls",
        arg(default_value_if("listen_tls", ArgPredicate::IsPresent, None))
    )]
    pub(super) listen: Vec<Listens>,
    #[cfg(feature = "tls")]
    #[command(flatten)]
    pub(super) tls: TlsFlags,
    #[cfg(feature = "tokens")]
    #[command(flatten)]
    pub(super) tokens: TokenFlags,
    /// The cores to run on, one loop on each, such as 0,2-3; without it, all that the process may
    /// use.
    #[arg(long, value_name = "LIST", value_parser = parse_cores)]
    pub(super) cores: Option<Cores>,
    /// The number of loops on each core. More than one is useful only to hold more connections
    /// than RLIMIT_NOFILE allows for one ring, if that limit cannot be raised.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_loops,
        allow_negative_numbers = true)]
    pub(super) loops_per_core: usize,
    /// The largest message, in bytes or with KiB, MiB, GiB; a larger one closes its connection
    /// with 1009.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_size,
        allow_negative_numbers = true)]
    pub(super) max_message: usize,
    /// The memory that the clients of one loop may make it hold, for incomplete messages, input and
    /// output that waits, filters and retained values, in bytes or with KiB, MiB, GiB. Filters and
    /// retained values may take half of it. Near it, new connections are answered with 503 and
    /// publishers wait; beyond it, those that hold the most are closed.
    #[arg(long, value_name = "SIZE", default_value = "512MiB", value_parser = parse_size,
        allow_negative_numbers = true)]
    pub(super) max_memory: usize,
    /// The largest head of a request, from 1KiB to 1MiB; a larger one is answered with 431.
    #[arg(long, value_name = "SIZE", default_value = "16KiB", value_parser = parse_head_size,
        allow_negative_numbers = true)]
    pub(super) max_head: usize,
    /// Do not negotiate compression (permessage-deflate).
    #[arg(long)]
    pub(super) no_deflate: bool,
    /// Let only web pages of this origin connect, such as https://example.org; may be given several
    /// times. `*`, or leaving the flag out, allows every page. Clients that send no origin are not
    /// affected.
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    pub(super) allow_origin: Vec<Origins>,
    /// Believe the proxies of this network, such as 10.0.0.0/8, when they say in Forwarded or
    /// X-Forwarded-For which client a request comes from; may be given several times. `unix` are
    /// the peers on Unix-domain sockets. The addresses of refused clients are logged then.
    #[arg(long, value_name = "NETWORK", value_parser = parse_proxies)]
    pub(super) trust_proxy: Vec<TrustedProxies>,
    /// Seconds without input from a client before it is sent a ping.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = parse_seconds,
        allow_negative_numbers = true)]
    pub(super) ping_after: u64,
    /// Seconds without a message before a connection is closed with 1001; without it, no limit.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds,
        allow_negative_numbers = true)]
    pub(super) idle_timeout: Option<u64>,
    /// Seconds within which a message that comes in pieces must be complete, and one second more
    /// for each 4 KiB of it; beyond that, its connection is closed with 1008.
    #[arg(long, value_name = "SECONDS", default_value_t = 60, value_parser = parse_seconds,
        allow_negative_numbers = true)]
    pub(super) message_timeout: u64,
    /// Do not serve topics: echo on /topics/... and /pubsub as on every other path.
    #[arg(long)]
    pub(super) no_pubsub: bool,
    /// The policy for subscribers that read too slowly.
    #[arg(long, value_name = "POLICY", default_value = "close")]
    pub(super) slow_consumer: Slow,
    /// The queue of one subscriber before that policy applies, in bytes or with KiB, MiB, GiB.
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_size,
        allow_negative_numbers = true)]
    pub(super) subscriber_queue: usize,
    /// The memory that the filters of one connection may take in the index; a further filter is
    /// refused.
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_size,
        allow_negative_numbers = true)]
    pub(super) max_connection_index: usize,
    /// The memory that the index of each loop may take, for the filters of all connections; a
    /// further filter is refused.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size,
        allow_negative_numbers = true)]
    pub(super) max_index: usize,
    /// The interface of the kernel. Where io_uring cannot be used, auto logs a warning that names
    /// the cause, and uses epoll. On epoll all loops share the limit of open files.
    #[arg(long, value_name = "BACKEND", default_value = "auto")]
    pub(super) backend: Interface,
    /// The format of the log on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Slow {
    /// Close them with 1013.
    Close,
    /// Drop new messages until there is room again.
    DropNewest,
    /// Drop the oldest messages in the queue.
    DropOldest,
    /// Keep only the latest message of each topic.
    Conflate,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Interface {
    /// io_uring if it can be used, else epoll.
    Auto,
    /// io_uring; the start fails without it.
    Uring,
    /// epoll.
    Epoll,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }
}
