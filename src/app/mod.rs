//! What an application implements and is given.

mod context;
pub mod echo;
mod handler;

pub use context::Context;
pub use handler::{Accept, Handler, Upgrade};
