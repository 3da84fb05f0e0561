//! A hash of everything that simulated clients receive, with the virtual times.
//!
//! It is the same as long as every byte and every end of a stream reaches every client at the same
//! time. A change that keeps the behaviour keeps the hash.

use std::fmt;
use std::time::Duration;

use corecast::io::sim::ServerEnd;
use sha1::{Digest, Sha1};

/// The number of seeds, from 0 on, that are hashed if `CORECAST_TRACE` is set.
pub(crate) const SEEDS: u64 = 200;

/// The input of one client, or of several clients in order.
#[derive(Clone, Default)]
pub(crate) struct Trace {
    hash: Sha1,
    /// The time of the last input, and the bytes that came at that time, in one or more reads.
    at: Duration,
    bytes: u64,
}

impl Trace {
    /// Adds the result of one read.
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

/// Runs the first seeds and prints the hash of the traces of their tallies, if `CORECAST_TRACE` is
/// set; returns whether it is. A single seed, with `CORECAST_SEED`, prints its tally anyway.
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
fn a_trace_depends_on_bytes_times_and_ends() {
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
