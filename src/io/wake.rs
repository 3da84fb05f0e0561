//! Waking a loop: from any thread through an eventfd that its driver watches, from one io_uring to
//! another with a message that costs no call of its own.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use super::driver::Wake;

/// The value of `Target::ring` while the loop has no io_uring.
const NONE: RawFd = -1;

/// Wakes one loop, whichever driver of the kernel it runs on.
#[derive(Clone, Debug)]
pub struct LoopWaker(Arc<Target>);

/// The loop that a waker wakes.
#[derive(Debug)]
struct Target {
    eventfd: OwnedFd,
    /// The descriptor of its io_uring while there is one.
    ring: AtomicI32,
}

impl LoopWaker {
    /// A waker, to be given to the driver that it shall wake.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        let (eventfd, ring) = (eventfd(0, flags)?, AtomicI32::new(NONE));
        Ok(Self(Arc::new(Target { eventfd, ring })))
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.0.eventfd.as_raw_fd()
    }

    pub(super) fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.eventfd.as_fd()
    }

    /// The ring that it wakes, if that can be sent messages.
    pub(super) fn ring(&self) -> Option<RawFd> {
        Some(self.0.ring.load(Ordering::Acquire)).filter(|fd| *fd != NONE)
    }

    /// The ring exists from now on; with `None` no longer.
    pub(super) fn set_ring(&self, fd: Option<RawFd>) {
        self.0.ring.store(fd.unwrap_or(NONE), Ordering::Release);
    }

    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Takes the count of wakes, so that the next one is seen.
    pub(super) fn take(&self) {
        let _ = read(&self.0.eventfd, &mut [0; 8]);
    }
}

impl Wake for LoopWaker {
    fn wake(&self) {
        // The one way to fail is a count that is full, and then the loop is awake anyway.
        let _ = write(&self.0.eventfd, &1_u64.to_ne_bytes());
    }
}
