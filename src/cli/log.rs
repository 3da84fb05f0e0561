//! The start of the log.

use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use super::settings::{Level, LogFormat, LogOptions};

/// The variable that filters the log unless there is a level in the settings.
const VARIABLE: &str = "RUST_LOG";

/// Starts the log. A variable that cannot be read is told in it.
pub(super) fn start(options: &LogOptions) {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    let (filter, wrong) = match (&options.level, variable.as_deref().map(Level::parse)) {
        (Some(given), _) => (given.filter(), None),
        (None, Some(Ok(given))) => (given.filter(), None),
        (None, Some(Err(wrong))) => (by_default(), Some(wrong)),
        (None, None) => (by_default(), None),
    };
    let log = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    let log = match options.format {
        LogFormat::Text => log.boxed(),
        LogFormat::Json => log.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(log.with_filter(filter)).init();
    if let Some(wrong) = wrong {
        tracing::warn!("{VARIABLE} is not understood: {wrong}");
    }
}

fn by_default() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}
