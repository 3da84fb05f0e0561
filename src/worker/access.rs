//! The access log: requests that were answered, and the ends of WebSockets.

use std::net::IpAddr;

use tracing::field::display;

use super::Worker;
use super::closes::Closes;
use crate::io::Driver;
use crate::session::{CloseReason, Service};

/// The target of its events.
const TARGET: &str = "corecast::access";

impl<D: Driver, S: Service> Worker<D, S> {
    /// Logs the requests that were answered in this turn.
    #[cold]
    pub(super) fn log_answered(&mut self) {
        for answered in self.core.pools.answered.drain(..) {
            let client = self.service.client_addr(answered.id).map(display);
            let (line, status) = (&answered.line, answered.status);
            let (method, path) = (&*line.method, &*line.path);
            let id = answered.id.of_loop(self.number);
            tracing::info!(target: TARGET, id, client, method, path, status, "request");
        }
    }
}

/// Logs the end of a WebSocket.
#[cold]
pub(super) fn log_end(id: &str, reason: Option<CloseReason>, client: Option<IpAddr>) {
    let reason = reason.unwrap_or(CloseReason::Broken);
    let (cause, name) = Closes::names(reason);
    // The metrics have one name for many codes, the log has the code itself.
    let is_range = name.chars().any(char::is_alphabetic);
    let code = if is_range { reason.code().value().to_string() } else { name.to_owned() };
    tracing::info!(target: TARGET, id, client = client.map(display), cause, code, "closed");
}
