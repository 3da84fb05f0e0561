//! Goal: published messages arrive as the contract says, over real sockets and across cores.
//! Method: the server as a separate process, or in this one if a limit has no flag, with raw
//! WebSocket clients on every core. Each file states its goal.

mod common;
mod deflated;
mod errors;
mod flood;
mod index_limits;
mod large;
mod leaving;
mod many_clients;
mod messages;
mod names;
mod order;
mod pipelined;
mod program;
mod retained;
mod script;
mod slow;
mod stalled;
mod subscribed;
mod unread;
