//! The service of a core: client protocols and their paths on one side, the broker and the
//! application on the other. There is one file or folder for each endpoint, which implements
//! `Endpoint`, and the list in `client.rs` has a line for each.

mod app;
mod client;
mod clients;
mod connect;
mod cors;
mod endpoint;
mod expiry;
mod gate;
mod http;
mod inbox;
mod json;
mod messages;
mod overdue;
mod peers;
mod raw;
mod service;
mod states;
mod target;
#[cfg(test)]
mod tests;
mod waiting;

pub use json::PROTOCOL;
pub use service::Gateway;
