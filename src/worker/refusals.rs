//! Counts connections that were refused or broke a rule, and logs them at a limited rate.

use std::time::Duration;

use super::Stats;
use crate::base::Millis;
use crate::session::CloseReason;

/// At most one log line in this time for each kind, so that peers cannot fill the log.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What was counted and is not logged yet.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    refused: Unlogged,
    violations: Unlogged,
}

#[derive(Debug, Default)]
struct Unlogged {
    connections: u64,
    /// No line before this time.
    log_again: Millis,
}

impl Unlogged {
    /// Counts one more. Returns how many to log, if it is time.
    fn add(&mut self, now: Millis) -> Option<u64> {
        self.connections += 1;
        if now < self.log_again {
            return None;
        }
        self.log_again = now.after(LOG_EVERY);
        Some(std::mem::take(&mut self.connections))
    }
}

impl Refusals {
    /// A connection has ended for this reason.
    pub(super) fn ended(&mut self, reason: CloseReason, now: Millis, stats: &mut Stats) {
        match reason {
            CloseReason::Refused(rejection) => {
                stats.refused += 1;
                if let Some(connections) = self.refused.add(now) {
                    let status = rejection.status().code();
                    tracing::info!(connections, status, last = rejection.reason(), "refused");
                }
            }
            CloseReason::Violation(violation) => {
                stats.violations += 1;
                if let Some(connections) = self.violations.add(now) {
                    let code = violation.code().value();
                    tracing::info!(connections, code, last = violation.reason(), "broke a rule");
                }
            }
            CloseReason::Policy(code) => {
                stats.violations += 1;
                if let Some(connections) = self.violations.add(now) {
                    let (code, last) = (code.value(), "a limit of this server");
                    tracing::info!(connections, code, last, "broke a rule");
                }
            }
            CloseReason::Peer(_)
            | CloseReason::Local(_)
            | CloseReason::TooSlow
            | CloseReason::Answered
            | CloseReason::Eof
            | CloseReason::Broken
            | CloseReason::NoRequest
            | CloseReason::Stalled => {}
        }
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
        let logged = [0, 1, 999, 1_000, 1_500, 2_000].map(|ms| unlogged.add(Millis(ms)));
        assert_eq!(logged, [Some(1), None, None, Some(3), None, Some(2)]);
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
            refusals.ended(reason, Millis(5), &mut stats);
        }
        assert_eq!((stats.refused, stats.violations), (2, 2));
    }
}
