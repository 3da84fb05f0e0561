//! Counts of settings that were read again, for the metrics.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

/// How often settings were read again.
#[derive(Debug)]
pub(super) struct Reloads {
    /// What was read is in force.
    pub(super) good: AtomicU64,
    /// It had a fault, and nothing has changed.
    pub(super) failed: AtomicU64,
    /// When settings were last read without a fault, in seconds after the beginning of 1970.
    pub(super) last_good: AtomicU64,
}

impl Default for Reloads {
    fn default() -> Self {
        let (good, failed) = (AtomicU64::new(0), AtomicU64::new(0));
        Self { good, failed, last_good: AtomicU64::new(now()) }
    }
}

impl Reloads {
    pub(super) fn note(&self, is_good: bool) {
        if is_good {
            self.good.fetch_add(1, Ordering::Relaxed);
            self.last_good.store(now(), Ordering::Relaxed);
        } else {
            self.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
