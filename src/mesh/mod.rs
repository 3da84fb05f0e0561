//! The way from core to core: a lock-free bounded ring for each ordered pair, and a flag for each
//! core that says whether it sleeps in the kernel, so that its doorbell is rung only then.
//!
//! A core pushes what it has for others during a turn and publishes once at its end: one store for
//! each ring, one fence in all, and at most one bell for each core that sleeps.
//!
//! The files import atomics, `Arc` and `UnsafeCell` from `sync` next to them; `tests/mesh_loom.rs`
//! puts loom's there and tries every interleaving of the very same files.

mod port;
mod sleep;
mod spsc;
mod sync;
#[cfg(test)]
mod tests;

pub use port::{Limits, Port, mesh};
pub use sleep::Sleeper;
