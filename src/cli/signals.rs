//! What the command does on signals.

use std::sync::Arc;

use clap::ArgMatches;
use corecast::server::ServerHandle;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR2};
use signal_hook::iterator::Signals;

use super::notify::Notifier;
use super::reload::{self, Files};
use super::requests::Requests;
use super::settings::Options;

/// The signals that are handled. SIGHUP ends the process as usual if it has nothing to read again.
pub(super) fn handled(matches: &ArgMatches, options: &Options) -> Vec<i32> {
    let mut signals = vec![SIGTERM, SIGINT, SIGUSR2];
    if reload::is_possible(matches, options) {
        signals.push(SIGHUP);
    }
    signals
}

/// Handles signals: SIGTERM or SIGINT starts draining, and a second one ends the process at once;
/// SIGUSR2 drains and stays; SIGHUP has the settings, certificates and keys read again.
pub(super) fn handle(
    mut signals: Signals,
    server: ServerHandle,
    mut files: Files,
    notifier: Notifier,
) -> std::io::Result<()> {
    let log = files.log.clone();
    let notifier = Arc::new(notifier);
    // Reading may take as long as a file system pleases, and SIGTERM is not to wait for it.
    let reload = {
        let (server, notifier) = (server.clone(), Arc::clone(&notifier));
        Requests::start("corecast-reload", move || {
            notifier.reloading();
            let result = files.read_again(&server);
            notifier.reloaded(&result);
        })?
    };
    std::thread::Builder::new().name("corecast-signals".to_owned()).spawn(move || {
        let mut stopping = false;
        for signal in signals.forever() {
            match signal {
                SIGHUP => reload.request(),
                SIGUSR2 if server.is_draining() => tracing::info!(signal, "draining already"),
                SIGUSR2 => {
                    tracing::info!(signal, "draining; SIGTERM ends the process");
                    server.drain_and_stay();
                }
                _ => {
                    if std::mem::replace(&mut stopping, true) {
                        tracing::warn!(signal, "a second signal; ended at once");
                        log.flush();
                        std::process::exit(128 + signal);
                    }
                    tracing::info!(signal, "stopping; a second signal stops at once");
                    notifier.stopping();
                    server.drain();
                }
            }
        }
    })?;
    Ok(())
}
