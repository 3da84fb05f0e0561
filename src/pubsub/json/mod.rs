//! The subprotocol `corecast.v1.json`: one JSON object in each text message.
//!
//! Sans-IO: [`parse`] reads what clients ask, the other functions append what they are told. What
//! a client publishes is passed on as the slice of text that it came in.

mod answer;
mod request;
#[cfg(test)]
mod tests;

pub(crate) use answer::{Data, delivery, error, gap, published, subscribed, unsubscribed};
#[cfg(test)]
use request::Request;
pub(crate) use request::{Command, parse};
