//! Whether the listeners of a core accept connections.

use std::collections::VecDeque;
use std::time::Duration;

use crate::base::{ConnectionId, Millis};
use crate::io::Accepts;

/// While there is no free slot, a connection above the limit has so long to send its request, and
/// again so long to take the answer, before its slot is given to another.
pub(super) const PATIENCE: Duration = Duration::from_millis(20);

/// The accept of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Armed {
    /// The kernel holds none.
    No,
    /// For one connection, which has a slot reserved.
    Once,
    /// For any number of connections.
    Many,
    /// For any number of connections, and being cancelled.
    Ending,
}

/// The listeners of a worker.
#[derive(Clone, Debug, Default)]
pub struct Listeners {
    /// Of each, whether other workers accept from the same socket.
    shared: Vec<bool>,
    /// Of each, whether its connections speak TLS; none of them if it is empty.
    tls: Vec<bool>,
    /// Of each, whether its connections are for administration; none of them if it is empty.
    admin: Vec<bool>,
    /// Of each, whether its connections begin with a header of the PROXY protocol; none of them if
    /// it is empty.
    proxied: Vec<bool>,
}

impl Listeners {
    /// As many listeners as there are values, of which each says whether other workers accept from
    /// the same socket.
    pub fn new(shared: impl IntoIterator<Item = bool>) -> Self {
        Self { shared: shared.into_iter().collect(), ..Self::default() }
    }

    /// The same, of which each value says whether the connections of a listener speak TLS.
    #[must_use]
    pub fn with_tls(self, tls: &[bool]) -> Self {
        Self { tls: tls.to_vec(), ..self }
    }

    /// The same, of which each value says whether the connections of a listener are for
    /// administration. These are served while the worker drains, and above the limit of
    /// connections.
    #[must_use]
    pub fn with_admin(self, admin: &[bool]) -> Self {
        let admin = if admin.contains(&true) { admin.to_vec() } else { Vec::new() };
        Self { admin, ..self }
    }
}

impl Listeners {
    /// The same, of which each value says whether the connections of a listener begin with a header
    /// of the PROXY protocol. Their addresses count once that has told them.
    #[must_use]
    pub fn with_proxied(self, proxied: &[bool]) -> Self {
        Self { proxied: proxied.to_vec(), ..self }
    }
}

impl From<usize> for Listeners {
    fn from(count: usize) -> Self {
        Self::new(std::iter::repeat_n(false, count))
    }
}

/// Whether each listener accepts.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) armed: Vec<Armed>,
    /// Of each, whether other workers accept from the same socket.
    pub(super) shared: Vec<bool>,
    /// Of each, whether its connections speak TLS; none of them if it is empty.
    pub(super) tls: Vec<bool>,
    /// Of each, whether its connections are for administration; none of them if it is empty.
    pub(super) admin: Vec<bool>,
    /// Of each, whether its connections begin with a header of the PROXY protocol.
    proxied: Vec<bool>,
    /// The listener that is armed first the next time.
    pub(super) first: usize,
    /// From so few free slots on, no accept is for any number of connections.
    pub(super) few: usize,
    /// Slots were scarce the last time that accepts were armed.
    pub(super) is_scarce: bool,
    /// Every listener has an accept, so there is nothing to arm.
    pub(super) is_settled: bool,
    /// No listener accepts any more, but those for administration.
    pub(super) stopped: bool,
    /// Connections that were accepted nevertheless are refused.
    pub(super) refuses: bool,
    /// Nor do these.
    pub(super) admin_stopped: bool,
    /// How connections are accepted where nothing is short.
    pub(super) kind: Accepts,
    /// There is no slot for another accept; nothing changes before a connection ends.
    pub(super) no_room: bool,
    pub(super) retry_at: Millis,
    /// A failure is not logged before this time.
    pub(super) warn_again: Millis,
    /// Connections above the limit, oldest first, each with the time at which it was accepted or
    /// answered.
    pub(super) rejected: VecDeque<(ConnectionId, Millis)>,
    /// When those that have ended were forgotten last.
    pub(super) tidied: Millis,
}

impl Accepting {
    /// For these listeners. None accepts for any number of connections before
    /// [`accept_by`](Self::accept_by) is called.
    pub(super) fn new(listeners: Listeners) -> Self {
        let Listeners { shared, tls, admin, proxied } = listeners;
        Self {
            armed: vec![Armed::No; shared.len()],
            first: 0,
            few: usize::MAX,
            shared,
            tls,
            admin,
            proxied,
            is_scarce: false,
            is_settled: false,
            stopped: false,
            refuses: false,
            admin_stopped: false,
            kind: Accepts::Multishot,
            no_room: false,
            retry_at: Millis::default(),
            warn_again: Millis::default(),
            rejected: VecDeque::new(),
            tidied: Millis::default(),
        }
    }

    /// Each listener is to accept in this way, and may bring `burst` connections at once.
    pub(super) fn accept_by(&mut self, kind: Accepts, burst: u32) {
        self.kind = kind;
        self.few = self.armed.len().saturating_mul(burst as usize);
    }

    /// The number of slots that accepts of one connection have reserved.
    pub(super) fn reserved(&self) -> usize {
        self.armed.iter().filter(|armed| **armed == Armed::Once).count()
    }

    /// When accepting is to be tried again, or room to be made for it; never while all listeners
    /// accept or none can.
    pub(super) fn retry_at(&self) -> Millis {
        if !self.lacks_any() {
            Millis::NEVER
        } else if self.no_room {
            self.rejected.front().map_or(Millis::NEVER, |(_, since)| since.after(PATIENCE))
        } else {
            self.retry_at
        }
    }

    /// Whether the connections of this listener are for administration.
    pub(super) fn is_admin(&self, listener: usize) -> bool {
        self.admin.get(listener) == Some(&true)
    }

    /// Whether the address of the peer is that of the client, on this listener.
    pub(super) fn tells_client(&self, listener: usize) -> bool {
        !self.is_admin(listener) && self.proxied.get(listener) != Some(&true)
    }

    /// Whether this listener is to accept.
    pub(super) fn is_wanted(&self, listener: usize) -> bool {
        !self.stopped || self.is_admin(listener) && !self.admin_stopped
    }

    /// Whether a listener that is to accept has no accept.
    pub(super) fn lacks_any(&self) -> bool {
        let mut all = self.armed.iter().enumerate();
        all.any(|(listener, armed)| *armed == Armed::No && self.is_wanted(listener))
    }

    /// Whether the kernel holds no accept.
    pub(super) fn is_idle(&self) -> bool {
        self.armed.iter().all(|armed| *armed == Armed::No)
    }
}
