//! The broker of one core: between its subscribers and publishers, and the brokers of other cores.
//! It knows topics, filters and encodings, and no client protocol and no application.
//!
//! A turn calls, in this order, [`Broker::start_turn`], any number of publications and
//! subscriptions, then [`Broker::distribute`], [`Broker::flush`] and [`Broker::deliver`].

mod drafts;
mod encoding;
mod ended;
mod establish;
mod establishing;
mod held;
mod hung;
mod kept;
mod listing;
mod memory;
mod message;
mod publish;
mod replay;
mod search;
mod searching;
mod sources;
mod state;
mod subscribe;
#[cfg(test)]
mod tests;
mod turn;
mod unsubscribe;
mod values;

pub(crate) use establish::Overdue;
pub(crate) use search::Unpublished;
pub use sources::Awaiting;
pub use state::{Broker, Stats};
