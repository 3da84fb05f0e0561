//! The flags.

use std::net::SocketAddr;

use clap::{Args, Parser, Subcommand, ValueEnum};
use corecast::protocol::websocket::handshake::Origins;

use super::values::{
    Cores, parse_address, parse_cores, parse_loops, parse_origin, parse_seconds, parse_size,
};

/// A strict, thread-per-core WebSocket server on io_uring.
#[derive(Debug, Parser)]
#[command(version, about, max_term_width = 100)]
pub(super) struct Cli {
    #[command(subcommand)]
    pub(super) command: Command,
}

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Echo on every path, but publish and subscribe on /topics/<topic> and, in JSON, on /pubsub;
    /// until SIGTERM or SIGINT.
    Serve(Serve),
    /// Print what this kernel's io_uring offers and what of it will be used.
    Probe,
}

#[derive(Debug, Args)]
pub(super) struct Serve {
    /// Where to listen; may be given several times. Port 0 lets the system choose. `[::]` takes
    /// IPv4 as well, unless an IPv4 address with the same port is given.
    #[arg(long, value_name = "ADDR:PORT", default_value = "127.0.0.1:9001")]
    #[arg(value_parser = parse_address)]
    pub(super) listen: Vec<SocketAddr>,
    /// The cores to run on, one loop on each, such as 0,2-3; all that the process may use if not
    /// given.
    #[arg(long, value_name = "LIST", value_parser = parse_cores)]
    pub(super) cores: Option<Cores>,
    /// Loops on each core. More than one serves only to hold more connections than RLIMIT_NOFILE
    /// allows one ring, where that limit cannot be raised.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = parse_loops)]
    pub(super) loops_per_core: usize,
    /// The largest message, in bytes or with KiB, MiB, GiB; larger ones are closed with 1009.
    #[arg(long, value_name = "SIZE", default_value = "16MiB", value_parser = parse_size)]
    pub(super) max_message: usize,
    /// Do not agree to permessage-deflate.
    #[arg(long)]
    pub(super) no_deflate: bool,
    /// Let only pages of this origin connect, such as https://example.org; may be given several
    /// times. `*` is every page, as is no such flag. Programs, which send no origin, are not
    /// affected.
    #[arg(long, value_name = "ORIGIN", value_parser = parse_origin)]
    pub(super) allow_origin: Vec<Origins>,
    /// Seconds of silence before a ping is sent.
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = parse_seconds)]
    pub(super) ping_after: u64,
    /// Seconds without a message before a connection is closed with 1001; never if not given.
    #[arg(long, value_name = "SECONDS", value_parser = parse_seconds)]
    pub(super) idle_timeout: Option<u64>,
    /// Serve no topics: echo on /topics/... and /pubsub as on every other path.
    #[arg(long)]
    pub(super) no_pubsub: bool,
    /// What happens to subscribers that read too slowly.
    #[arg(long, value_name = "POLICY", default_value = "close")]
    pub(super) slow_consumer: Slow,
    /// What may wait for one subscriber before that happens, in bytes or with KiB, MiB, GiB.
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_size)]
    pub(super) subscriber_queue: usize,
    /// What the filters of one connection may take in the index; a further one is refused.
    #[arg(long, value_name = "SIZE", default_value = "256KiB", value_parser = parse_size)]
    pub(super) max_connection_index: usize,
    /// What the index of each core may take, for the filters of all connections; a further one is
    /// refused.
    #[arg(long, value_name = "SIZE", default_value = "256MiB", value_parser = parse_size)]
    pub(super) max_index: usize,
    /// How log lines are written to standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    pub(super) log_format: LogFormat,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Slow {
    /// Close them with 1013.
    Close,
    /// Drop what comes until there is room again.
    DropNewest,
    /// Drop what has waited longest.
    DropOldest,
    /// Keep only the latest message of each topic.
    Conflate,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum LogFormat {
    /// For people.
    Text,
    /// One JSON object on each line.
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
