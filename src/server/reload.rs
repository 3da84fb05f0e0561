//! What replaces that of a running server: settings, certificates, the token for administration.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Instant;

use super::control;
use super::handle::{ANSWER_TIMEOUT, ServerHandle};
use super::token::Token;
use super::view::{CoreView, Visit};
use crate::config::{Access, Backend, Config};
use crate::error::Error;
#[cfg(feature = "tls")]
use crate::transport::tls::Tls;

/// A route for tokens needs what verifies them: nobody could connect by it.
pub(super) fn check_routes(config: &Config, has_authority: bool) -> Result<(), Error> {
    let mut routes = config.routes.iter();
    let needs_tokens = routes.any(|route| route.access == Some(Access::Token));
    match needs_tokens && !has_authority {
        true => Err(Error::Usage("a route needs tokens, but nothing verifies them")),
        false => Ok(()),
    }
}

/// Brings the settings to a core, and tells so.
struct Bring {
    config: Arc<Config>,
    done: Sender<()>,
}

impl Visit for Bring {
    fn visit(self: Box<Self>, core: &mut dyn CoreView) -> Option<Box<dyn Visit>> {
        core.reconfigure(self.config);
        // Whoever waits may have given up.
        let _ = self.done.send(());
        None
    }
}

impl ServerHandle {
    /// Counts for the metrics `corecast_reloads` and `corecast_last_good_reload_seconds` that the
    /// program has read its settings, certificates and keys again, and whether they were good and
    /// are in force.
    pub fn note_reload(&self, is_good: bool) {
        self.reloads().note(is_good);
    }

    /// Replaces the settings, without dropping anybody. Returns the fields that differ from those
    /// that hold and cannot change while the server runs, such as `limits.max_connections`: these
    /// stay as they are.
    ///
    /// What is decided at a handshake (the route, origins, compression, who may connect) stays for
    /// the connections that there are, with the settings that a route has itself. All else holds
    /// for them as well from then on: limits, timeouts, queues. Handles that publish keep their
    /// limit of messages. Waits until all loops have the settings, for 1 s at most; a loop that
    /// hangs takes them when it goes on. In a callback it does not wait.
    ///
    /// # Errors
    /// [`Error::Routes`] if there were too many routes since the start, [`Error::Usage`] if a route
    /// needs tokens and nothing verifies them, or the server has not started yet. Then all stays as
    /// it was.
    pub fn reload(&self, config: &Config) -> Result<Vec<&'static str>, Error> {
        let parts = self.parts();
        check_routes(config, parts.config.has_authority)?;
        if self.backend() == Backend::Auto {
            return Err(Error::Usage("the server has not started yet"));
        }
        let mut holding = parts.config.lock();
        // What the server has added by itself, or lowered to what it has room for, is no change.
        let mut next = config.clone();
        if config.limits.max_connections == parts.config.asked_connections {
            next.limits.max_connections = holding.limits.max_connections;
        }
        next.peer_addresses |= parts.is_admin.contains(&true);
        let (mut next, kept) =
            holding.followed_by(&next, parts.config.wants_peers).map_err(Error::Routes)?;
        next.limits.max_connections = self.max_connections();
        let next = Arc::new(next);
        *holding = Arc::clone(&next);
        let (done, answers) = channel();
        let running = parts.controls.iter().filter(|control| !control.has_ended());
        let mut waiting = 0;
        for control in running {
            control.visit(Box::new(Bring { config: Arc::clone(&next), done: done.clone() }));
            waiting += 1;
        }
        drop((done, holding));
        let deadline = Instant::now() + ANSWER_TIMEOUT;
        while waiting > 0 && !control::is_core_thread() {
            let left = deadline.saturating_duration_since(Instant::now());
            if answers.recv_timeout(left).is_err() {
                break;
            }
            waiting -= 1;
        }
        Ok(kept)
    }

    /// Replaces the certificates: new connections get those of `tls`, open ones stay as they are.
    ///
    /// # Errors
    /// [`Error::Usage`] if the server has no listener with TLS.
    #[cfg(feature = "tls")]
    pub fn reload_tls(&self, tls: &Tls) -> Result<(), Error> {
        match &self.parts().certificates {
            Some(certificates) => certificates.replace(tls).map_err(Error::Tls),
            None => Err(Error::Usage("this server has no listener with TLS")),
        }
    }

    /// Replaces the token that requests to listeners for administration have to give: from the
    /// next request on, also of connections that are open. See
    /// [`Server::admin_token`](super::Server::admin_token).
    ///
    /// # Errors
    /// [`Error::Usage`] if the token cannot be given in a request, or the server was started
    /// without one. Then all stays as it is.
    pub fn replace_admin_token(&self, token: &str) -> Result<(), Error> {
        let Some(current) = &self.parts().admin_token else {
            return Err(Error::Usage("this server has no admin token"));
        };
        if Token::new(token).is_wrong() {
            return Err(Error::Usage(Token::WRONG));
        }
        current.replace(token);
        Ok(())
    }
}
