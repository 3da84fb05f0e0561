//! Whether the listeners of a core accept connections.

use crate::base::Millis;

/// Whether each listener accepts.
#[derive(Debug)]
pub(super) struct Accepting {
    pub(super) armed: Vec<bool>,
    pub(super) stopped: bool,
    /// The service wants the addresses of peers.
    pub(super) wants_peers: bool,
    /// There is no slot for another accept; nothing changes before a connection ends.
    pub(super) no_room: bool,
    pub(super) retry_at: Millis,
    /// The last failure was logged already.
    pub(super) failing: bool,
}

impl Accepting {
    pub(super) fn new(listeners: usize) -> Self {
        Self {
            armed: vec![false; listeners],
            stopped: false,
            wants_peers: false,
            no_room: false,
            retry_at: Millis::default(),
            failing: false,
        }
    }

    /// When accepting is to be tried again; never while all listeners accept or none can.
    pub(super) fn retry_at(&self) -> Millis {
        if self.stopped || self.no_room || self.armed.iter().all(|armed| *armed) {
            Millis::NEVER
        } else {
            self.retry_at
        }
    }

    /// Whether the kernel holds no accept.
    pub(super) fn is_idle(&self) -> bool {
        !self.armed.contains(&true)
    }
}
