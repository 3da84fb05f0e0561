//! What the mesh is synchronised with, in the shape that loom gives it.

pub(super) use std::sync::Arc;

pub(super) mod atomic {
    pub(in crate::mesh) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
}

/// A cell that lends its pointer to a closure; loom sees by that when accesses overlap.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// For reading.
    #[inline]
    pub(super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get().cast_const())
    }

    /// For writing.
    #[inline]
    pub(super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
