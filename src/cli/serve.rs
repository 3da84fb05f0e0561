//! `corecast serve`.

use std::process::ExitCode;
#[cfg(feature = "tokens")]
use std::sync::Arc;

use clap::ArgMatches;
use corecast::app::echo::Echo;
#[cfg(feature = "tokens")]
use corecast::authority::Tokens;
use corecast::config::{Access, Backend, Route};
use corecast::error::{CoreList, Error};
use corecast::server::{Listening, ServerHandle};
use corecast::worker::Stats;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::check;
use super::exit::{FAILURE, USAGE, fail};
use super::settings::{LogFormat, Options, effective_file};
#[cfg(feature = "tls")]
use super::tls;
#[cfg(feature = "tokens")]
use super::tokens;

/// Serves until a signal.
pub(super) fn serve(matches: &ArgMatches) -> ExitCode {
    let resolved = match check::settings(matches) {
        Ok(resolved) => resolved,
        Err(code) => return code,
    };
    if matches.get_flag("print-config") {
        return check::print(&effective_file(&resolved));
    }
    let options = &resolved.options;
    start_log(options.log_format);
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    // Before the start line, so that a signal after it is always handled.
    let signals = match Signals::new(handled_signals(options)) {
        Ok(signals) => signals,
        Err(error) => return fail(FAILURE, &format!("signals cannot be handled: {error}")),
    };
    match start(options) {
        Ok((running, files)) => {
            if let Err(error) = handle_signals(signals, running.clone(), files) {
                return fail(FAILURE, &Error::Thread(error).to_string());
            }
            log_start(options, &running);
            match running.join() {
                Ok(stats) => {
                    log_totals(&stats);
                    ExitCode::SUCCESS
                }
                Err(error) => fail(FAILURE, &error.to_string()),
            }
        }
        Err(
            error @ (Error::Core { .. }
            | Error::Overlap { .. }
            | Error::Twice { .. }
            | Error::Usage(_)),
        ) => fail(USAGE, &error.to_string()),
        Err(error) => fail(FAILURE, &error.to_string()),
    }
}

/// Logs the sums of the counters of all loops.
fn log_totals(stats: &[Stats]) {
    let sum = |counter: fn(&Stats) -> u64| stats.iter().map(counter).sum::<u64>();
    tracing::info!(
        accepted = sum(|loops| loops.accepted),
        accept_errors = sum(|loops| loops.accept_errors),
        refused = sum(|loops| loops.refused),
        violations = sum(|loops| loops.violations),
        paused = sum(|loops| loops.paused),
        dropped = sum(|loops| loops.dropped),
        too_slow = sum(|loops| loops.too_slow),
        shed = sum(|loops| loops.shed),
        no_buffers = sum(|loops| loops.no_buffers),
        without_header = sum(|loops| loops.driver.without_header),
        "stopped"
    );
}

fn start_log(format: LogFormat) {
    let log = tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false)
        .with_max_level(tracing::Level::INFO);
    match format {
        LogFormat::Text => log.init(),
        LogFormat::Json => log.json().flatten_event(true).init(),
    }
}

fn start(options: &Options) -> Result<(ServerHandle, Files), Error> {
    let server = options.server();
    #[cfg(feature = "tls")]
    let server = tls::apply(options, server)?;
    #[cfg(feature = "tokens")]
    let tokens = tokens::read(options)?;
    #[cfg(feature = "tokens")]
    let server = tokens::apply(tokens.as_ref(), server);
    let files = Files {
        options: options.clone(),
        #[cfg(feature = "tokens")]
        tokens,
    };
    Ok((server.start(|_core, _handle| Echo)?, files))
}

