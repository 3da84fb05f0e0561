//! corecast: a strict, thread-per-core WebSocket server on io_uring or epoll, as a library.
//!
//! The parts; each depends only on parts listed before it:
//!
//! - [`base`]: small types that all parts share.
//! - [`protocol`]: frames, masking, UTF-8, compression and the opening handshake of RFC 6455 and
//!   RFC 7692. Sans-IO.
//! - [`config`]: the settings of a server.
//! - [`session`]: one connection as a state machine; bytes and time in, bytes out. Sans-IO.
//! - [`mesh`]: lock-free queues between cores, and the flags that say which core to wake.
//! - [`pubsub`]: topics shared across cores. Sans-IO.
//! - [`authority`]: who a client is and what it may do, by tokens. Sans-IO.
//! - [`app`]: the API for applications: handlers, contexts and handles.
//! - `subrequest`: has a backend decide who may connect, over HTTP (feature `auth-url`).
//! - [`gateway`]: the endpoints of the server, between clients, broker and application.
//! - [`io`]: the trait through which a loop uses the kernel; io_uring and epoll behind it.
//! - [`proxied`]: the PROXY protocol, as a driver around another one.
//! - `transport`: TLS, as a driver around another one (feature `tls`).
//! - [`worker`]: the loop of one core, generic over driver and service.
//! - [`server`]: listeners, pinned threads, starting and stopping.
//!
//! To embed a server, implement [`app::Handler`] and start a [`server::Server`]:
//!
//! ```no_run
//! use corecast::app::{Accept, Context, Handler, Upgrade};
//! use corecast::config::Config;
//! use corecast::protocol::websocket::handshake::Request;
//! use corecast::server::Server;
//! use corecast::session::Message;
//!
//! struct Shout;
//!
//! impl Handler for Shout {
//!     type Connection = ();
//!     type User = ();
//!
//!     fn upgrade(&mut self, _: &Request<'_>, _: &mut Accept) -> Upgrade<()> {
//!         Upgrade::Accept(())
//!     }
//!
//!     fn message<'a>(&mut self, (): &mut (), message: Message<'a>, cx: &mut Context<'_, 'a>) {
//!         match message.text() {
//!             // An error says that the peer does not read.
//!             Some(text) => drop(cx.text(&text.to_uppercase())),
//!             None => cx.echo(message),
//!         }
//!     }
//! }
//!
//! # fn main() -> Result<(), corecast::error::Error> {
//! let address = "127.0.0.1:9001".parse().unwrap();
//! Server::new(Config::default()).listen(address).start(|_core, _handle| Shout)?.join()?;
//! # Ok(())
//! # }
//! ```
//!
//! `ARCHITECTURE.md` explains the design and the reasons for it.

#![warn(clippy::cast_possible_truncation, clippy::expect_used, clippy::unwrap_used)]

pub mod app;
pub mod authority;
pub mod base;
pub mod config;
pub mod error;
pub mod gateway;
pub mod io;
pub mod mesh;
pub mod protocol;
pub mod proxied;
pub mod pubsub;
pub mod server;
pub mod session;
#[cfg(feature = "auth-url")]
pub mod subrequest;
#[cfg(feature = "tls")]
pub mod transport;
pub mod worker;
