//! What the stepping thread counts.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64};

/// The number of executions of the instruction at each address.
pub type Profile = HashMap<u64, u64>;

/// The state that the stepping thread shares with the owner of the [`Stepper`](super::Stepper).
#[derive(Default)]
pub(super) struct Shared {
    pub(super) instructions: AtomicU64,
    pub(super) syscalls: AtomicU64,
    pub(super) stop: AtomicBool,
}
