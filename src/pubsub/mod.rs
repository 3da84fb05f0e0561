//! Publish and subscribe: what one client publishes to a topic, every subscriber on every core
//! gets, framed once.
//!
//! [`Hub`] is the [`Handler`](crate::session::Handler) of each core that serves the endpoints
//! `/topics/<topic>` and `/pubsub` and leaves all else to the application's own handler; a
//! [`Publisher`] publishes from a program. Like the protocol it is sans-IO: it knows connections by
//! their names, other cores as the far ends of a [mesh](crate::mesh), and no socket.

mod batch;
mod form;
mod hub;
mod index;
mod json;
mod name;
mod publication;
mod publisher;
mod retained;
mod route;

pub use hub::{Hub, Parcel, Stats};
pub use name::{Filter, NameError, Topic};
pub use publication::Payload;
pub use publisher::{Inbox, PublishError, Publisher, inbox};
pub use retained::Totals;

/// The subprotocol of `/pubsub`.
pub const PROTOCOL: &str = "corecast.v1.json";
