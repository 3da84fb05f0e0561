//! The time type of sessions and workers. They never read a clock: the caller passes the time in.

use std::time::Duration;

/// Milliseconds of the clock of the driver. Virtual time under simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// A deadline that never comes.
    pub const NEVER: Self = Self(u64::MAX);

    /// The time `wait` after `self`.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time `wait` before `self`; zero if that is before the beginning.
    #[must_use]
    pub fn before(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// The time from `self` until `later`; zero if `later` is not after `self`.
    #[must_use]
    pub const fn until(self, later: Self) -> Duration {
        Duration::from_millis(later.0.saturating_sub(self.0))
    }
}

impl From<Duration> for Millis {
    fn from(since_start: Duration) -> Self {
        Self::default().after(since_start)
    }
}
