//! What is read again on SIGHUP: the settings, certificates, keys and the admin token.

#[cfg(feature = "tokens")]
use std::sync::Arc;

use clap::ArgMatches;
#[cfg(feature = "tokens")]
use corecast::authority::{Keys, Tokens};
use corecast::error::Error;
use corecast::server::ServerHandle;
#[cfg(feature = "tls")]
use corecast::transport::tls::Tls;

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

/// What was read of the files that the settings name.
struct Contents {
    #[cfg(feature = "tls")]
    tls: Option<Tls>,
    #[cfg(feature = "tokens")]
    keys: Option<Keys>,
    admin_token: Option<String>,
}

/// What was read, if anything was. Logs why it cannot be used, and returns that.
fn readable<T>(what: &str, result: Option<Result<T, Error>>) -> Result<Option<T>, String> {
    result.transpose().map_err(|error| {
        let text = format!("{what}: {error}");
        tracing::error!("{text}");
        text
    })
}

impl Files {
    /// Reads all again. With a fault in the settings or in a file that they name, everything stays
    /// as it is, and the first fault is returned.
    pub(super) fn read_again(&mut self, server: &ServerHandle) -> Result<(), String> {
        let result = self.take_over(server);
        server.note_reload(result.is_ok());
        result
    }

    fn take_over(&mut self, server: &ServerHandle) -> Result<(), String> {
        let resolved = has_file(&self.matches).then(|| self.read_settings()).transpose()?;
        let options = resolved.as_ref().map_or(&self.holding, |resolved| &resolved.options);
        let contents = self.read_files(options).inspect_err(|_| {
            tracing::error!("nothing was changed, also not what could be read");
        })?;
        if let Some(resolved) = resolved {
            let kept = server.reload(&resolved.options.config()).map_err(|error| {
                tracing::error!("the settings, certificates and keys stay as they were: {error}");
                error.to_string()
            })?;
            self.hold(resolved, &kept);
        }
        self.apply(contents, server);
        Ok(())
    }

    /// Reads the settings.
    fn read_settings(&self) -> Result<Resolved, String> {
        let resolved = check::resolve(&self.matches, Some(&self.started)).map_err(|faults| {
            check::each_line(&faults, |line| tracing::error!("{line}"));
            let first = faults.first().map(ToString::to_string).unwrap_or_default();
            let faults = faults.len();
            tracing::error!(faults, "the settings, certificates and keys stay as they were");
            first
        })?;
        for warning in &resolved.warnings {
            tracing::warn!("{warning}");
        }
        Ok(resolved)
    }

    /// Reads the files that the settings name: all of them, so that each fault is told.
    fn read_files(&self, options: &Options) -> Result<Contents, String> {
        #[cfg(feature = "tls")]
        let tls = tls::is_used(&self.started).then(|| tls::read(options));
        #[cfg(feature = "tls")]
        let tls = readable("the certificates stay as they were", tls);
        #[cfg(feature = "tokens")]
        let has_tokens = self.tokens.is_some() && options.tokens.is_used();
        #[cfg(feature = "tokens")]
        let keys = has_tokens.then(|| tokens::read_again(options));
        #[cfg(feature = "tokens")]
        let keys = readable("the keys of tokens stay as they were", keys);
        let admin_token =
            readable("the admin token stays as it was", admin::token(&options.admin).transpose());
        Ok(Contents {
            #[cfg(feature = "tls")]
            tls: tls?,
            #[cfg(feature = "tokens")]
            keys: keys?,
            admin_token: admin_token?,
        })
    }

    /// Puts what was read in the place of what is there.
    fn apply(&self, contents: Contents, server: &ServerHandle) {
        #[cfg(feature = "tls")]
        if let Some(tls) = &contents.tls {
            tls::replace(tls, server);
        }
        #[cfg(feature = "tokens")]
        if let (Some(tokens), Some(keys)) = (&self.tokens, contents.keys) {
            tokens::replace(tokens, keys);
        }
        if let Some(token) = &contents.admin_token {
            admin::replace(token, server);
        }
    }

    /// What was read holds now, but for the fields that the server has `kept`. Logs what has
    /// changed, and what has not.
    fn hold(&mut self, resolved: Resolved, kept: &[&'static str]) {
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
        self.holding = options;
        let say = || tracing::info!(changed = changed.join(","), "the settings were read again");
        // The level may change with them: it is said if the old one or the new one shows it.
        if tracing::enabled!(tracing::Level::INFO) {
            say();
            self.log.reload(&self.holding.log);
        } else {
            self.log.reload(&self.holding.log);
            say();
        }
    }
}
