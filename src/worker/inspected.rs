//! What is told of connections to those who administrate the server.

use std::collections::HashMap;
use std::time::Duration;

use crate::base::{ConnectionId, SendProgress};
use crate::config::RouteId;
use crate::session::{EndpointId, Phase};

/// One connection at this moment.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Inspected {
    /// Its id.
    pub id: ConnectionId,
    /// How far it is.
    pub phase: Phase,
    /// It is or was a WebSocket.
    pub is_websocket: bool,
    /// The endpoint that it talks to, if it is.
    pub endpoint: EndpointId,
    /// The route that its handshake came by.
    pub route: RouteId,
    /// It came to a listener for administration.
    pub is_admin: bool,
    /// It came to a listener with TLS.
    pub is_tls: bool,
    /// The time since it was accepted. Zero if the worker has no listener for administration.
    pub age: Duration,
    /// The bytes that wait to be sent to it.
    pub queued: usize,
}

/// What the kernel has received and sent for a connection, in bytes of TCP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Totals {
    /// Received from the peer.
    pub received: u64,
    /// Sent to the peer, and acknowledged by it.
    pub sent: u64,
}

/// Queries of the totals of connections.
#[derive(Debug, Default)]
pub(super) struct Inspecting {
    /// The answers that have not come.
    missing: usize,
    /// Of each, once it is answered, what the kernel told.
    totals: HashMap<ConnectionId, Option<Option<Totals>>>,
}

impl Inspecting {
    /// Queries of these connections, each of which is to be answered.
    pub(super) fn of(ids: &[ConnectionId]) -> Self {
        let totals: HashMap<_, _> = ids.iter().map(|id| (id.masked(), None)).collect();
        Self { missing: totals.len(), totals }
    }

    /// The connections.
    pub(super) fn ids(&self) -> impl Iterator<Item = ConnectionId> {
        self.totals.keys().copied()
    }

    /// The kernel has answered a query, maybe one of another kind.
    pub(super) fn note(&mut self, id: ConnectionId, progress: Option<&SendProgress>) {
        if let Some(place) = self.totals.get_mut(&id)
            && place.is_none()
        {
            self.missing -= 1;
            let totals = |it: &SendProgress| Totals { received: it.received, sent: it.acked };
            *place = Some(progress.map(totals));
        }
    }

    /// Whether all are answered.
    pub(super) const fn is_complete(&self) -> bool {
        self.missing == 0
    }

    /// What the kernel has told.
    pub(super) fn into_totals(self) -> HashMap<ConnectionId, Totals> {
        let known = self.totals.into_iter();
        known.filter_map(|(id, totals)| Some((id, totals.flatten()?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_is_answered_once() {
        let id = |slot| ConnectionId { slot, generation: 1 };
        let mut inspecting = Inspecting::of(&[id(1), id(2)]);
        let progress = SendProgress { received: 3, acked: 4, ..SendProgress::default() };
        for (other, told) in [(id(1), Some(&progress)), (id(1), None), (id(9), Some(&progress))] {
            inspecting.note(other, told);
            assert!(!inspecting.is_complete());
        }
        inspecting.note(id(2), None);
        assert!(inspecting.is_complete());
        let expected = [(id(1), Totals { received: 3, sent: 4 })];
        assert_eq!(inspecting.into_totals(), HashMap::from(expected));
    }
}
