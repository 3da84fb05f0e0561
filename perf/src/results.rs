//! The results of a comparison, as written to `perf/results/` and read for the charts.

use serde::{Deserialize, Serialize};

/// A whole comparison.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Results {
    /// The day of the run, such as 2026-01-31.
    pub date: String,
    pub machine: Machine,
    /// The servers with their versions, corecast first.
    pub servers: Vec<Server>,
    pub workloads: Vec<Workload>,
}

/// The machine and its limits.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Machine {
    pub kernel: String,
    pub cpu: String,
    pub cores: usize,
    pub rustc: String,
    /// The reason why there are no instruction counters; `None` if there are.
    pub counters: Option<String>,
    /// Hard limit of open files.
    pub max_files: u64,
    /// Remarks about the figures.
    pub notes: Vec<String>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Server {
    pub name: String,
    /// From the server or from the lock file; empty if unknown.
    pub version: String,
}

/// One workload with all servers.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Workload {
    /// Such as `echo-20B-d16`.
    pub name: String,
    /// A description: "20 B binary, 100 connections, 16 in flight".
    pub title: String,
    /// The unit of a message: "echo", "delivery", "connection".
    pub unit: String,
    pub rows: Vec<Row>,
}

/// One server in one workload.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Row {
    pub server: String,
    /// The reason why it could not be measured; then there are no rounds.
    pub failed: Option<String>,
    pub rounds: Vec<Round>,
    /// User instructions for each message, counted by stepping, once.
    pub stepped: Option<Stepped>,
}

/// One run. All values except rates and latencies are for one message.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
pub struct Round {
    pub messages: u64,
    pub per_second: f64,
    /// CPU time of all threads of the server, in nanoseconds.
    pub cpu_ns: f64,
    /// The share of that in user mode, by clock ticks: coarse.
    pub user_share: f64,
    /// CPU time divided by the elapsed time.
    pub busy: f64,
    pub user_instructions: Option<f64>,
    pub kernel_instructions: Option<f64>,
    pub cycles: Option<f64>,
    pub syscalls: Option<f64>,
    pub switches: Option<f64>,
    pub latency: Option<Latency>,
    pub memory: Option<Memory>,
}

/// Microseconds.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Latency {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub max: f64,
}

/// Bytes for each idle connection.
#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Memory {
    /// Growth of the server's resident size.
    pub user: f64,
    /// Growth of the kernel's memory, for both ends of the connection.
    pub kernel: f64,
    /// The number of connections.
    pub connections: u64,
    /// Milliseconds until a broadcast had reached all connections.
    pub broadcast_ms: Option<f64>,
}

#[derive(Clone, Copy, Debug, Default, Deserialize, Serialize)]
pub struct Stepped {
    pub user_instructions: f64,
    pub syscalls: f64,
    /// The number of messages in the count.
    pub messages: u64,
}
