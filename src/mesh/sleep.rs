//! Whether a core sleeps, which thread wakes it, whether it is busy, and whether it hangs.
//!
//! A core that wants to sleep sets its flag and then looks for work. Other threads make work
//! visible and then look at the flag. A SeqCst fence separates the two steps on either side, so at
//! least one side sees what the other did. If several threads see the flag set, one of them takes
//! it with a swap, and that one wakes the core.

use super::sync::Arc;
use super::sync::atomic::{AtomicBool, Ordering, fence};

/// On cache lines of its own: x86 prefetches lines in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
struct Aligned {
    is_asleep: AtomicBool,
    is_busy: AtomicBool,
    is_hung: AtomicBool,
}

/// The flag that says whether a core sleeps. For threads without a port that pass work to the core
/// by other means.
#[derive(Clone, Debug)]
pub struct SleepFlag {
    flag: Arc<Aligned>,
}

impl SleepFlag {
    /// The flag of a core that is awake.
    pub(super) fn awake() -> Self {
        let [is_asleep, is_busy, is_hung] = [(); 3].map(|()| AtomicBool::new(false));
        Self { flag: Arc::new(Aligned { is_asleep, is_busy, is_hung }) }
    }

    /// Call this after making work visible by other means. If it returns true, the core sleeps and
    /// the caller has to wake it; no other thread will.
    #[must_use = "if true, the caller has to wake the core"]
    pub fn needs_wake(&self) -> bool {
        publish_fence();
        self.take_wake()
    }

    /// Whether the core sleeps, at about this moment.
    #[must_use]
    pub fn is_asleep(&self) -> bool {
        self.flag.is_asleep.load(Ordering::Relaxed)
    }

    /// Declares whether the core has more work than it should be given.
    pub(super) fn set_busy(&self, is_busy: bool) {
        // Only the core itself writes it. It is a hint, which carries no data.
        if self.flag.is_busy.load(Ordering::Relaxed) != is_busy {
            self.flag.is_busy.store(is_busy, Ordering::Relaxed);
        }
    }

    /// Whether the core was declared to be busy.
    pub(super) fn is_busy(&self) -> bool {
        self.flag.is_busy.load(Ordering::Relaxed)
    }

    /// Declares that the core hangs, or that it goes on: for a thread that watches it.
    pub fn set_hung(&self, is_hung: bool) {
        self.flag.is_hung.store(is_hung, Ordering::Release);
    }

    /// Whether the core was declared to hang.
    #[must_use]
    pub fn is_hung(&self) -> bool {
        self.flag.is_hung.load(Ordering::Acquire)
    }

    /// Whether the caller has to wake the core. [`publish_fence`] has to come first.
    pub(super) fn take_wake(&self) -> bool {
        // The flag carries no data, so the fences give all the order that is needed. The load
        // avoids a write to the cache line of a core that is awake, which is the usual case.
        self.flag.is_asleep.load(Ordering::Relaxed)
            && self.flag.is_asleep.swap(false, Ordering::Relaxed)
    }

    /// Sets the flag. The core has to look for work after this and before it sleeps.
    pub(super) fn begin_sleep(&self) {
        // A store would be enough, here and below. But loom 0.7 lets a store fall between the load
        // and the store of another thread's swap (its issue 254) and then reports deadlocks that
        // cannot happen. Beside a call into the kernel a swap costs nothing.
        self.flag.is_asleep.swap(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
    }

    /// Clears the flag: the core is awake.
    pub(super) fn end_sleep(&self) {
        // Only the core itself sets the flag: if it is clear here, it stays clear.
        if self.flag.is_asleep.load(Ordering::Relaxed) {
            self.flag.is_asleep.swap(false, Ordering::Relaxed);
        }
    }
}

/// Separates making work visible from looking at flags. One fence serves any number of cores.
pub(super) fn publish_fence() {
    fence(Ordering::SeqCst);
}
