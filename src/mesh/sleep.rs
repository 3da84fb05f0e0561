//! Whether a core sleeps, and who wakes it.
//!
//! The core says that it sleeps and then looks for work; others make work visible and then look
//! whether the core sleeps. A SeqCst fence stands between the two steps of either side, so at least
//! one of them sees what the other did. Of several that see the core asleep, the one whose swap
//! finds the flag set rings the bell.

use super::sync::Arc;
use super::sync::atomic::{AtomicBool, Ordering, fence};

/// The flag of one core, on cache lines of its own: x86 fetches lines in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
struct Flag {
    sleeping: AtomicBool,
}

/// Tells whether a core has to be woken; for threads that have no port, but other ways to hand work
/// to it.
#[derive(Clone, Debug)]
pub struct Sleeper {
    flag: Arc<Flag>,
}

impl Sleeper {
    /// The flag of a core that is awake.
    pub(super) fn awake() -> Self {
        Self { flag: Arc::new(Flag { sleeping: AtomicBool::new(false) }) }
    }

    /// To be asked after making work visible by other means: true if the doorbell must be rung (the
    /// core sleeps, and this call is the one that wakes it).
    #[must_use = "if true, nobody else rings the bell"]
    pub fn must_ring(&self) -> bool {
        work_is_visible();
        self.claim()
    }

    /// Whether the bell is the caller's to ring. [`work_is_visible`] comes before.
    pub(super) fn claim(&self) -> bool {
        // The flag carries no data, so the fences are all the order that is needed. The load spares
        // a core that is awake, the usual case, the write to its cache line.
        self.flag.sleeping.load(Ordering::Relaxed)
            && self.flag.sleeping.swap(false, Ordering::Relaxed)
    }

    /// Says that the core is about to sleep. It has to look for work after this.
    pub(super) fn announce(&self) {
        // A store would do, here and below. But loom 0.7 lets a store fall between the load and the
        // store of another thread's swap (its issue 254) and then finds deadlocks that are none;
        // next to a call into the kernel a swap costs nothing.
        self.flag.sleeping.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Says that the core is awake.
    pub(super) fn revoke(&self) {
        // Only the core itself sets the flag: if it is clear here, it stays clear.
        if self.flag.sleeping.load(Ordering::Relaxed) {
            self.flag.sleeping.swap(false, Ordering::Relaxed);
        }
    }
}

/// Stands between making work visible and looking who sleeps; one for any number of cores.
pub(super) fn work_is_visible() {
    fence(Ordering::SeqCst);
}
