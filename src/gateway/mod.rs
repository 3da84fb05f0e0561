//! The service of a core: client protocols and their paths on one side, the broker and the
//! application on the other. There is one file or folder for each endpoint, which implements
//! `Endpoint`, and the list in `client.rs` has a line for each.

mod addresses;
mod admin;
mod admission;
mod admit;
mod app;
mod asking;
mod client;
mod clients;
mod connect;
mod cors;
mod endpoint;
mod established;
mod expiry;
mod gate;
mod http;
mod inbox;
mod json;
mod messages;
mod overdue;
mod peers;
mod questions;
mod raw;
mod service;
mod states;
mod stopping;
mod target;
#[cfg(test)]
mod tests;
mod waiting;

pub use addresses::Addresses;
pub use admin::{Described, endpoint_of, endpoints};
pub use admission::AddressCounts;
pub use gate::DeniedCounts;
pub use json::PROTOCOL;
pub use service::Gateway;
pub(crate) use target::percent_decode;
