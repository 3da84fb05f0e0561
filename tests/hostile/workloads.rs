//! All hostile workloads, one file for each kind.

#[path = "workloads/churn.rs"]
mod churn;
#[path = "workloads/filters.rs"]
mod filters;
#[path = "workloads/flags.rs"]
mod flags;
#[path = "workloads/frames.rs"]
mod frames;
#[path = "workloads/heads.rs"]
mod heads;
#[path = "workloads/inflate.rs"]
mod inflate;
#[path = "workloads/json.rs"]
mod json;
#[path = "workloads/memory.rs"]
mod memory;
#[path = "workloads/parts.rs"]
mod parts;
#[path = "workloads/retained.rs"]
mod retained;
#[path = "workloads/slow.rs"]
mod slow;
#[path = "workloads/tls.rs"]
mod tls;
#[path = "workloads/tokens.rs"]
mod tokens;

use crate::script::Workload;

/// Every workload, in the order of the table.
pub(crate) fn all() -> Vec<Workload> {
    [
        frames::ALL,
        inflate::ALL,
        json::ALL,
        filters::ALL,
        retained::ALL,
        slow::ALL,
        churn::ALL,
        heads::ALL,
        memory::ALL,
        tls::ALL,
        tokens::ALL,
        flags::ALL,
    ]
    .concat()
}

/// The workload of this name.
pub(crate) fn named(name: &str) -> Option<Workload> {
    all().into_iter().find(|workload| workload.name == name)
}
