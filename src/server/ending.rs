//! Waiting for the ends of the threads of a server.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// A thread that has not ended so long after it should have is not waited for.
const LATE: Duration = Duration::from_secs(5);

/// A wait without a deadline.
const LONG: Duration = Duration::from_secs(3600);

/// When the threads of a server should have ended. A thread that is held, by a callback or by the
/// kernel, cannot be ended, so whoever waits must not wait for ever.
#[derive(Debug, Default)]
pub(super) struct Ending {
    deadline: Mutex<Option<Instant>>,
    changed: Condvar,
}

impl Ending {
    fn deadline(&self) -> MutexGuard<'_, Option<Instant>> {
        self.deadline.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The server was told to stop: all threads should have ended after this time, or sooner if
    /// that was said before. They are waited for until [`LATE`] after it.
    pub(super) fn expect_within(&self, time: Duration) {
        let mut deadline = self.deadline();
        let at = Instant::now().checked_add(time.saturating_add(LATE));
        *deadline = deadline.map_or(at, |before| Some(at.map_or(before, |at| at.min(before))));
        self.changed.notify_all();
    }

    /// A thread has ended.
    pub(super) fn notify(&self) {
        // With the lock, so that this falls between no check and its wait.
        let _deadline = self.deadline();
        self.changed.notify_all();
    }

    /// Waits until `has_ended` returns true, at most until the deadline. `has_ended` is called
    /// when a thread has ended.
    pub(super) fn wait(&self, has_ended: impl Fn() -> bool) {
        let mut deadline = self.deadline();
        while !has_ended() {
            let left = deadline.map_or(LONG, |at| at.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return;
            }
            let waited = self.changed.wait_timeout(deadline, left);
            deadline = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
