//! One connection of a server, sans-IO: bytes and time go in, bytes come out.
//!
//! [`Session`] knows no socket, no clock and no thread. Its driver passes in what was received
//! ([`Session::receive`], [`Session::receive_eof`]) and the time ([`Session::handle_timeout`] once
//! [`Session::deadline`] has come), sends the [`Output`], and looks at the [`Phase`] after that:
//! the phase says whether to read on, to half-close, or to close.
//!
//! A session begins with HTTP requests (`http`) and becomes a WebSocket (`websocket`) or a
//! [`Stream`] of another kind. What it wants to know of the server it asks a [`Service`].

mod assembly;
mod compression;
mod context;
mod controls;
mod counts;
mod endpoint;
mod head;
mod http;
mod meter;
mod outbound;
mod outcomes;
mod pending;
mod pools;
mod progress;
mod reason;
mod receive;
mod replies;
mod request_line;
mod said;
mod service;
mod state;
mod stream;
#[cfg(test)]
mod tests;
mod too_slow;
mod websocket;

pub use context::Handled;
pub use counts::{Counts, Passed, RateCounts, RouteCounts, Statuses};
pub use endpoint::EndpointId;
pub use meter::{Allowance, Lease, Meter, Metered, NextFrame, TooFast};
pub use outbound::{Frames, Leftover, Offer, Output, SendQueue};
pub use outcomes::{Admitted, Delivered, SendFailure, Wakeup};
pub use pools::Pools;
pub use progress::{ReadTracker, SLOWEST_READER, WindowEdge};
pub use reason::{CloseReason, Policy};
pub use replies::{Message, Replies};
pub use request_line::{Answered, RequestLine};
pub use said::Said;
pub use service::{Accept, Inbound, Outbound, Service, Terms, Verdict};
pub use state::{Phase, Session};
pub use stream::Stream;
