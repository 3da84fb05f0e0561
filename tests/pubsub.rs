//! Goal: published messages arrive as the contract says, over real sockets and across cores.
//! Method: the server as a separate process, or in this one if a limit has no flag, with raw
//! WebSocket clients on every core. Each file states its goal.

mod support;

#[path = "pubsub/common.rs"]
mod common;
#[path = "pubsub/deflated.rs"]
mod deflated;
#[path = "pubsub/errors.rs"]
mod errors;
#[path = "pubsub/flood.rs"]
mod flood;
#[path = "pubsub/index_limits.rs"]
mod index_limits;
#[path = "pubsub/large.rs"]
mod large;
#[path = "pubsub/leaving.rs"]
mod leaving;
#[path = "pubsub/many_clients.rs"]
mod many_clients;
#[path = "pubsub/messages.rs"]
mod messages;
#[path = "pubsub/names.rs"]
mod names;
#[path = "pubsub/order.rs"]
mod order;
#[path = "pubsub/pipelined.rs"]
mod pipelined;
#[path = "pubsub/program.rs"]
mod program;
#[path = "pubsub/retained.rs"]
mod retained;
#[path = "pubsub/script.rs"]
mod script;
#[path = "pubsub/slow.rs"]
mod slow;
#[path = "pubsub/stalled.rs"]
mod stalled;
#[path = "pubsub/subscribed.rs"]
mod subscribed;
#[path = "pubsub/unread.rs"]
mod unread;
