//! The service of a core: client protocols and routes on one side, the broker and the application
//! on the other. There is one file for each endpoint.

mod app;
mod client;
mod clients;
mod inbox;
mod incoming;
mod json;
mod overdue;
mod raw;
mod route;
mod service;
mod states;
#[cfg(test)]
mod tests;

pub use json::PROTOCOL;
pub use service::Gateway;
