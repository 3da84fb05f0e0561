//! What is read again on SIGHUP: the settings, certificates, keys and the admin token.

#[cfg(feature = "tokens")]
use std::sync::Arc;

use clap::ArgMatches;
#[cfg(feature = "tokens")]
use corecast::authority::Tokens;
use corecast::server::ServerHandle;

use super::admin;
use super::check;
use super::log::Log;
use super::settings::{Options, Resolved, differing, keep};
#[cfg(feature = "tls")]
use super::tls;
#[cfg(feature = "tokens")]
use super::tokens;

/// What the server was started with, and what holds now.
pub(super) struct Files {
    /// The arguments of the command.
    pub(super) matches: ArgMatches,
    pub(super) log: Log,
    /// The settings of the start.
    pub(super) started: Options,
    /// The settings that were read last.
    pub(super) holding: Options,
    #[cfg(feature = "tokens")]
    pub(super) tokens: Option<Arc<Tokens>>,
}

/// Whether there is a file of settings that can be read again.
fn has_file(matches: &ArgMatches) -> bool {
    check::file(matches).is_some_and(|file| file.as_os_str() != "-")
}

/// Whether there is anything to read again.
pub(super) fn is_possible(matches: &ArgMatches, options: &Options) -> bool {
    let has_token = options.admin.token_file.is_some();
    has_file(matches) || !options.listen_tls.is_empty() || options.tokens.is_used() || has_token
}

impl Files {
    /// Reads all again. With a fault in the settings, everything stays as it is.
    pub(super) fn read_again(&mut self, server: &ServerHandle) {
        if has_file(&self.matches) {
            match self.read_settings(server) {
                Some(options) => self.holding = options,
                None => return,
            }
        }
        self.read_files(server);
    }

    /// Reads the settings and brings them to the server. Nothing if they are wrong.
    fn read_settings(&self, server: &ServerHandle) -> Option<Options> {
        let resolved = match check::resolve(&self.matches, Some(&self.started)) {
            Ok(resolved) => resolved,
            Err(faults) => {
                check::each_line(&faults, |line| tracing::error!("{line}"));
                let faults = faults.len();
                tracing::error!(faults, "the settings, certificates and keys stay as they were");
                return None;
            }
        };
        for warning in &resolved.warnings {
            tracing::warn!("{warning}");
        }
        match server.reload(&resolved.options.config()) {
            Ok(kept) => {
                let options = self.holding_of(resolved, &kept);
                self.log.reload(&options.log);
                Some(options)
            }
            Err(error) => {
                tracing::error!("the settings, certificates and keys stay as they were: {error}");
                None
            }
        }
    }

    /// What holds now of what was read, but for the fields that the server has `kept`. Logs what
    /// has changed, and what has not.
    fn holding_of(&self, resolved: Resolved, kept: &[&'static str]) -> Options {
        let mut options = resolved.options;
        let by_server = |name: &&str| {
            *name == "access-log" && kept.contains(&"access_log")
                || *name == "trust-proxy" && kept.contains(&"trusted_proxies")
        };
        let by_server: Vec<_> =
            differing(&self.started, &options).into_iter().filter(by_server).collect();
        for name in resolved.kept.into_iter().chain(by_server) {
            tracing::warn!("`{name}` cannot change while the server runs; start it anew for that");
            keep(&mut options, &self.started, name);
        }
        let mut changed = differing(&self.holding, &options);
        if self.holding.config.routes != options.config.routes {
            changed.push("route");
        }
        tracing::info!(changed = changed.join(","), "the settings were read again");
        options
    }

    /// Reads the files that the settings name.
    fn read_files(&self, server: &ServerHandle) {
        let options = &self.holding;
        #[cfg(feature = "tls")]
        if tls::is_used(&self.started) {
            tls::reload(options, server);
        }
        #[cfg(feature = "tokens")]
        if let Some(tokens) = self.tokens.as_ref().filter(|_| options.tokens.is_used()) {
            tokens::reload(options, tokens);
        }
        if options.admin.token_file.is_some() {
            admin::reload(&options.admin, server);
        }
    }
}
