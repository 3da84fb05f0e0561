//! The flags of the log, and its start.

use clap::{Args, ValueEnum};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

/// The variable that filters the log unless --log-level is given.
const VARIABLE: &str = "RUST_LOG";

#[derive(Clone, Debug, Args)]
pub(super) struct LogFlags {
    /// The format of the log on standard error.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    log_format: LogFormat,
    /// What is logged: error, warn, info, debug, trace or off, or a list such as
    /// info,corecast::access=off of levels for parts. Without it the variable RUST_LOG says so, and
    /// without that it is info.
    #[arg(long, value_name = "LEVEL", value_parser = parse_level)]
    log_level: Option<Targets>,
    /// Log each answered request, and the end of each WebSocket, with the address of the client, at
    /// level info as corecast::access. Never payloads, tokens or queries.
    #[arg(long)]
    pub(super) access_log: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum LogFormat {
    /// Plain text.
    Text,
    /// One JSON object per line.
    Json,
}

fn parse_level(text: &str) -> Result<Targets, String> {
    let is_part = |part: &str| part.contains('=') || LEVELS.contains(&&*part.to_ascii_lowercase());
    match text.parse() {
        Ok(targets) if text.split(',').all(is_part) => Ok(targets),
        _ => Err(format!("write one of {}, or a list such as info,corecast::access=off", levels())),
    }
}

const LEVELS: [&str; 6] = ["error", "warn", "info", "debug", "trace", "off"];

fn levels() -> String {
    LEVELS.join(", ")
}

impl LogFlags {
    /// Starts the log. A variable that cannot be read is told in it.
    pub(super) fn start(&self) {
        let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
        let (filter, wrong) = match (&self.log_level, variable.as_deref().map(parse_level)) {
            (Some(given), _) => (given.clone(), None),
            (None, Some(Ok(given))) => (given, None),
            (None, Some(Err(wrong))) => (by_default(), Some(wrong)),
            (None, None) => (by_default(), None),
        };
        let log = tracing_subscriber::fmt::layer()
            .with_writer(std::io::stderr)
            .with_ansi(false)
            .with_target(false);
        let log = match self.log_format {
            LogFormat::Text => log.boxed(),
            LogFormat::Json => log.json().flatten_event(true).boxed(),
        };
        tracing_subscriber::registry().with(log.with_filter(filter)).init();
        if let Some(wrong) = wrong {
            tracing::warn!("{VARIABLE} is not understood: {wrong}");
        }
    }
}

fn by_default() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_words_or_lists() {
        for text in ["info", "DEBUG", "off", "warn,corecast::access=info", "corecast=trace"] {
            assert!(parse_level(text).is_ok(), "{text}");
        }
        for text in ["", "loud", "info,loud", "corecast::access", "corecast=loud"] {
            let error = parse_level(text).expect_err(text);
            assert!(error.contains("error, warn, info"), "{text}: {error}");
        }
    }
}
