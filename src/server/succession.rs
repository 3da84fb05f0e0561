//! A server that takes over from another one, and may be taken over from.

use std::path::PathBuf;
use std::sync::Arc;

use super::handle::ServerHandle;
use super::handover::{Predecessor, offer, take};
use super::listen::Listening;
use super::offered::Handed;
use super::unix::SocketFile;
use crate::error::Error;

/// Called before a predecessor is told to drain.
pub(super) type OnTakeOver = Arc<dyn Fn() + Send + Sync>;

/// How a server takes over and is taken over from.
pub(super) struct Succession {
    path: Option<PathBuf>,
    predecessor: Option<Predecessor>,
    on_take_over: Option<OnTakeOver>,
}

impl Succession {
    /// Takes the sockets of a predecessor. Without a path there is none, and no successor.
    pub(super) fn begin(
        path: Option<PathBuf>,
        on_take_over: Option<OnTakeOver>,
    ) -> Result<(Self, Option<Vec<Handed>>), Error> {
        let Some(path) = path else {
            return Ok((Self { path: None, predecessor: None, on_take_over }, None));
        };
        let (predecessor, handed) = take(&path)?.unzip();
        let succession = Self { path: Some(path), predecessor, on_take_over };
        Ok((succession, Some(handed.unwrap_or_default())))
    }

    pub(super) const fn has_predecessor(&self) -> bool {
        self.predecessor.is_some()
    }

    /// The server serves: its predecessor drains, and successors may come. `left` is what the
    /// predecessor has listened on and this server does not.
    pub(super) fn complete(
        self,
        server: ServerHandle,
        sockets: Option<Vec<Handed>>,
        left: &[Listening],
        files: &[SocketFile],
    ) -> Result<ServerHandle, Error> {
        let (Some(path), Some(sockets)) = (&self.path, sockets) else { return Ok(server) };
        let is_first = self.predecessor.is_none();
        if let Some(callback) = self.on_take_over.filter(|_| !is_first) {
            callback();
        }
        if let Some(predecessor) = self.predecessor {
            let process = predecessor.process();
            match predecessor.release_at(path) {
                Ok(()) => {
                    tracing::info!(process, "took over from a predecessor, which drains");
                    warn_of(left);
                }
                Err(error) => tracing::warn!(
                    "the predecessor could not be told to drain, or has ended: {error}"
                ),
            }
        }
        files.iter().for_each(SocketFile::own);
        match offer(&server, path, sockets) {
            Ok(()) => {}
            Err(error) if is_first => return Err(server.end_failed_start(error)),
            // Clients are served, so the server goes on without.
            Err(error) => tracing::error!("no successor can take over: {error}"),
        }
        Ok(server)
    }
}

/// Warns of the places that nobody listens on any more.
fn warn_of(left: &[Listening]) {
    for place in left {
        tracing::warn!(
            "the predecessor has listened on {place}, which this server was not told to: nobody \
             listens there any more"
        );
    }
}
