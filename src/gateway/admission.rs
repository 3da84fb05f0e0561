//! Whether a connection may begin, by what its address has: the address of its peer, or of the
//! client behind a proxy that is trusted.

use std::sync::Arc;

use super::addresses::{Addresses, Begun, Prefix};
use super::service::Gateway;
use crate::app::Handler;
use crate::base::blocks::Blocks;
use crate::base::{ConnectionId, Millis};
use crate::protocol::websocket::handshake::{Refusal, Rejection};
use crate::session::Admitted;

/// The connections of a core that were refused because of their addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct AddressCounts {
    /// Those of addresses that had as many as they may.
    pub connections: u64,
    /// Those of addresses that had begun as many in a short time as they may.
    pub handshakes: u64,
}

/// What is known of the connections of a core.
#[derive(Debug)]
pub(super) struct Admission {
    table: Arc<Addresses>,
    /// By slot, what each was told when it began.
    begun: Blocks<Option<(Prefix, Begun)>>,
    counts: AddressCounts,
}

impl Admission {
    fn begin(&mut self, id: ConnectionId, prefix: Prefix, now: Millis) -> Begun {
        self.end(id);
        let begun = self.table.begin(prefix, now);
        match begun {
            Begun::Admitted => {}
            Begun::TooMany | Begun::Dropped => self.counts.connections += 1,
            Begun::TooFast => self.counts.handshakes += 1,
        }
        *self.begun.reach(id.slot, || None) = Some((prefix, begun));
        begun
    }

    /// The connection of a slot has ended.
    fn end(&mut self, id: ConnectionId) {
        let begun = self.begun.get_mut(id.slot).and_then(Option::take);
        if let Some((prefix, begun)) = begun {
            self.table.end(prefix, begun);
        }
    }
}

impl<H: Handler> Gateway<H> {
    /// Counts connections by their addresses in this table, which all loops share.
    #[must_use]
    pub fn with_limits_of_addresses(mut self, table: Option<Arc<Addresses>>) -> Self {
        let counts = AddressCounts::default();
        let admission = |table| Box::new(Admission { table, begun: Blocks::default(), counts });
        self.admission = table.map(admission);
        self
    }

    /// The connections that were refused because of their addresses.
    pub fn address_counts(&self) -> AddressCounts {
        self.admission.as_deref().map_or_else(AddressCounts::default, |it| it.counts)
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
            Begun::Dropped => Admitted::Dropped,
        }
    }

    /// Whether the client of a handshake may connect, which a trusted proxy has passed on.
    pub(super) fn admit_client(&mut self, id: ConnectionId) -> Result<(), Refusal> {
        let peer = self.core.peer_addr(id).map(|peer| peer.ip());
        let client = self.core.client_addr(id);
        let (Some(admission), Some(address)) = (&mut self.admission, client) else {
            return Ok(());
        };
        if !self.config.trusted_proxies.trusts(peer) || client == peer {
            return Ok(());
        }
        let now = Millis::from(self.core.broker.clock());
        match admission.begin(id, Prefix::of(address), now) {
            Begun::Admitted => Ok(()),
            Begun::TooFast => Err(Rejection::AddressHandshakes.into()),
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
