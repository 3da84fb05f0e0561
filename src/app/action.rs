//! What clients of the server's own endpoints ask for, and what an application denies.

use std::borrow::Cow;
use std::fmt;

use crate::pubsub::{Filter, Topic};

/// What a client of `/topics/...` or `/pubsub` asks for.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Action<'a> {
    /// To be sent what is published to the topics that this filter matches.
    Subscribe(&'a Filter),
    /// To publish to this topic, retained or not.
    Publish(&'a Topic),
}

/// An action is denied. The client is told the reason at its handshake and in an `error` of
/// `/pubsub`; one that publishes to `/topics` is closed with 1008 and a fixed text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denied {
    reason: Cow<'static, str>,
}

impl Denied {
    /// Denied for this reason: one line that holds no secret.
    #[must_use]
    pub fn because(reason: impl Into<Cow<'static, str>>) -> Self {
        Self { reason: reason.into() }
    }
}

impl Default for Denied {
    fn default() -> Self {
        Self::because("not allowed")
    }
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Denied {}
