//! Whether what a broker holds has changed.

/// What is remembered of the memory that is charged, so that most turns do not sum it up.
#[derive(Debug, Default)]
pub(super) struct Held {
    /// Something has changed since it was charged.
    pub(super) has_changed: bool,
    /// Filters or retained values have changed since it was charged.
    is_stale: bool,
    /// The memory of filters and retained values.
    pub(super) lasting: usize,
}

impl Held {
    /// Filters or retained values change.
    pub(super) const fn set_stale(&mut self) {
        (self.has_changed, self.is_stale) = (true, true);
    }

    /// Whether something has changed since the last call.
    #[inline]
    pub(super) const fn take_changed(&mut self) -> bool {
        std::mem::replace(&mut self.has_changed, false)
    }

    /// Whether filters or retained values have changed since the last call.
    pub(super) const fn take_stale(&mut self) -> bool {
        std::mem::replace(&mut self.is_stale, false)
    }
}
