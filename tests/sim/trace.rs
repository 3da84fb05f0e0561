//! A hash over what simulated clients receive and when, in virtual time.
//!
//! It stays the same as long as every byte and every end of a stream comes to every client at the
//! same moment. A change of the code that leaves its behaviour as it is does not change the hash.

use std::fmt;
use std::time::Duration;

use corecast::io::sim::ServerEnd;
use sha1::{Digest, Sha1};

/// So many seeds, from 0 on, are hashed if `CORECAST_TRACE` is set.
pub(crate) const SEEDS: u64 = 200;

/// What one client has received, or several clients one after the other.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    hash: Sha1,
    /// The moment of what came last, and the bytes that came in it, by one read or more.
    at: Duration,
    bytes: u64,
}

impl Trace {
    /// Adds what one read has found.
    pub(crate) fn received(&mut self, now: Duration, bytes: &[u8], end: Option<ServerEnd>) {
        if bytes.is_empty() && end.is_none() {
            return;
        }
        if self.at != now {
            self.hash.update(self.bytes.to_le_bytes());
            self.hash.update(now.as_nanos().to_le_bytes());
            (self.at, self.bytes) = (now, 0);
        }
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        if let Some(end) = end {
            self.hash.update(format!("{} bytes, then {end:?}", self.bytes));
        }
    }

    /// Adds the trace of a client, or of a run.
    pub(crate) fn add(&mut self, other: &Self) {
        self.hash.update(other.digest());
    }

    fn digest(&self) -> impl AsRef<[u8]> + PartialEq {
        self.hash.clone().chain_update(self.bytes.to_le_bytes()).finalize()
    }
}

impl PartialEq for Trace {
    fn eq(&self, other: &Self) -> bool {
        self.digest() == other.digest()
    }
}

impl Eq for Trace {}

impl fmt::Debug for Trace {
    /// In hexadecimal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.digest().as_ref().iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Runs the first seeds and prints the hash of their tallies' traces, if that is asked for; whether
/// it was. One seed alone, with `CORECAST_SEED`, prints its tally anyway.
pub(crate) fn is_printed<T: Default>(run: fn(u64, &mut T), trace: fn(&T) -> &Trace) -> bool {
    let is_set = |name| std::env::var(name).is_ok_and(|value| !value.is_empty());
    if !is_set("CORECAST_TRACE") || is_set("CORECAST_SEED") {
        return false;
    }
    let mut all = Trace::default();
    for seed in 0..SEEDS {
        let mut tally = T::default();
        run(seed, &mut tally);
        all.add(trace(&tally));
    }
    println!("trace of {SEEDS} seeds: {all:?}");
    true
}

#[test]
fn a_trace_tells_bytes_moments_and_ends_apart() {
    let trace = |parts: &[(u64, &[u8], Option<ServerEnd>)]| {
        let mut trace = Trace::default();
        let millis = Duration::from_millis;
        parts.iter().for_each(|(at, bytes, end)| trace.received(millis(*at), bytes, *end));
        trace
    };
    let one = trace(&[(1, b"ab", None)]);
    assert_eq!(one, trace(&[(0, b"", None), (1, b"a", None), (1, b"b", None)]));
    for other in [
        trace(&[(1, b"ac", None)]),
        trace(&[(2, b"ab", None)]),
        trace(&[(1, b"a", None), (2, b"b", None)]),
        trace(&[(1, b"ab", Some(ServerEnd::Fin))]),
        trace(&[(1, b"ab", Some(ServerEnd::Reset))]),
        trace(&[]),
    ] {
        assert_ne!(one, other);
    }
}
