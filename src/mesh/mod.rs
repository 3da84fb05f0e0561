//! Messages from core to core: a lock-free bounded queue for each ordered pair of cores, and for
//! each core a flag that says whether it sleeps in the kernel, so that it is woken only then.
//!
//! A core pushes messages for others during a turn and publishes them once at its end: one store
//! for each queue, one fence in all, and at most one wake-up for each core that sleeps.
//!
//! The files import atomics, `Arc` and `UnsafeCell` from `sync` beside them. `tests/mesh_loom.rs`
//! replaces that file with loom's types and tries every interleaving of the same code.

mod port;
mod sleep;
mod spsc;
mod sync;
#[cfg(test)]
mod tests;

pub use port::{Limits, Port, mesh};
pub use sleep::SleepFlag;
