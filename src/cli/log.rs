//! The start of the log.

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use super::settings::{Level, LogFormat, LogOptions};

/// The variable that filters the log unless there is a level in the settings.
const VARIABLE: &str = "RUST_LOG";

/// The log that was started.
pub(super) struct Log(reload::Handle<Targets, Registry>);

impl Log {
    /// From now on these settings say what is logged.
    pub(super) fn reload(&self, options: &LogOptions) {
        let (filter, _) = filter(options);
        // It fails only if the log has ended.
        let _ = self.0.reload(filter);
    }
}

/// What is logged, and what is wrong with the variable.
fn filter(options: &LogOptions) -> (Targets, Option<String>) {
    let variable = std::env::var(VARIABLE).ok().filter(|text| !text.is_empty());
    match (&options.level, variable.as_deref().map(Level::parse)) {
        (Some(given), _) => (given.filter(), None),
        (None, Some(Ok(given))) => (given.filter(), None),
        (None, Some(Err(wrong))) => {
            let given = variable.as_deref().unwrap_or_default();
            (by_default(), Some(format!("`{given}`, so `info` holds: {wrong}")))
        }
        (None, None) => (by_default(), None),
    }
}

/// Starts the log. A variable that cannot be read is told in it.
pub(super) fn start(options: &LogOptions) -> Log {
    let (filter, wrong) = filter(options);
    let (filter, handle) = reload::Layer::new(filter);
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
    Log(handle)
}

fn by_default() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}
