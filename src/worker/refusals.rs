//! Counts connections that were refused or broke a rule, and logs them at a limited rate.

use std::net::IpAddr;
use std::time::Duration;

use tracing::field::display;

use super::Stats;
use crate::base::Millis;
use crate::session::CloseReason;

/// At most one log line in this time for each kind, so that peers cannot fill the log.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What was counted and is not logged yet.
#[derive(Debug)]
pub(super) struct Refusals {
    refused: Unlogged,
    violations: Unlogged,
    /// When there is something to log. Kept, because it is looked at in every turn.
    due: Millis,
}

impl Default for Refusals {
    fn default() -> Self {
        let (refused, violations) = (Unlogged::default(), Unlogged::default());
        Self { refused, violations, due: Millis::NEVER }
    }
}

/// Connections that ended for reasons of one kind.
#[derive(Debug, Default)]
struct Unlogged {
    connections: u64,
    last: Option<CloseReason>,
    /// The client of the last one, if its address is known.
    client: Option<IpAddr>,
    /// No line before this time.
    log_again: Millis,
}

impl Unlogged {
    /// Counts one more.
    const fn add(&mut self, reason: CloseReason, client: Option<IpAddr>) {
        self.connections += 1;
        self.client = client;
        self.last = Some(reason);
    }

    /// When there is something to log, and that may be done.
    const fn due(&self) -> Millis {
        if self.connections == 0 { Millis::NEVER } else { self.log_again }
    }

    /// Returns how many are to be logged, if it is time.
    fn take_due(&mut self, now: Millis) -> Option<u64> {
        if self.connections == 0 || now < self.log_again {
            return None;
        }
        self.log_again = now.after(LOG_EVERY);
        Some(std::mem::take(&mut self.connections))
    }
}

impl Refusals {
    /// A connection has ended for this reason.
    pub(super) fn ended(
        &mut self,
        reason: CloseReason,
        client: Option<IpAddr>,
        now: Millis,
        stats: &mut Stats,
    ) {
        match reason {
            CloseReason::Refused(_) => {
                stats.refused += 1;
                self.refused.add(reason, client);
            }
            CloseReason::Violation(_) | CloseReason::Policy(_) => {
                stats.violations += 1;
                self.violations.add(reason, client);
            }
            CloseReason::Peer(_)
            | CloseReason::Local(_)
            | CloseReason::TooSlow
            | CloseReason::Answered
            | CloseReason::Eof
            | CloseReason::Broken
            | CloseReason::NoRequest
            | CloseReason::Stalled => return,
        }
        self.log(now);
    }

    /// When [`log`](Self::log) has something to log.
    pub(super) const fn due(&self) -> Millis {
        self.due
    }

    /// Logs what was counted, as far as it is time for that.
    #[cold]
    pub(super) fn log(&mut self, now: Millis) {
        if let Some(connections) = self.refused.take_due(now)
            && let Some(CloseReason::Refused(rejection)) = self.refused.last
        {
            let status = rejection.status().code();
            let (last, client) = (rejection.reason(), self.refused.client.map(display));
            tracing::info!(connections, status, last, client, "refused");
        }
        if let Some(connections) = self.violations.take_due(now)
            && let Some(reason) = self.violations.last
        {
            let code = reason.code().value();
            let last = match reason {
                CloseReason::Violation(violation) => violation.reason(),
                _ => "a limit of this server",
            };
            let client = self.violations.client.map(display);
            tracing::info!(connections, code, last, client, "broke a rule");
        }
        self.due = self.refused.due().min(self.violations.due());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::handshake::Rejection;
    use crate::protocol::websocket::{CloseCode, Violation};

    #[test]
    fn every_refusal_is_counted_and_one_in_a_second_is_logged() {
        let mut unlogged = Unlogged::default();
        let logged = [0, 1, 999, 1_000, 1_500, 2_000].map(|ms| {
            unlogged.add(CloseReason::TooSlow, None);
            unlogged.take_due(Millis(ms))
        });
        assert_eq!(logged, [Some(1), None, None, Some(3), None, Some(2)]);
        // What came within a second is logged after it, also if nothing more comes.
        unlogged.add(CloseReason::Eof, None);
        assert_eq!((unlogged.due(), unlogged.last), (Millis(3_000), Some(CloseReason::Eof)));
        assert_eq!((unlogged.take_due(Millis(3_000)), unlogged.due()), (Some(1), Millis::NEVER));
        // At the end nothing is logged again.
        assert_eq!(unlogged.take_due(Millis::NEVER), None);
        unlogged.add(CloseReason::Eof, None);
        assert_eq!(unlogged.take_due(Millis::NEVER), Some(1));
    }

    #[test]
    fn only_what_the_server_refuses_counts() {
        let (mut refusals, mut stats) = (Refusals::default(), Stats::default());
        for reason in [
            CloseReason::Refused(Rejection::Full),
            CloseReason::Refused(Rejection::Origin),
            CloseReason::Violation(Violation::TextUtf8),
            CloseReason::Policy(CloseCode::POLICY_VIOLATION),
            CloseReason::TooSlow,
            CloseReason::Peer(CloseCode::NORMAL),
            CloseReason::Local(CloseCode::GOING_AWAY),
            CloseReason::Eof,
        ] {
            refusals.ended(reason, None, Millis(5), &mut stats);
        }
        assert_eq!((stats.refused, stats.violations), (2, 2));
    }
}
