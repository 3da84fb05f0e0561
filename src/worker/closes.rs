//! Connections that have ended, by the cause and the close code.

use crate::protocol::websocket::CloseCode;
use crate::session::CloseReason;

/// The causes, as [`Closes::iter`] names them.
const CAUSES: [&str; 14] = [
    "peer",
    "server",
    "violation",
    "policy",
    "slow",
    "refused",
    "answered",
    "eof",
    "broken",
    "no_request",
    "stalled",
    "memory",
    "idle",
    "no_pong",
];
/// The codes. A code of a range counts for that; all others count for the last.
const CODES: [&str; 18] = [
    "", "1000", "1001", "1002", "1003", "1005", "1007", "1008", "1009", "1010", "1011", "1012",
    "1013", "1014", "4401", "3xxx", "4xxx", "other",
];

/// How often connections have ended for each cause, with each code.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Closes([[u64; CODES.len()]; CAUSES.len()]);

impl Closes {
    /// A connection has ended.
    pub(super) fn count(&mut self, reason: CloseReason) {
        let (cause, code) = places(reason);
        self.0[cause][code] += 1;
    }

    /// The cause and the code of a reason, as [`iter`](Self::iter) names them.
    pub(super) fn names(reason: CloseReason) -> (&'static str, &'static str) {
        let (cause, code) = places(reason);
        (CAUSES[cause], CODES[code])
    }

    /// Adds what another one has counted.
    pub fn add(&mut self, other: &Self) {
        let all = self.0.iter_mut().flatten().zip(other.0.iter().flatten());
        all.for_each(|(count, more)| *count += more);
    }

    /// The cause, the code and the count of all pairs that may occur. The code is empty for a cause
    /// without a close frame.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &'static str, u64)> {
        CAUSES.iter().zip(&self.0).flat_map(|(cause, counts)| {
            let pairs = CODES.iter().zip(counts).map(|(code, count)| (*cause, *code, *count));
            pairs.filter(|(cause, code, count)| *count > 0 || is_usual(cause, code))
        })
    }
}

/// Whether a pair is told also while its count is 0, so that its first increase is seen.
fn is_usual(cause: &str, code: &str) -> bool {
    match cause {
        "peer" => matches!(code, "1000" | "1001" | "1005"),
        "server" => matches!(code, "1001" | "1011" | "1013" | "4401"),
        "violation" => matches!(code, "1002" | "1007" | "1008" | "1009"),
        "policy" => code == "1008",
        "memory" => matches!(code, "1008" | "1009" | "1013"),
        "slow" => code == "1013",
        "idle" | "no_pong" => code == "1001",
        _ => code.is_empty(),
    }
}

/// The places of a reason in the lists of causes and codes.
fn places(reason: CloseReason) -> (usize, usize) {
    let (cause, code) = match reason {
        CloseReason::Peer(code) => (0, Some(code)),
        CloseReason::Local(code) => (1, Some(code)),
        CloseReason::Violation(violation) => (2, Some(violation.code())),
        CloseReason::Policy(policy) => (3, Some(policy.code())),
        CloseReason::TooSlow => (4, Some(CloseCode::TRY_AGAIN_LATER)),
        CloseReason::Refused(_) => (5, None),
        CloseReason::Answered => (6, None),
        CloseReason::Eof => (7, None),
        CloseReason::Broken => (8, None),
        CloseReason::NoRequest => (9, None),
        CloseReason::Stalled => (10, None),
        CloseReason::Memory(code) => (11, Some(code)),
        CloseReason::Idle => (12, Some(CloseCode::GOING_AWAY)),
        CloseReason::NoPong => (13, Some(CloseCode::GOING_AWAY)),
    };
    (cause, code.map_or(0, place))
}

fn place(code: CloseCode) -> usize {
    let value = code.value();
    let known = |name: &&str| name.parse() == Ok(value);
    CODES.iter().position(known).unwrap_or(match value {
        3000..=3999 => CODES.len() - 3,
        4000..=4999 => CODES.len() - 2,
        _ => CODES.len() - 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::Violation;

    #[test]
    fn each_end_counts_for_its_cause_and_its_code() {
        let mut closes = Closes::default();
        let none = closes.iter().count();
        for reason in [
            CloseReason::Peer(CloseCode::NORMAL),
            CloseReason::Peer(CloseCode::NO_STATUS),
            CloseReason::Local(CloseCode::from_wire(4_123).unwrap()),
            CloseReason::Local(CloseCode::UNAUTHORIZED),
            CloseReason::Violation(Violation::TextUtf8),
            CloseReason::TooSlow,
            CloseReason::Idle,
            CloseReason::NoPong,
            CloseReason::Eof,
        ] {
            closes.count(reason);
        }
        assert_eq!(closes.iter().count(), none + 1, "one pair is unusual");
        let counted: Vec<_> = closes.iter().filter(|(_, _, count)| *count > 0).collect();
        let expected = [
            ("peer", "1000", 1),
            ("peer", "1005", 1),
            ("server", "4401", 1),
            ("server", "4xxx", 1),
            ("violation", "1007", 1),
            ("slow", "1013", 1),
            ("eof", "", 1),
            ("idle", "1001", 1),
            ("no_pong", "1001", 1),
        ];
        assert_eq!(counted, expected);
        let mut twice = closes;
        twice.add(&closes);
        assert_eq!(twice.iter().map(|(_, _, count)| count).sum::<u64>(), 18);
    }
}
