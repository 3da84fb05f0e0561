//! Published messages on their way to the subscribers of one core.

pub(super) mod batch;
pub(super) mod counts;
pub(super) mod large;
pub(super) mod queue;
mod segment;
