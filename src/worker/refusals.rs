//! Counts connections that were refused or broke a rule, and logs them at a limited rate.

use std::net::IpAddr;
use std::time::Duration;

use tracing::field::display;

use super::Stats;
use crate::base::Millis;
use crate::protocol::websocket::CloseCode;
use crate::session::CloseReason;

/// At most one log line in this time for each kind, so that peers cannot fill the log.
const LOG_EVERY: Duration = Duration::from_secs(1);

/// What was counted and is not logged yet.
#[derive(Debug)]
pub(super) struct Refusals {
    /// By kind and status or code, of which there are few.
    kinds: Vec<Unlogged>,
    /// When there is something to log. Kept, because it is looked at in every turn.
    due: Millis,
}

impl Default for Refusals {
    fn default() -> Self {
        Self { kinds: Vec::new(), due: Millis::NEVER }
    }
}

/// What the log calls an end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The request was refused, with this status.
    Refused(u16),
    /// The peer broke a rule, and was told this close code.
    Rule(u16),
    /// The server closed the connection with this code, which is not the usual end of one.
    Abnormal(u16),
}

impl Kind {
    /// `None` for the usual end of a connection.
    fn of(reason: CloseReason) -> Option<Self> {
        let code = reason.code();
        match reason {
            CloseReason::Refused(rejection) => Some(Self::Refused(rejection.status().code())),
            CloseReason::Violation(_) | CloseReason::Policy(_) => Some(Self::Rule(code.value())),
            CloseReason::TooSlow | CloseReason::Memory(_) | CloseReason::NoPong => {
                Some(Self::Abnormal(code.value()))
            }
            CloseReason::Stalled => Some(Self::Abnormal(CloseCode::TRY_AGAIN_LATER.value())),
            CloseReason::Local(
                CloseCode::INTERNAL_ERROR | CloseCode::TRY_AGAIN_LATER | CloseCode::UNAUTHORIZED,
            ) => Some(Self::Abnormal(code.value())),
            CloseReason::Peer(_)
            | CloseReason::Local(_)
            | CloseReason::Idle
            | CloseReason::Answered
            | CloseReason::Eof
            | CloseReason::Broken
            | CloseReason::NoRequest => None,
        }
    }
}

/// Connections that ended for reasons of one kind.
#[derive(Debug)]
struct Unlogged {
    kind: Kind,
    connections: u64,
    last: CloseReason,
    /// What the last one was told, if that says more.
    said: Option<Box<str>>,
    /// The client of the last one, if its address is known.
    client: Option<IpAddr>,
    /// No line before this time.
    log_again: Millis,
}

impl Unlogged {
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

    /// Logs how many there were, with the cause and the client of the last one.
    fn log(&self, connections: u64) {
        let client = self.client.map(display);
        let last = self.said.as_deref().unwrap_or_else(|| cause(self.last));
        match self.kind {
            Kind::Refused(status) => {
                tracing::info!(connections, status, last, client, "refused");
            }
            Kind::Rule(code) => tracing::info!(connections, code, last, client, "broke a rule"),
            Kind::Abnormal(code) => {
                tracing::info!(connections, code, last, client, "closed by the server");
            }
        }
    }
}

/// What the log says of an end.
const fn cause(reason: CloseReason) -> &'static str {
    match reason {
        CloseReason::Refused(rejection) => rejection.reason(),
        CloseReason::Violation(violation) => violation.reason(),
        CloseReason::Policy(policy) => policy.reason(),
        CloseReason::Memory(CloseCode::POLICY_VIOLATION) => {
            "the server is short of memory, and the message comes too slowly"
        }
        CloseReason::Memory(_) => "the server is short of memory",
        CloseReason::TooSlow => "reads too slowly",
        CloseReason::Stalled => "does not read",
        CloseReason::NoPong => "no pong in time",
        CloseReason::Local(CloseCode::UNAUTHORIZED) => "its token has expired",
        CloseReason::Local(CloseCode::TRY_AGAIN_LATER) => {
            "a core hung, or the application or the operator has closed it so"
        }
        _ => "a fault of this server, or the application or the operator has closed it so",
    }
}

