//! Whether a connection may begin, by what its address has: the address of its peer, or of the
//! client behind a proxy that is trusted.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::addresses::{Addresses, Begun, Prefix};
use super::admission::{AddressCounts, Admission};
use super::service::Gateway;
use crate::app::Handler;
use crate::base::{ConnectionId, Millis};
use crate::protocol::http::Headers;
use crate::protocol::websocket::handshake::{Refusal, Rejection};
use crate::session::Admitted;

/// The headers in which a proxy names a client.
const NAMES: [&str; 2] = ["forwarded", "x-forwarded-for"];

impl<H: Handler> Gateway<H> {
    /// Counts connections by their addresses in this table, which all loops share.
    #[must_use]
    pub fn with_limits_of_addresses(mut self, table: Option<Arc<Addresses>>) -> Self {
        self.admission = table.map(Admission::new);
        self
    }

    /// The connections that were refused because of their addresses.
    pub fn address_counts(&self) -> AddressCounts {
        self.admission.as_deref().map_or_else(AddressCounts::default, Admission::counts)
    }

    /// Whether a connection may begin. One of a trusted proxy may; its handshake is looked at.
    pub(super) fn admit_peer(&mut self, id: ConnectionId, now: Millis) -> Admitted {
        let peer = self.core.peer_addr(id).map(|peer| peer.ip());
        let (Some(admission), Some(address)) = (&mut self.admission, peer) else {
            return Admitted::Yes;
        };
        if self.config.trusted_proxies.trusts(peer) {
            return Admitted::Yes;
        }
        match admission.begin(id, Prefix::of(address), now) {
            Begun::Admitted => Admitted::Yes,
            Begun::TooMany => Admitted::Refused(Rejection::AddressConnections),
            Begun::TooFast => Admitted::Refused(Rejection::AddressHandshakes),
            Begun::Dropped | Begun::DroppedTooFast => Admitted::Dropped,
        }
    }

    /// Whether the client of a handshake may connect, which a trusted proxy has passed on.
    ///
    /// What a proxy asks for itself names no client. Headers that name none which can be believed,
    /// because a client has added one of them, count together, as the address of the proxy.
    pub(super) fn admit_client(
        &mut self,
        id: ConnectionId,
        headers: &Headers<'_>,
    ) -> Result<(), Refusal> {
        const UNKNOWN: IpAddr = IpAddr::V6(Ipv6Addr::UNSPECIFIED);
        let peer = self.core.peer_addr(id).map(|peer| peer.ip());
        let client = self.core.client_addr(id);
        let Some(admission) = &mut self.admission else { return Ok(()) };
        let names_one = || {
            NAMES.iter().any(|name| headers.clone().any(|(one, _)| one.eq_ignore_ascii_case(name)))
        };
        if !self.config.trusted_proxies.trusts(peer) || (client == peer && !names_one()) {
            return Ok(());
        }
        let now = Millis::from(self.core.broker.clock());
        match admission.begin(id, Prefix::of(client.unwrap_or(UNKNOWN)), now) {
            Begun::Admitted => Ok(()),
            Begun::TooFast | Begun::DroppedTooFast => Err(Rejection::AddressHandshakes.into()),
            Begun::TooMany | Begun::Dropped => Err(Rejection::AddressConnections.into()),
        }
    }

    /// A connection has ended.
    pub(super) fn note_left(&mut self, id: ConnectionId) {
        if let Some(admission) = &mut self.admission {
            admission.end(id);
        }
    }
}
