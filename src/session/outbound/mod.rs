//! The outgoing side of a session: the output of one turn, frames shared by many connections, and
//! the queue of what the peer has not taken yet.

mod frames;
mod output;
mod queue;

pub use frames::Frames;
pub use output::Output;
pub use queue::{Leftover, Offer, SendQueue};
