//! What an application can do when it answers a plain request.

use std::net::{IpAddr, SocketAddr};

use super::core::CoreState;
use super::error::PublishError;
use crate::base::ConnectionId;
use crate::config::Config;
use crate::pubsub::Payload;

/// The connection of a plain request and the topics of its core, as
/// [`Handler::request`](super::Handler::request) is given them.
#[derive(Debug)]
pub struct RequestContext<'c> {
    id: ConnectionId,
    core: &'c mut CoreState,
}

impl<'c> RequestContext<'c> {
    pub(crate) const fn new(id: ConnectionId, core: &'c mut CoreState) -> Self {
        Self { id, core }
    }

    /// The settings of the server.
    #[must_use]
    pub fn config(&self) -> &Config {
        &self.core.config
    }

    /// The address of the peer, as [`Context::peer_addr`](super::Context::peer_addr) tells it.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        self.core.peer_addr(self.id)
    }

    /// The address of the client, as [`Context::client_addr`](super::Context::client_addr) tells it
    /// of its handshake.
    #[must_use]
    pub fn client_addr(&self) -> Option<IpAddr> {
        self.core.client_addr(self.id)
    }

    /// Publishes a message to all subscribers of `topic`.
    ///
    /// # Errors
    /// If the message was not published.
    pub fn publish(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, false, None)
    }

    /// Publishes a message and retains it, as [`Context::retain`](super::Context::retain) does.
    ///
    /// # Errors
    /// If the message was not published, or not retained.
    pub fn retain(&mut self, topic: &str, payload: &Payload) -> Result<(), PublishError> {
        self.core.publish(topic, payload, true, None)
    }
}
