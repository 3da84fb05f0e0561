//! Where connections come from: the addresses of peers, and of clients behind trusted proxies.

use std::net::SocketAddr;

use super::service::Gateway;
use crate::app::Handler;
use crate::base::ConnectionId;
use crate::protocol::http::Headers;
use crate::protocol::websocket::handshake::Request;

impl<H: Handler> Gateway<H> {
    /// Says whether a listener takes the addresses of clients from headers of the PROXY protocol.
    #[must_use]
    pub fn with_proxied(mut self, is_proxied: bool) -> Self {
        self.core.is_proxied = is_proxied;
        self
    }

    /// Whether the addresses of peers are of any use.
    pub(super) fn uses_peers(&self) -> bool {
        let is_asked = H::PEER_ADDRESSES || self.config.peer_addresses;
        let limits = &self.config.limits;
        let is_limited =
            limits.max_connections_per_address.is_some() || limits.handshake_rate.is_some();
        let is_told = self.core.is_proxied || !self.config.trusted_proxies.is_empty();
        is_asked || is_limited || is_told
    }

    /// Remembers the peer of a new connection.
    pub(super) fn note_peer(&mut self, id: ConnectionId, peer: Option<SocketAddr>) {
        *self.core.peers.reach(id.slot, || None) = peer;
        // Also if no proxy is trusted any more: the slot may have been that of a client of one.
        if let Some(client) = self.core.clients.get_mut(id.slot) {
            *client = None;
        }
    }

    /// A handshake with the addresses of where it comes from.
    pub(super) fn with_addresses<'r>(
        &mut self,
        id: ConnectionId,
        request: &Request<'r>,
    ) -> Request<'r> {
        self.note_client(id, &request.headers());
        let mut request = request.clone();
        request.peer_addr = self.core.peer_addr(id);
        request.client_addr = self.core.client_addr(id);
        request
    }

    /// Remembers which client a request comes from. A proxy may send those of several clients over
    /// one connection.
    pub(super) fn note_client(&mut self, id: ConnectionId, headers: &Headers<'_>) {
        let proxies = &self.config.trusted_proxies;
        if !proxies.is_empty() {
            let peer = self.core.peer_addr(id).map(|peer| peer.ip());
            *self.core.clients.reach(id.slot, || None) = proxies.client(peer, headers);
        }
    }
}
