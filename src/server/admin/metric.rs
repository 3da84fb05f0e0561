//! What a metric is, and what all of them are made of.

use super::by_route::ByRoute;
use super::text::{Kind, Writer};
use crate::authority::AskCounts;
use crate::base::Histogram;
use crate::server::view::CoreStats;

/// What is known of all loops.
#[derive(Debug)]
pub(super) struct Snapshot {
    /// The last known counters of each loop, with whether it has answered now.
    pub(super) loops: Vec<(CoreStats, bool)>,
    /// The WebSockets of all loops, by their routes.
    pub(super) by_route: Vec<ByRoute>,
    pub(super) backend: &'static str,
    pub(super) kernel: String,
    pub(super) is_draining: bool,
    /// Seconds since the epoch.
    pub(super) started: f64,
    /// Requests of those who may not ask: the status, and how many there were.
    pub(super) refusals: [(u16, u64); 2],
    /// The limits of each loop: connections, and bytes of memory.
    pub(super) max_connections: u64,
    pub(super) max_memory: u64,
    /// What was asked of a backend about clients, if there is one.
    pub(super) asked: Option<AskCounts>,
    /// Lines of the log that were not read in time.
    pub(super) lost_log_lines: u64,
    /// Settings that were read again: with success, and with a fault.
    pub(super) reloads: [u64; 2],
    /// Seconds since the epoch.
    pub(super) last_good_reload: u64,
}

impl Snapshot {
    pub(super) fn stats(&self) -> impl Iterator<Item = &CoreStats> {
        self.loops.iter().map(|(stats, _)| stats)
    }

    pub(super) fn sum(&self, counter: impl Fn(&CoreStats) -> u64) -> u64 {
        self.stats().map(counter).sum()
    }
}

/// One metric.
pub(super) struct Metric {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// The names of its labels, with commas between them, as README has them.
    #[cfg_attr(not(test), expect(dead_code, reason = "the samples have them"))]
    pub(super) labels: &'static str,
    pub(super) help: &'static str,
    pub(super) value: Value,
}

/// Where the value comes from.
pub(super) enum Value {
    /// The sum over all loops.
    Sum(fn(&CoreStats) -> u64),
    /// Of each loop.
    Each(fn(&CoreStats) -> f64),
    /// The sum over all loops.
    Histogram(fn(&CoreStats) -> &Histogram),
    Samples(fn(&Snapshot, &mut Writer)),
}

impl Metric {
    /// Writes it with all of its samples.
    pub(super) fn write(&self, snapshot: &Snapshot, writer: &mut Writer) {
        writer.begin(self.name, self.kind, self.help);
        match self.value {
            Value::Sum(counter) => writer.sample(&[], snapshot.sum(counter)),
            Value::Each(value) => {
                for one in snapshot.stats() {
                    writer.sample(&[("core", &one.core), ("loop", &one.number)], value(one));
                }
            }
            Value::Histogram(of) => {
                let mut all = Histogram::default();
                snapshot.stats().for_each(|one| all.add(of(one)));
                writer.histogram(&all);
            }
            Value::Samples(write) => write(snapshot, writer),
        }
    }
}
