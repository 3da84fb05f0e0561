//! Why something was not sent, published or subscribed to.

use std::fmt;

use crate::pubsub::NameError;

/// Why a message was not sent to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SendError {
    /// More waits for the peer than [`PubSub::queue`](crate::config::PubSub::queue) allows, or,
    /// from another thread, for the core. The message is dropped, and the connection stays.
    Full,
    /// More waits for the peer than [`PubSub::queue`](crate::config::PubSub::queue) allows. The
    /// message is dropped, and the connection is closed with 1013, because the policy is
    /// [`SlowConsumer::Close`](crate::config::SlowConsumer::Close). Only in a callback: another
    /// thread is told [`Full`](Self::Full), and later [`Gone`](Self::Gone).
    TooSlow,
    /// The connection is closing or has ended.
    Gone,
    /// The server has stopped.
    Stopped,
    /// The message is longer than [`Limits::max_message`](crate::config::Limits::max_message).
    TooLarge,
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "too much waits to be sent; try again later",
            Self::TooSlow => "the peer reads too slowly, and is closed",
            Self::Gone => "the connection has ended",
            Self::Stopped => "the server has stopped",
            Self::TooLarge => "the message is longer than the server allows",
        })
    }
}

impl std::error::Error for SendError {}

/// Why a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// Too much waits to be delivered, or for the core, or the message matches very many filters
    /// while the subscribers of another such message are searched for: try again later.
    Full,
    /// The server has stopped.
    Stopped,
    /// The message is longer than [`Limits::max_message`](crate::config::Limits::max_message).
    TooLarge,
    /// The topic cannot be published to.
    Topic(NameError),
    /// The message is published, but not retained: a limit of retained values is reached.
    NotRetained,
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too many messages wait to be published; try again later"),
            Self::Stopped => f.write_str("the server has stopped"),
            Self::TooLarge => f.write_str("the message is longer than the server allows"),
            Self::Topic(error) => error.fmt(f),
            Self::NotRetained => f.write_str("published, but not retained: the limit is reached"),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<NameError> for PublishError {
    fn from(error: NameError) -> Self {
        Self::Topic(error)
    }
}

/// Why a connection was not subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The filter is not valid.
    Filter(NameError),
    /// A limit is reached: [`PubSub::max_subscriptions`](crate::config::PubSub::max_subscriptions)
    /// or [`PubSub::max_connection_index`](crate::config::PubSub::max_connection_index) by the
    /// connection, or [`PubSub::max_index`](crate::config::PubSub::max_index) by the core.
    TooMany,
}

impl fmt::Display for SubscribeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Filter(error) => error.fmt(f),
            Self::TooMany => f.write_str("a limit of subscriptions is reached"),
        }
    }
}

impl std::error::Error for SubscribeError {}

impl From<NameError> for SubscribeError {
    fn from(error: NameError) -> Self {
        Self::Filter(error)
    }
}
