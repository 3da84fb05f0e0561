//! The synchronisation primitives of the mesh, with the interface that loom gives them.

pub(super) use std::sync::Arc;

pub(super) mod atomic {
    pub(in crate::mesh) use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence};
}

/// A cell that passes its pointer to a closure, by which loom detects overlapping accesses.
#[derive(Debug)]
#[repr(transparent)]
pub(super) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

impl<T> UnsafeCell<T> {
    pub(super) const fn new(value: T) -> Self {
        Self(std::cell::UnsafeCell::new(value))
    }

    /// Calls `read` with a pointer to read through.
    #[inline]
    pub(super) fn with<R>(&self, read: impl FnOnce(*const T) -> R) -> R {
        read(self.0.get().cast_const())
    }

    /// Calls `write` with a pointer to write through.
    #[inline]
    pub(super) fn with_mut<R>(&self, write: impl FnOnce(*mut T) -> R) -> R {
        write(self.0.get())
    }
}
