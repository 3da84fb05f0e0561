//! A bounded single-producer, single-consumer queue. Neither side waits for the other. Both work in
//! batches, with one store for each batch.
#![allow(unsafe_code, reason = "head and tail decide which side may access a slot")]

use std::mem::MaybeUninit;

use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{Arc, UnsafeCell};

/// On cache lines of its own: x86 prefetches lines in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
struct CacheAligned<T>(T);

/// The part that both sides access. Head and tail count items from the start and wrap; the slots in
/// `head..tail` hold an item that the consumer may take.
struct Shared<T> {
    /// Written by the producer only.
    tail: CacheAligned<AtomicUsize>,
    /// Written by the consumer only.
    head: CacheAligned<AtomicUsize>,
    /// A power of two of them.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is accessed only by the side that owns it: the producer outside of `head..tail`,
// the consumer within. Release stores and Acquire loads of head and tail pass the ownership on. So
// items only move from thread to thread, for which `T: Send` is enough.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; no reference to an item is given out.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, index: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[index & (self.slots.len() - 1)]
    }

    /// Puts `item` into the free slot at `index`.
    ///
    /// # Safety
    ///
    /// The caller is the side that owns the slot, and there is no item in it.
    unsafe fn write(&self, index: usize, item: T) {
        self.slot(index).with_mut(|slot| {
            // SAFETY: the slot lives in `self.slots`, and the caller owns it.
            unsafe { slot.cast::<T>().write(item) };
        });
    }

    /// Takes the item out of the slot at `index`.
    ///
    /// # Safety
    ///
    /// The caller is the side that owns the slot, there is an item in it, and it is not read again.
    unsafe fn read(&self, index: usize) -> T {
        self.slot(index).with(|slot| {
            // SAFETY: the slot lives in `self.slots`, the caller owns it, and an item is in it.
            unsafe { slot.cast::<T>().read() }
        })
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both sides are dropped, and `Arc` orders their accesses before this.
        let tail = self.tail.0.load(Ordering::Relaxed);
        let mut index = self.head.0.load(Ordering::Relaxed);
        while index != tail {
            // SAFETY: there is no other owner, and the published items that were not taken are in
            // `head..tail`; each is read once.
            drop(unsafe { self.read(index) });
            index = index.wrapping_add(1);
        }
    }
}

/// Makes a queue of `entries` slots, rounded up to a power of two, for items that count for at most
/// `bytes` in all.
pub(super) fn queue<T>(entries: usize, bytes: usize) -> (Producer<T>, Consumer<T>) {
    let slots = entries.max(1).next_power_of_two();
    let shared = Arc::new(Shared {
        tail: CacheAligned(AtomicUsize::new(0)),
        head: CacheAligned(AtomicUsize::new(0)),
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
    });
    let producer = Producer {
        shared: Arc::clone(&shared),
        tail: 0,
        published: 0,
        head: 0,
        limit: bytes,
        pushed: 0,
        freed: 0,
        marks: vec![0; slots].into_boxed_slice(),
    };
    (producer, Consumer { shared, head: 0, tail: 0 })
}

/// The side that pushes.
#[repr(align(128))]
pub(super) struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// The index of the next item.
    tail: usize,
    /// The tail that the consumer may see.
    published: usize,
    /// The consumer's head when it was last loaded.
    head: usize,
    /// The most bytes that the items in the queue may count for.
    limit: usize,
    /// Bytes of all items ever pushed; wraps.
    pushed: usize,
    /// Bytes of all items before `head`; wraps.
    freed: usize,
    /// For each slot the value of `pushed` after its item. With it the consumer's head says how
    /// many bytes are freed, so one store of the head frees slots and bytes together.
    marks: Box<[usize]>,
}

