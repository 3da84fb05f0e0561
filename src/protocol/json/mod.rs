//! The grammar of JSON (RFC 8259), checked piece by piece.
//!
//! A [`Scanner`] can stop after any byte and go on later, so a text of many megabytes can be
//! checked while it arrives, or over several turns of a loop. It decodes nothing: it says where
//! values are. Nesting of any depth takes one bit for each level.
//!
//! Faults and their positions are those of `serde_json`, which checks short texts.

mod scanner;
mod stack;
#[cfg(test)]
mod tests;

pub use scanner::{Event, Fault, Scanner, position};
