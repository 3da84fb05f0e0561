//! Counts of the events in the runs: a test without faults would prove nothing.

use std::collections::BTreeMap;

use corecast::worker::Stats;

use crate::trace::Trace;

/// Sums over runs.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) echoes: u64,
    pub(crate) echoed_bytes: u64,
    pub(crate) pongs: u64,
    /// Pings of the server.
    pub(crate) pings: u64,
    /// Close frames of the server, by code.
    pub(crate) codes: BTreeMap<u16, u64>,
    /// Responses, by status.
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// Streams ended by the server, and reset.
    pub(crate) fins: u64,
    pub(crate) resets: u64,
    /// Of all clients, in their order.
    pub(crate) trace: Trace,
    accepted: u64,
    accept_errors: u64,
    no_buffers: u64,
    short_sends: u64,
    paused: u64,
    late: u64,
    resumed: u64,
    enters: u64,
    overflows: u64,
    refused: u64,
    /// Times a client had to wait because it had sent too much in a short time.
    pub(crate) delayed: u64,
}

impl Tally {
    pub(crate) fn add(&mut self, stats: &Stats) {
        self.accepted += stats.accepted;
        self.accept_errors += stats.accept_errors;
        self.no_buffers += stats.no_buffers;
        self.short_sends += stats.short_sends;
        self.paused += stats.paused;
        self.late += stats.late;
        self.resumed += stats.resumed;
        self.enters += stats.driver.enters;
        self.overflows += stats.driver.overflows;
        self.refused += stats.driver.refused;
        let rates = stats.sessions.rates;
        self.delayed += rates.delayed_by_messages + rates.delayed_by_bytes;
    }

    /// Checks that every kind of event has occurred.
    pub(crate) fn check(&self) {
        for code in [1000, 1001, 1002, 1007, 1008, 1009, 3000] {
            assert!(self.codes.contains_key(&code), "no close with {code}: {self:#?}");
        }
        for status in [101, 200, 400, 405, 408, 426, 431, 503] {
            assert!(self.statuses.contains_key(&status), "no status {status}: {self:#?}");
        }
        let counts = [
            self.echoes,
            self.pongs,
            self.pings,
            self.fins,
            self.resets,
            self.accept_errors,
            self.no_buffers,
            self.short_sends,
            self.paused,
            self.late,
            self.resumed,
            self.overflows,
            self.refused,
        ];
        assert!(!counts.contains(&0), "something was never seen: {self:#?}");
    }
}
