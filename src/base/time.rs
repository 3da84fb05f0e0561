//! Time as connections see it: handed in by whoever drives them.

use std::time::Duration;

/// Milliseconds since the worker began. Virtual under simulation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// Later than any deadline: "never".
    pub const NEVER: Self = Self(u64::MAX);

    /// This long after `self`.
    #[must_use]
    pub fn after(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// This long before `self`, or the beginning of time.
    #[must_use]
    pub fn before(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }

    /// How long from `self` until `later`; zero if that is past.
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
