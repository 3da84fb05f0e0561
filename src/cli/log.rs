//! The start of the log.

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread;
use std::time::Duration;

use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, Registry, reload};

use super::log_queue::LogQueue;
use super::settings::{Level, LogFormat, LogOptions};

/// The variable that filters the log unless there is a level in the settings.
const VARIABLE: &str = "RUST_LOG";

/// How long the end waits for standard error to take what was logged.
const PATIENCE: Duration = Duration::from_secs(1);
/// The same at a panic, which may be one of a loop.
const AT_PANIC: Duration = Duration::from_millis(100);

/// The log that was started.
#[derive(Clone)]
pub(super) struct Log {
    filter: reload::Handle<Targets, Registry>,
    queue: LogQueue,
}

impl Log {
    /// From now on these settings say what is logged.
    pub(super) fn reload(&self, options: &LogOptions) {
        let (filter, _) = filter(options);
        // It fails only if the log has ended.
        let _ = self.filter.reload(filter);
    }

    /// How many lines were lost, because they were not read in time.
    pub(super) fn lost(&self) -> Arc<AtomicU64> {
        self.queue.lost()
    }

    /// Tells a line in the order of the log. It is lost if nobody reads the log.
    pub(super) fn say(&self, line: &str) {
        // A queue takes or counts it.
        let _ = self.queue.clone().write_all(format!("{line}\n").as_bytes());
    }

    /// Waits until what was logged is written, but not for long.
    pub(super) fn flush(&self) {
        self.queue.flush(PATIENCE);
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
pub(super) fn start(options: &LogOptions) -> io::Result<Log> {
    let queue = LogQueue::start(io::stderr())?;
    let (filter, wrong) = filter(options);
    let (filter, handle) = reload::Layer::new(filter);
    let log = tracing_subscriber::fmt::layer()
        .with_writer(queue.clone())
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
    log_panics(queue.clone());
    Ok(Log { filter: handle, queue })
}

/// A panic is told in the order of the log, and waits no longer than that is allowed to: standard
/// error may be a pipe that nobody reads.
fn log_panics(queue: LogQueue) {
    std::panic::set_hook(Box::new(move |panic| {
        let trace = Backtrace::capture();
        let trace = match trace.status() {
            BacktraceStatus::Captured => format!("stack backtrace:\n{trace}"),
            _ => "with RUST_BACKTRACE=1 a backtrace is shown\n".to_owned(),
        };
        let thread = thread::current();
        let text = format!("thread '{}' {panic}\n{trace}", thread.name().unwrap_or("unnamed"));
        let _ = queue.clone().write_all(text.as_bytes());
        queue.flush(AT_PANIC);
    }));
}

fn by_default() -> Targets {
    Targets::new().with_default(tracing::Level::INFO)
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::os::unix::net::UnixStream;
    use std::process::{Command, Stdio};
    use std::time::Instant;

    use super::*;

    const LIMIT: Duration = Duration::from_secs(20);
    /// Set in the process that panics.
    const PANICS: &str = "CORECAST_TEST_PANICS";

    /// The process of [`a_panic_is_told_by_the_log_and_waits_for_nobody`].
    #[test]
    fn a_thread_panics_with_the_log() {
        if std::env::var_os(PANICS).is_some() {
            let log = start(&LogOptions::default()).unwrap();
            tracing::info!("before the panic");
            let panics = || panic!("as it was told");
            let thread = thread::Builder::new().name("loop-7".to_owned());
            assert!(thread.spawn(panics).unwrap().join().is_err());
            log.queue.flush(AT_PANIC);
        }
    }

    fn panicking(to: Stdio) -> Command {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "cli::log::tests::a_thread_panics_with_the_log"]);
        command.env(PANICS, "1").env("RUST_BACKTRACE", "0").env_remove(VARIABLE);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(to);
        command
    }

    #[test]
    fn a_panic_is_told_by_the_log_and_waits_for_nobody() {
        let told = panicking(Stdio::piped()).output().unwrap();
        let text = String::from_utf8(told.stderr).unwrap();
        let parts = ["before the panic", "thread 'loop-7' panicked at ", "as it was told"];
        let places = parts.map(|part| text.find(part).unwrap_or_else(|| panic!("{part}: {text}")));
        assert!(told.status.success() && places.is_sorted(), "{text}");
        // Nobody reads what it says.
        let (_reader, mut full) = UnixStream::pair().unwrap();
        full.set_nonblocking(true).unwrap();
        while full.write(b"x").is_ok() {}
        full.set_nonblocking(false).unwrap();
        let mut process = panicking(OwnedFd::from(full).into()).spawn().unwrap();
        let begun = Instant::now();
        while begun.elapsed() < LIMIT && process.try_wait().unwrap().is_none() {
            thread::sleep(Duration::from_millis(5));
        }
        let status = process.try_wait().unwrap();
        let _ = process.kill();
        assert!(status.is_some_and(|status| status.success()), "{status:?}");
    }
}
