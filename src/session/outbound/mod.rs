//! What leaves a connection: the output of a turn, frames shared by many connections, and the queue
//! of what a slow peer has not read yet.

mod frames;
mod output;
mod queue;

pub use frames::{Errands, Frames, Post, Sink};
pub use output::Output;
pub use queue::{Offer, SendQueue};
