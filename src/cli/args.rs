//! The flags.

use std::net::SocketAddr;

use clap::builder::{RangedU64ValueParser, TypedValueParser};
use clap::{Args, Parser, Subcommand, ValueEnum};
use corecast::protocol::handshake::{OriginError, Origins};

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
    pub(super) listen: Vec<SocketAddr>,
    /// The cores to run on, one loop on each, such as 0,2-3; all that the process may use if not
    /// given.
    #[arg(long, value_name = "LIST", value_parser = parse_cores)]
    pub(super) cores: Option<Cores>,
    /// Loops on each core. More than one serves only to hold more connections than RLIMIT_NOFILE
    /// allows one ring, where that limit cannot be raised.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = loops())]
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
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    pub(super) ping_after: u64,
    /// Seconds without a message before a connection is closed with 1001; never if not given.
    #[arg(long, value_name = "SECONDS", value_parser = seconds())]
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

/// A list of core numbers, of which clap is to make one value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Cores(pub(super) Vec<usize>);

/// The number of loops on a core.
fn loops() -> impl TypedValueParser<Value = usize> {
    RangedU64ValueParser::<usize>::new().range(1..=16)
}

fn seconds() -> RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=86_400)
}

/// Reads `https://example.org` or `*`.
fn parse_origin(text: &str) -> Result<Origins, OriginError> {
    Origins::list([text])
}

/// Reads `0,2-3`.
fn parse_cores(text: &str) -> Result<Cores, String> {
    const HIGHEST: usize = 4095;
    let bad = |part: &str| format!("`{part}` is not a core or a range of cores, such as 0,2-3");
    let mut cores = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (Ok(first), Ok(last)) = (first.parse::<usize>(), last.parse::<usize>()) else {
            return Err(bad(part));
        };
        if first > last || last > HIGHEST {
            return Err(bad(part));
        }
        cores.extend(first..=last);
    }
    Ok(Cores(cores))
}

/// Reads `65536`, `64KiB`, `16 MiB`, `1GiB`.
fn parse_size(text: &str) -> Result<usize, String> {
    let lower = text.to_ascii_lowercase();
    let digits = lower.find(|c: char| !c.is_ascii_digit()).unwrap_or(lower.len());
    let (number, unit) = lower.split_at(digits);
    let shift = match unit.trim() {
        "" | "b" => 0,
        "k" | "kib" => 10,
        "m" | "mib" => 20,
        "g" | "gib" => 30,
        _ => return Err(format!("`{text}` is not a size, such as 65536, 64KiB or 16MiB")),
    };
    number
        .parse::<usize>()
        .ok()
        .and_then(|number| number.checked_mul(1 << shift))
        .filter(|size| (1..=1 << 32).contains(size))
        .ok_or_else(|| format!("`{text}` is not a size from 1 byte to 4GiB"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flags_are_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn core_lists() {
        assert_eq!(parse_cores("0,2-3"), Ok(Cores(vec![0, 2, 3])));
        assert_eq!(parse_cores("5"), Ok(Cores(vec![5])));
        for bad in ["", ",", "a", "3-1", "1-", "-1", "0,,1", "0-99999", "1.5", "0 1"] {
            assert!(parse_cores(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes() {
        for (text, size) in [
            ("1", 1),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("64k", 65_536),
            ("16 MiB", 16 << 20),
            ("4GiB", 4 << 30),
        ] {
            assert_eq!(parse_size(text), Ok(size), "{text}");
        }
        for bad in ["", "0", "-1", "x", "1.5MiB", "MiB", "5GiB", "99999999999999999999", "1TiB"] {
            assert!(parse_size(bad).is_err(), "{bad}");
        }
    }
}
