//! `corecast serve`.

use std::process::ExitCode;

use clap::ArgMatches;
use corecast::app::echo::Echo;
use corecast::config::Backend;
use corecast::error::{CoreList, Error};
use corecast::server::{Listening, Server, ServerHandle};
use corecast::worker::Stats;
use signal_hook::iterator::Signals;

use super::admin;
#[cfg(feature = "auth-url")]
use super::auth;
use super::check;
use super::exit::{FAILURE, USAGE, fail, print};
use super::log::{self, Log};
use super::notify::Notifier;
use super::reload::Files;
use super::settings::{Options, Resolved, effective_file};
use super::signals;
#[cfg(feature = "tls")]
use super::tls;
#[cfg(feature = "tokens")]
use super::tokens;
use super::warn;

/// Serves until a signal.
pub(super) fn serve(matches: &ArgMatches) -> ExitCode {
    let resolved = match check::settings(matches) {
        Ok(resolved) => resolved,
        Err(code) => return code,
    };
    if matches.get_flag("print-config") {
        return print(&effective_file(&resolved));
    }
    let log = match log::start(&resolved.options.log) {
        Ok(log) => log,
        Err(error) => return fail(FAILURE, &Error::Thread(error).to_string()),
    };
    let code = match run(matches, &resolved, &log) {
        Ok(()) => ExitCode::SUCCESS,
        Err((code, text)) => {
            // Nobody may read standard error, so this does not wait for it.
            log.say(&format!("corecast: {text}"));
            ExitCode::from(code)
        }
    };
    log.flush();
    code
}

/// Serves with these settings. An error is an exit code and what to say.
fn run(matches: &ArgMatches, resolved: &Resolved, log: &Log) -> Result<(), (u8, String)> {
    let options = &resolved.options;
    for warning in &resolved.warnings {
        tracing::warn!("{warning}");
    }
    let refused = |error: Error| {
        let is_usage = matches!(
            error,
            Error::Core { .. }
                | Error::Overlap { .. }
                | Error::Twice { .. }
                | Error::AdminWithoutToken { .. }
                | Error::Usage(_)
        );
        let text = match error {
            Error::Core { .. } => format!("`cores`: {error}; see `corecast serve --help`"),
            _ => error.to_string(),
        };
        (if is_usage { USAGE } else { FAILURE }, text)
    };
    let (server, files) = prepare(options, matches, log).map_err(refused)?;
    // Before the start line, so that a signal after it is always handled. After the files, so that
    // one that cannot be read for long does not keep SIGTERM from ending the process.
    let signals = Signals::new(signals::handled(matches, options))
        .map_err(|error| (FAILURE, format!("signals cannot be handled: {error}")))?;
    let running = server.start(|_core, _handle| Echo).map_err(refused)?;
    let notifier = Notifier::of_process();
    log_start(options, &running);
    // A successor has said so before its predecessor could end.
    if !running.is_successor() {
        notifier.ready(false);
    }
    let failed = |error: Error| (FAILURE, error.to_string());
    let watched = Notifier::watch(running.clone());
    let handled = signals::handle(signals, running.clone(), files, notifier);
    watched.and(handled).map_err(|error| failed(Error::Thread(error)))?;
    log_totals(&running.join().map_err(failed)?);
    Ok(())
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

/// A server that has all that the files say.
fn prepare(options: &Options, matches: &ArgMatches, log: &Log) -> Result<(Server, Files), Error> {
    let server = options.server().on_take_over(|| Notifier::of_process().ready(true));
    let server = server.lost_log_lines(log.lost());
    #[cfg(feature = "tls")]
    let server = tls::apply(options, server)?;
    #[cfg(feature = "tokens")]
    let tokens = tokens::read(options)?;
    #[cfg(feature = "tokens")]
    let server = tokens::apply(tokens.as_ref(), server);
    #[cfg(feature = "auth-url")]
    let server = auth::apply(&options.auth, tokens.as_ref(), server)?;
    let server = admin::apply(&options.admin, server)?;
    let files = Files {
        matches: matches.clone(),
        log: log.clone(),
        started: options.clone(),
        holding: options.clone(),
        #[cfg(feature = "tokens")]
        tokens,
    };
    Ok((server, files))
}

/// Logs the start line.
fn log_start(options: &Options, running: &ServerHandle) {
    let show = |(number, place): (usize, &Listening)| {
        let kinds = [
            ("admin", running.is_for_admin(number)),
            ("PROXY protocol", running.has_proxy_protocol(number)),
            ("TLS", running.has_tls(number)),
        ];
        let kinds: Vec<&str> = kinds.iter().filter(|(_, is)| *is).map(|(kind, _)| *kind).collect();
        match kinds.is_empty() {
            true => place.to_string(),
            false => format!("{place} ({})", kinds.join(", ")),
        }
    };
    let mut places: Vec<String> = running.listening().iter().enumerate().map(show).collect();
    // Of a predecessor with more loops there are more sockets than places.
    places.dedup();
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
        auth_url = options.auth.url.is_some(),
        "corecast echoes, listening on {}",
        places.join(", "),
    );
    warn::of_start(options, running);
}
