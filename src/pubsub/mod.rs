//! Publish and subscribe: what one client publishes to a topic, every subscriber on every core
//! is sent, framed once.
//!
//! [`Broker`] is the part of one core. Like the protocol it is sans-IO: it knows connections by
//! their ids, other cores as the far ends of a [mesh](crate::mesh), and no socket.

mod broker;
mod covers;
mod delivery;
mod encoding;
mod index;
mod levels;
mod name;
mod peers;
mod publication;
mod retained;
mod subscribers;
#[cfg(test)]
pub(crate) mod testing;
mod unsent;

pub use broker::{Awaiting, Broker, Stats};
pub(crate) use broker::{Overdue, Unpublished};
pub(crate) use encoding::json::string as json_string;
pub(crate) use encoding::{Codec, Event, Form, encode};
pub use name::{Filter, NameError, Topic};
pub use peers::PeerMessage;
pub use publication::Payload;
pub(crate) use publication::Publication;
pub(crate) use retained::RetainLimit;
pub use retained::Totals;
pub(crate) use subscribers::{Established, Options};