/// Logs the start line.
fn log_start(options: &Options, running: &ServerHandle) {
    let show = |(number, place): (usize, &Listening)| {
        let ending = match (running.has_tls(number), running.has_proxy_protocol(number)) {
            (false, false) => "",
            (true, false) => " (TLS)",
            (false, true) => " (PROXY protocol)",
            (true, true) => " (PROXY protocol, TLS)",
        };
        format!("{place}{ending}")
    };
    let places: Vec<String> = running.listening().iter().enumerate().map(show).collect();
    let backend = if running.backend() == Backend::Epoll { "epoll" } else { "io_uring" };
    tracing::info!(
        version = env!("CARGO_PKG_VERSION"),
        kernel = corecast::io::uring::kernel_release(),
        cores = %CoreList(running.cores()),
        max_message = options.config.limits.max_message,
        max_connections_per_loop = running.max_connections(),
        deflate = options.config.deflate.enabled,
        pubsub = options.config.serves_topics(),
        backend,
        io_uring = running.features().map(tracing::field::display),
        tokens = options.tokens.is_used(),
        "corecast echoes, listening on {}",
        places.join(", "),
    );
    warn_open(options, running);
}

/// Warns if others than this machine can connect, and nothing protects what they send, or says who
/// they are.
fn warn_open(options: &Options, running: &ServerHandle) {
    let is_remote = |place: &Listening| match place {
        Listening::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        _ => false,
    };
    let places = running.listening().iter().enumerate().filter(|(_, place)| is_remote(place));
    let has_tls: Vec<bool> = places.map(|(number, _)| running.has_tls(number)).collect();
    let is_plain = has_tls.contains(&false);
    let is_open = has_open_topics(options) && !has_tls.is_empty();
    let missing = match (is_plain, is_open) {
        (false, false) => return,
        (true, false) => "without TLS: whoever is on the way can read and change all",
        (false, true) => "without tokens: whoever connects may publish and subscribe to all",
        (true, true) => "without TLS and tokens: whoever connects may publish and read all",
    };
    tracing::warn!("listening beyond this machine {missing}");
}

/// Whether some may publish and subscribe without a token.
fn has_open_topics(options: &Options) -> bool {
    let mut routes = options.config.routes.iter();
    let is_open = |route: &Route| route.serves_topics() && route.access == Some(Access::Anyone);
    options.config.serves_topics() && (!options.tokens.is_used() || routes.any(is_open))
}

/// The signals that are handled. SIGHUP ends the process as usual if it has nothing to read again.
fn handled_signals(options: &Options) -> Vec<i32> {
    let mut signals = vec![SIGTERM, SIGINT];
    if reads_again(options) {
        signals.push(SIGHUP);
    }
    signals
}

/// Whether there are certificates or keys.
const fn reads_again(options: &Options) -> bool {
    !options.listen_tls.is_empty() || options.tokens.is_used()
}

/// What is read again on SIGHUP.
struct Files {
    options: Options,
    #[cfg(feature = "tokens")]
    tokens: Option<Arc<Tokens>>,
}

impl Files {
    fn read_again(&self, server: &ServerHandle) {
        #[cfg(feature = "tls")]
        if tls::is_used(&self.options) {
            tls::reload(&self.options, server);
        }
        #[cfg(feature = "tokens")]
        if let Some(tokens) = &self.tokens {
            tokens::reload(&self.options, tokens);
        }
        // Certificates are the server's, keys of tokens are not.
        #[cfg(not(feature = "tls"))]
        let _ = server;
        #[cfg(not(any(feature = "tls", feature = "tokens")))]
        let _ = &self.options;
    }
}

/// Handles signals: the first starts draining, the second ends the process at once; SIGHUP has the
/// certificates and keys read again.
fn handle_signals(mut signals: Signals, server: ServerHandle, files: Files) -> std::io::Result<()> {
    std::thread::Builder::new().name("corecast-signals".to_owned()).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                files.read_again(&server);
                continue;
            }
            if std::mem::replace(&mut stopping, true) {
                std::process::exit(128 + signal);
            }
            tracing::info!(signal, "stopping; a second signal stops at once");
            server.drain();
        }
    })?;
    Ok(())
}
