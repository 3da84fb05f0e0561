//! corecast: a strict, thread-per-core WebSocket server on io_uring, as a library.
//!
//! The parts, each knowing only those before it:
//!
//! - [`protocol`]: frames, masking, UTF-8, compression and the opening handshake of RFC 6455 and
//!   RFC 7692. Sans-IO.
//! - [`session`]: one connection as a state machine; bytes and time in, bytes out. Sans-IO.
//! - [`mesh`]: lock-free channels from core to core, and who has to be woken.
//! - [`pubsub`]: topics shared across cores. Sans-IO.
//! - [`io`]: what a loop asks of the kernel, as a trait, and io_uring behind it.
//! - [`worker`]: the loop of one core, generic over driver and handler.
//! - [`server`]: listeners, pinned threads, starting and stopping.
//!
//! To embed a server, implement [`session::Handler`] and start a [`server::Server`]:
//!
//! ```no_run
//! use corecast::config::Config;
//! use corecast::session::{Handler, Message, Replies};
//! use corecast::protocol::websocket::Opcode;
//! use corecast::server::Server;
//!
//! struct Shout;
//!
//! impl Handler for Shout {
//!     fn message<'a>(
//!         &mut self,
//!         _: ConnectionId,
//!         message: Message<'a>,
//!         replies: &mut Replies<'a>,
//!     ) {
//!         match message.text() {
//!             Some(text) => replies.send(Opcode::Text, text.to_uppercase().as_bytes()),
//!             None => replies.echo(message),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), corecast::error::Error> {
//! let address = "127.0.0.1:9001".parse().unwrap();
//! Server::new(Config::default()).listen(address).start(|_core| Shout)?.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! `ARCHITECTURE.md` tells why it is built the way it is.

#![warn(clippy::cast_possible_truncation, clippy::expect_used, clippy::unwrap_used)]

pub mod app;
pub mod base;
pub mod config;
pub mod error;
pub mod gateway;
pub mod io;
pub mod mesh;
pub mod protocol;
pub mod pubsub;
pub mod server;
pub mod session;
pub mod worker;
