//! What an application implements and is given.
//!
//! An application implements [`Handler`], of which each core has one. Its callbacks are given the
//! state of the connection and a [`Context`] to send, publish and subscribe with. Other threads
//! use a [`ConnectionHandle`] or a [`Publisher`].

mod accept;
mod action;
mod connection;
mod context;
mod core;
mod decided;
mod decision;
pub mod echo;
mod error;
mod handler;
mod inbox;
mod panics;
mod prepared;
mod publisher;
mod request;
mod responder;
mod timers;
mod upgrade;

pub use accept::{Accept, InvalidHeader};
pub use action::{Action, Denied};
pub use connection::ConnectionHandle;
pub use context::{CloseContext, Context};
pub use core::AppStats;
pub(crate) use core::CoreState;
pub(crate) use decision::Outcome;
pub use decision::{Decision, Undecided};
pub use error::{PublishError, SendError, SubscribeError};
pub use handler::Handler;
pub(crate) use inbox::Command;
pub use inbox::Inbox;
pub use panics::{OnPanic, Panic};
pub(crate) use panics::{Panics, catch, catch_if, panic_text};
pub use prepared::PreparedMessage;
pub use publisher::{Publisher, inbox};
pub use request::RequestContext;
pub use responder::Responder;
pub(crate) use responder::Unanswered;
pub use upgrade::Upgrade;
