//! Waking a ring from another thread, through an eventfd that the ring watches.

use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use rustix::event::{EventfdFlags, eventfd};
use rustix::io::{Errno, read, write};

use crate::ring::Wake;

/// Wakes one ring.
#[derive(Clone, Debug)]
pub struct EventFdWaker(Arc<OwnedFd>);

impl EventFdWaker {
    /// A waker, to be given to the ring that it shall wake.
    ///
    /// # Errors
    /// If the process has no descriptor left.
    pub fn new() -> Result<Self, Errno> {
        let flags = EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK;
        Ok(Self(Arc::new(eventfd(0, flags)?)))
    }

    pub(super) fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }

    /// Takes the count of wakes, so that the next one is seen.
    pub(super) fn take(&self) {
        let _ = read(&*self.0, &mut [0; 8]);
    }
}

impl Wake for EventFdWaker {
    fn wake(&self) {
        // The one way to fail is a count that is full, and then the ring is awake anyway.
        let _ = write(&*self.0, &1_u64.to_ne_bytes());
    }
}
