//! `corecast serve`.

use std::process::ExitCode;
use std::time::Duration;

use corecast::app::echo::Echo;
use corecast::config::{Backend, Config, SlowConsumer};
use corecast::error::{CoreList, Error};
use corecast::protocol::websocket::handshake::Origins;
use corecast::server::{Listening, Server, ServerHandle};
use corecast::worker::Stats;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::args::{Interface, LogFormat, Serve, Slow};
use super::exit::{FAILURE, USAGE, fail};

/// Serves until a signal.
pub(super) fn serve(flags: &Serve) -> ExitCode {
    start_log(flags.log_format);
    // Before the start line, so that a signal after it is always handled.
    let signals = match Signals::new(handled_signals(flags)) {
        Ok(signals) => signals,
        Err(error) => return fail(FAILURE, &format!("signals cannot be handled: {error}")),
    };
    match start(flags) {
        Ok(running) => {
            if let Err(error) = handle_signals(signals, running.clone(), flags.clone()) {
                return fail(FAILURE, &Error::Thread(error).to_string());
            }
            log_start(flags, &running);
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

/// With less memory a loop would refuse every client that sends more than a little.
const MIN_MEMORY: usize = 1 << 20;

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

fn start(flags: &Serve) -> Result<ServerHandle, Error> {
    if flags.max_memory < flags.max_message.max(MIN_MEMORY) {
        return Err(Error::Usage(
            "--max-memory is too small: it has to be 1MiB at least, and no less than --max-message",
        ));
    }
    let mut config = Config::default();
    config.limits.max_message = flags.max_message;
    config.limits.memory = flags.max_memory;
    config.limits.head.max_bytes = flags.max_head;
    config.deflate.enabled = !flags.no_deflate;
    config.timeouts.ping_after = Duration::from_secs(flags.ping_after);
    config.timeouts.idle = flags.idle_timeout.map(Duration::from_secs);
    config.timeouts.message = Duration::from_secs(flags.message_timeout);
    config.origins = allowed(&flags.allow_origin);
    for proxies in &flags.trust_proxy {
        config.trusted_proxies.networks.extend_from_slice(&proxies.networks);
        config.trusted_proxies.unix |= proxies.unix;
    }
    config.pubsub.endpoints = !flags.no_pubsub;
    config.pubsub.queue = flags.subscriber_queue;
    config.pubsub.max_connection_index = flags.max_connection_index;
    config.pubsub.max_index = flags.max_index;
    config.pubsub.slow = match flags.slow_consumer {
        Slow::Close => SlowConsumer::Close,
        Slow::DropNewest => SlowConsumer::DropNewest,
        Slow::DropOldest => SlowConsumer::DropOldest,
        Slow::Conflate => SlowConsumer::Conflate,
    };
    config.backend = match flags.backend {
        Interface::Auto => Backend::Auto,
        Interface::Uring => Backend::Uring,
        Interface::Epoll => Backend::Epoll,
    };
    #[cfg(feature = "tokens")]
    flags.tokens.check(&config)?;
    // The echo never blocks its loop, so the watchdog thread is not needed.
    let mut server = Server::new(config).loops_per_core(flags.loops_per_core).watchdog(None);
    for listen in flags.listen.iter().flat_map(|listens| &listens.0) {
        server = server.listen_on(listen.clone());
    }
    if let Some(cores) = &flags.cores {
        server = server.cores(cores.0.clone());
    }
    #[cfg(feature = "tls")]
    let server = flags.tls.apply(server)?;
    #[cfg(feature = "tokens")]
    let server = flags.tokens.apply(server)?;
    server.start(|_core, _handle| Echo)
}

/// The origins that all `--allow-origin` flags together allow.
fn allowed(flags: &[Origins]) -> Origins {
    let mut all = Vec::new();
    for flag in flags {
        match flag {
            Origins::List(origins) => all.extend_from_slice(origins),
            _ => return Origins::Any,
        }
    }
    if all.is_empty() { Origins::Any } else { Origins::List(all) }
}

/// Logs the start line.
fn log_start(flags: &Serve, running: &ServerHandle) {
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
        max_message = flags.max_message,
        max_connections_per_loop = running.max_connections(),
        deflate = !flags.no_deflate,
        pubsub = !flags.no_pubsub,
        backend,
        io_uring = running.features().map(tracing::field::display),
        tokens = verifies_tokens(flags),
        "corecast echoes, listening on {}",
        places.join(", "),
    );
    warn_open(flags, running);
}

/// Warns if others than this machine can connect, and nothing protects what they send, or says who
/// they are.
fn warn_open(flags: &Serve, running: &ServerHandle) {
    let is_remote = |place: &Listening| match place {
        Listening::Tcp(address) => !address.ip().to_canonical().is_loopback(),
        _ => false,
    };
    let places = running.listening().iter().enumerate().filter(|(_, place)| is_remote(place));
    let has_tls: Vec<bool> = places.map(|(number, _)| running.has_tls(number)).collect();
    let is_plain = has_tls.contains(&false);
    let is_open = !flags.no_pubsub && !verifies_tokens(flags) && !has_tls.is_empty();
    let missing = match (is_plain, is_open) {
        (false, false) => return,
        (true, false) => "without TLS: whoever is on the way can read and change all",
        (false, true) => "without tokens: whoever connects may publish and subscribe to all",
        (true, true) => "without TLS and tokens: whoever connects may publish and read all",
    };
    tracing::warn!("listening beyond this machine {missing}");
}

#[cfg(feature = "tokens")]
fn verifies_tokens(flags: &Serve) -> bool {
    flags.tokens.is_used()
}

#[cfg(not(feature = "tokens"))]
const fn verifies_tokens(_: &Serve) -> bool {
    false
}

/// The signals that are handled. SIGHUP ends the process as usual if it has nothing to read again.
fn handled_signals(flags: &Serve) -> Vec<i32> {
    let mut signals = vec![SIGTERM, SIGINT];
    if reads_again(flags) {
        signals.push(SIGHUP);
    }
    signals
}

fn reads_again(flags: &Serve) -> bool {
    #[cfg(feature = "tls")]
    if flags.tls.is_used() {
        return true;
    }
    verifies_tokens(flags)
}

/// Reads certificates and keys again, those of them that are used.
#[cfg_attr(not(feature = "tls"), expect(unused_variables))]
fn read_again(flags: &Serve, server: &ServerHandle) {
    #[cfg(feature = "tls")]
    if flags.tls.is_used() {
        flags.tls.reload(server);
    }
    #[cfg(feature = "tokens")]
    flags.tokens.reload();
}

/// Handles signals: the first starts draining, the second ends the process at once; SIGHUP has the
/// certificates and keys read again.
fn handle_signals(mut signals: Signals, server: ServerHandle, flags: Serve) -> std::io::Result<()> {
    std::thread::Builder::new().name("corecast-signals".to_owned()).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            if signal == SIGHUP {
                read_again(&flags, &server);
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