impl<T> Producer<T> {
    /// Queues `item`, which counts for `bytes`, or returns it if there is no room for it. An empty
    /// queue takes an item of any size.
    #[inline]
    pub(super) fn push(&mut self, bytes: usize, item: T) -> Result<(), T> {
        if !self.has_room(bytes) {
            self.load_head();
            if !self.has_room(bytes) {
                return Err(item);
            }
        }
        // SAFETY: `tail` is less than `slots` ahead of `head`, so the consumer has read the slot,
        // and cannot see its next item yet.
        unsafe { self.shared.write(self.tail, item) };
        self.pushed = self.pushed.wrapping_add(bytes);
        let mark = self.tail & (self.marks.len() - 1);
        self.marks[mark] = self.pushed;
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// Whether an item of `bytes` fits, by the head last loaded. The consumer may have freed more.
    fn has_room(&self, bytes: usize) -> bool {
        let entries = self.tail.wrapping_sub(self.head);
        let held = self.pushed.wrapping_sub(self.freed);
        let fits = held.checked_add(bytes).is_some_and(|sum| sum <= self.limit);
        entries == 0 || (entries < self.marks.len() && fits)
    }

    /// Loads the consumer's head.
    #[cold]
    fn load_head(&mut self) {
        // Acquire: the consumer has read the slots before this, so they may be written again.
        let head = self.shared.head.0.load(Ordering::Acquire);
        if head != self.head {
            self.head = head;
            // That slot was not free until now, so its mark has not been overwritten.
            self.freed = self.marks[head.wrapping_sub(1) & (self.marks.len() - 1)];
        }
    }

    /// The number of items that the consumer has not taken, those that are not published included.
    pub(super) fn untaken(&self) -> usize {
        self.tail.wrapping_sub(self.shared.head.0.load(Ordering::Relaxed))
    }

    /// Whether something was pushed and not published.
    pub(super) const fn has_unpublished(&self) -> bool {
        self.tail != self.published
    }

    /// Makes the pushed items visible to the consumer.
    #[inline]
    pub(super) fn publish(&mut self) {
        // Release: the items are in their slots before the consumer sees the tail.
        self.shared.tail.0.store(self.tail, Ordering::Release);
        self.published = self.tail;
    }
}

impl<T> Drop for Producer<T> {
    /// Drops the items that were not published. The others are dropped by the consumer or with the
    /// queue.
    fn drop(&mut self) {
        while self.published != self.tail {
            let index = self.published;
            self.published = index.wrapping_add(1);
            // SAFETY: the producer still owns the slots of the items in `published..tail`, and each
            // is read once.
            drop(unsafe { self.shared.read(index) });
        }
    }
}

/// The side that takes.
#[repr(align(128))]
pub(super) struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next item to take.
    head: usize,
    /// The producer's tail when it was last loaded.
    tail: usize,
}

impl<T> Consumer<T> {
    /// Whether there is an item to take.
    #[inline]
    pub(super) fn has_items(&self) -> bool {
        self.head != self.tail || self.head != self.shared.tail.0.load(Ordering::Acquire)
    }

    /// Takes the items that are visible now, oldest first and at most `max`, then frees their
    /// space. Returns their number.
    #[inline]
    pub(super) fn drain(&mut self, max: usize, mut take: impl FnMut(T)) -> usize {
        if self.tail.wrapping_sub(self.head) < max {
            // Acquire: the items have been written before this.
            self.tail = self.shared.tail.0.load(Ordering::Acquire);
        }
        let count = self.tail.wrapping_sub(self.head).min(max);
        if count == 0 {
            return 0;
        }
        let batch = Batch(self);
        for _ in 0..count {
            let index = batch.0.head;
            batch.0.head = index.wrapping_add(1);
            // SAFETY: the slot is within `head..tail`, so it holds an item and the consumer owns
            // it; `head` has moved on, so it is not read again.
            take(unsafe { batch.0.shared.read(index) });
        }
        count
    }
}

/// Frees the space of the taken items at the end of a batch, also when `take` panics.
struct Batch<'a, T>(&'a mut Consumer<T>);

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        // Release: the slots have been read before the producer writes them again.
        self.0.shared.head.0.store(self.0.head, Ordering::Release);
    }
}