impl Refusals {
    /// A connection has ended for this reason, and its client was told so in these words if they
    /// say more.
    pub(super) fn ended(
        &mut self,
        (reason, said): (CloseReason, Option<Box<str>>),
        client: Option<IpAddr>,
        now: Millis,
        stats: &mut Stats,
    ) {
        let Some(kind) = Kind::of(reason) else { return };
        match kind {
            Kind::Refused(_) => stats.refused += 1,
            Kind::Rule(_) => stats.violations += 1,
            Kind::Abnormal(_) => {}
        }
        match self.kinds.iter_mut().find(|known| known.kind == kind) {
            Some(known) => {
                known.connections += 1;
                (known.last, known.said, known.client) = (reason, said, client);
            }
            None => {
                let log_again = Millis::default();
                let (connections, last) = (1, reason);
                self.kinds.push(Unlogged { kind, connections, last, said, client, log_again });
            }
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
        for known in &mut self.kinds {
            if let Some(connections) = known.take_due(now) {
                known.log(connections);
            }
        }
        self.due = self.kinds.iter().map(Unlogged::due).min().unwrap_or(Millis::NEVER);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::Violation;
    use crate::protocol::websocket::handshake::Rejection;
    use crate::session::Policy;

    #[test]
    fn every_refusal_is_counted_and_one_in_a_second_is_logged() {
        let (last, client) = (CloseReason::TooSlow, None);
        let (kind, log_again) = (Kind::Abnormal(1013), Millis::default());
        let mut unlogged = Unlogged { kind, connections: 0, last, said: None, client, log_again };
        let logged = [0, 1, 999, 1_000, 1_500, 2_000].map(|ms| {
            unlogged.connections += 1;
            unlogged.take_due(Millis(ms))
        });
        assert_eq!(logged, [Some(1), None, None, Some(3), None, Some(2)]);
        // What came within a second is logged after it, also if nothing more comes.
        unlogged.connections += 1;
        assert_eq!(unlogged.due(), Millis(3_000));
        assert_eq!((unlogged.take_due(Millis(3_000)), unlogged.due()), (Some(1), Millis::NEVER));
        // At the end nothing is logged again.
        assert_eq!(unlogged.take_due(Millis::NEVER), None);
        unlogged.connections += 1;
        assert_eq!(unlogged.take_due(Millis::NEVER), Some(1));
    }

    /// What is the server's own is not called a fault of the client, or the other way round.
    #[test]
    fn want_of_memory_breaks_no_rule() {
        let too_slow = CloseCode::POLICY_VIOLATION;
        for code in [CloseCode::MESSAGE_TOO_BIG, CloseCode::TRY_AGAIN_LATER, too_slow] {
            let reason = CloseReason::Memory(code);
            assert_eq!(Kind::of(reason), Some(Kind::Abnormal(code.value())));
            assert!(cause(reason).contains("memory"));
        }
        for policy in [Policy::MessageTime, Policy::Publish, Policy::Role] {
            let reason = CloseReason::Policy(policy);
            assert_eq!(Kind::of(reason), Some(Kind::Rule(1008)));
            assert_eq!(cause(reason), policy.reason());
        }
    }

    #[test]
    fn each_status_and_code_has_a_line_of_its_own() {
        let (mut refusals, mut stats) = (Refusals::default(), Stats::default());
        for reason in [
            CloseReason::Refused(Rejection::Full),
            CloseReason::Refused(Rejection::Origin),
            CloseReason::Refused(Rejection::Undecided),
            CloseReason::Violation(Violation::TextUtf8),
            CloseReason::Policy(Policy::Publish),
            CloseReason::TooSlow,
            CloseReason::Memory(CloseCode::MESSAGE_TOO_BIG),
            CloseReason::Stalled,
            CloseReason::Local(CloseCode::INTERNAL_ERROR),
            CloseReason::Peer(CloseCode::NORMAL),
            CloseReason::Local(CloseCode::GOING_AWAY),
            CloseReason::Eof,
        ] {
            refusals.ended((reason, None), None, Millis(5), &mut stats);
        }
        assert_eq!((stats.refused, stats.violations), (3, 2));
        let kinds: Vec<(Kind, u64)> =
            refusals.kinds.iter().map(|known| (known.kind, known.connections)).collect();
        let expected = [
            (Kind::Refused(503), 1),
            (Kind::Refused(403), 0),
            (Kind::Rule(1007), 0),
            (Kind::Rule(1008), 0),
            (Kind::Abnormal(1013), 1),
            (Kind::Abnormal(1009), 0),
            (Kind::Abnormal(1011), 0),
        ];
        assert_eq!(kinds, expected);
        assert_eq!(refusals.due(), Millis(1_005));
    }
}
