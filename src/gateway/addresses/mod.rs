//! How many connections each address has, and how many it has begun: what all loops share.
//!
//! It is asked when a connection begins and told when it ends, and never for a message. The table
//! is in parts, each behind a lock of its own, which are held for some comparisons. There are as
//! many entries for open connections as there are connections at most, and a fixed number for the
//! addresses that have begun connections lately.

mod prefix;
mod recent;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, PoisonError};

use crate::base::Millis;
use crate::base::bucket::Tokens;
use crate::config::Limits;
pub(super) use prefix::Prefix;
use recent::Recent;

/// The parts of the table: a power of two.
const PARTS: usize = 64;
/// So many connections of an address above its limit, or as many as it may have, are answered at a
/// time. Further ones are closed without an answer.
const ANSWERED: u32 = 64;

/// What is said of a connection that begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begun {
    /// It is one of those that its address may have.
    Admitted,
    /// Its address has as many as it may.
    TooMany,
    /// The same, and so many that it is not even answered.
    Dropped,
    /// Its address has begun as many in a short time as it may.
    TooFast,
    /// The same, and so many are being answered that this one is not.
    DroppedTooFast,
}

/// The connections of an address at this moment.
#[derive(Clone, Copy, Debug, Default)]
struct Open {
    admitted: u32,
    refused: u32,
}

#[derive(Debug, Default)]
struct Part {
    open: HashMap<Prefix, Open>,
    recent: Recent,
}

/// The table of all loops.
#[derive(Debug)]
pub struct Addresses {
    connections: Option<u32>,
    handshakes: Option<Tokens>,
    hasher: RandomState,
    parts: Box<[Mutex<Part>]>,
}

impl Addresses {
    /// `None` if nothing is limited.
    #[must_use]
    pub fn new(limits: &Limits) -> Option<Self> {
        let connections = limits.max_connections_per_address;
        let tokens = |rate| Tokens::new(rate, limits.handshake_burst);
        let handshakes = limits.handshake_rate.map(tokens);
        let is_any = connections.is_some() || handshakes.is_some();
        is_any.then(|| Self {
            connections,
            handshakes,
            hasher: RandomState::new(),
            parts: (0..PARTS).map(|_| Mutex::default()).collect(),
        })
    }

    /// Lets `act` look at the part of an address, and tells it its hash.
    fn with<T>(&self, prefix: Prefix, act: impl FnOnce(&mut Part, u64) -> T) -> Option<T> {
        let hash = self.hasher.hash_one(prefix);
        #[allow(clippy::cast_possible_truncation, reason = "the highest bits are few")]
        let part = self.parts.get((hash >> 58) as usize % PARTS)?;
        // Nothing panics while it is locked.
        Some(act(&mut part.lock().unwrap_or_else(PoisonError::into_inner), hash))
    }

    /// A connection of an address begins. [`end`](Self::end) has to follow, unless it is dropped.
    pub(super) fn begin(&self, prefix: Prefix, now: Millis) -> Begun {
        let begin = |part: &mut Part, hash: u64| {
            let Part { open, recent } = part;
            let open = open.entry(prefix).or_default();
            let has_all = self.connections.is_some_and(|limit| open.admitted >= limit);
            let begun = if has_all {
                Begun::TooMany
            } else if self.handshakes.is_some_and(|of| !recent.take(prefix, hash, of, now)) {
                Begun::TooFast
            } else {
                open.admitted += 1;
                return Begun::Admitted;
            };
            if open.refused >= self.connections.unwrap_or_default().max(ANSWERED) {
                return if has_all { Begun::Dropped } else { Begun::DroppedTooFast };
            }
            open.refused += 1;
            begun
        };
        self.with(prefix, begin).unwrap_or(Begun::Admitted)
    }

    /// A connection has ended, of which this was said when it began.
    pub(super) fn end(&self, prefix: Prefix, begun: Begun) {
        self.with(prefix, |part, _| {
            let Some(open) = part.open.get_mut(&prefix) else { return };
            match begun {
                Begun::Admitted => open.admitted = open.admitted.saturating_sub(1),
                Begun::TooMany | Begun::TooFast => open.refused = open.refused.saturating_sub(1),
                Begun::Dropped | Begun::DroppedTooFast => {}
            }
            if open.admitted == 0 && open.refused == 0 {
                part.open.remove(&prefix);
            }
        });
    }
}
