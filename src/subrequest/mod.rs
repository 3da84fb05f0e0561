//! Asks a backend over HTTP what the client of a handshake may do, with the headers of the client.
//!
//! [`Subrequests`] is a [`Verify`](crate::authority::Verify) that asks for each handshake. The
//! requests are made on threads of their own, so that no loop waits for the backend. What the
//! backend does not allow in time is refused.

mod answer;
mod cache;
mod client;
mod error;
mod headers;
mod pool;
mod question;
mod resolver;
mod subrequests;

pub use error::SetupError;
pub use subrequests::{Builder, Subrequests};
