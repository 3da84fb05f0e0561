//! Counts connections without a header, and logs them at a limited rate.

use std::net::SocketAddr;
use std::time::Duration;

use tracing::field::display;

/// At most one log line in this time, so that peers cannot fill the log.
const EVERY: Duration = Duration::from_secs(1);

/// What was refused, and what of it is not logged yet.
#[derive(Debug, Default)]
pub(super) struct Log {
    count: u64,
    unlogged: u64,
    /// Why the last one was refused, and its peer.
    last: Option<(&'static str, Option<SocketAddr>)>,
    /// No line before this time.
    again: Duration,
}

impl Log {
    /// All connections that were refused.
    pub(super) const fn count(&self) -> u64 {
        self.count
    }

    /// Whether something is not logged yet.
    pub(super) const fn has_more(&self) -> bool {
        self.unlogged > 0
    }

    /// How long until that may be logged.
    pub(super) const fn due_in(&self, now: Duration) -> Duration {
        self.again.saturating_sub(now)
    }

    /// A connection was refused.
    pub(super) fn refused(&mut self, why: &'static str, peer: Option<SocketAddr>, now: Duration) {
        self.count += 1;
        self.unlogged += 1;
        self.last = Some((why, peer));
        self.write(now);
    }

    /// Logs what was counted, if it is time for that.
    pub(super) fn write(&mut self, now: Duration) {
        if self.unlogged > 0 && now >= self.again {
            self.write_line(now);
        }
    }

    #[cold]
    fn write_line(&mut self, now: Duration) {
        self.again = now.saturating_add(EVERY);
        let connections = std::mem::take(&mut self.unlogged);
        if let Some((last, peer)) = self.last.take() {
            let peer = peer.map(display);
            tracing::info!(connections, last, peer, "refused without a PROXY header");
        }
    }
}

impl Drop for Log {
    fn drop(&mut self) {
        self.write(Duration::MAX);
    }
}
