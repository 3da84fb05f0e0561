//! The handshakes of a core that other threads have decided about.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::base::ConnectionId;
use crate::mesh::SleepFlag;

/// A list of handshakes, each once, so that it is no longer than the core has connections; and what
/// wakes the core. It is no part of the inbox, because a decision must not be refused for want of
/// room.
pub(crate) struct Decided {
    ids: Mutex<Vec<ConnectionId>>,
    /// How many are in the list or about to be added.
    count: AtomicUsize,
    sleep_flag: SleepFlag,
    wake: Arc<dyn Fn() + Send + Sync>,
}

impl fmt::Debug for Decided {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decided").field("count", &self.count).finish_non_exhaustive()
    }
}

impl Decided {
    pub(super) fn new(sleep_flag: SleepFlag, wake: Arc<dyn Fn() + Send + Sync>) -> Self {
        Self { ids: Mutex::default(), count: AtomicUsize::new(0), sleep_flag, wake }
    }

    /// Adds a handshake, and wakes the core if it sleeps.
    pub(super) fn push(&self, id: ConnectionId) {
        // Counted before it is added, so that a core that looks at the count before it sleeps
        // misses none.
        self.count.fetch_add(1, Ordering::Relaxed);
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        if self.sleep_flag.needs_wake() {
            (self.wake)();
        }
    }

    /// Takes all that are in the list. For the core itself.
    pub(crate) fn take(&self) -> Vec<ConnectionId> {
        if self.is_empty() {
            return Vec::new();
        }
        let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
        self.count.fetch_sub(ids.len(), Ordering::Relaxed);
        std::mem::take(&mut *ids)
    }

    /// Whether nothing is in the list or about to be added. A core that calls this after it has
    /// declared its sleep misses none.
    pub(crate) fn is_empty(&self) -> bool {
        self.count.load(Ordering::Relaxed) == 0
    }
}
