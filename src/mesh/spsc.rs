//! A bounded ring between two threads: one pushes, one takes, neither waits. Both work in batches,
//! with one store for each.
#![allow(unsafe_code, reason = "slots are written and read by turns, as head and tail tell")]

use std::mem::MaybeUninit;

use super::sync::atomic::{AtomicUsize, Ordering};
use super::sync::{Arc, UnsafeCell};

/// On cache lines of its own: x86 fetches lines in pairs of 64 bytes.
#[derive(Debug)]
#[repr(align(128))]
struct Lines<T>(T);

/// What both ends see. Head and tail count items from the start and wrap; `head..tail` are the
/// slots that hold an item the consumer may take.
struct Shared<T> {
    /// Written by the producer alone.
    tail: Lines<AtomicUsize>,
    /// Written by the consumer alone.
    head: Lines<AtomicUsize>,
    /// A power of two of them.
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
}

// SAFETY: a slot is touched only by the end whose it is: the producer's outside of `head..tail`,
// the consumer's within; Release stores and Acquire loads of head and tail hand it over. So items
// only move from thread to thread, for which `T: Send` is enough.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above; nothing lends a reference to an item.
unsafe impl<T: Send> Sync for Shared<T> {}

impl<T> Shared<T> {
    fn slot(&self, index: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[index & (self.slots.len() - 1)]
    }

    /// Puts `item` into the free slot at `index`.
    ///
    /// # Safety
    ///
    /// The caller is the end that owns the slot, and no item is in it.
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
    /// The caller is the end that owns the slot, an item is in it, and nobody takes it again.
    unsafe fn read(&self, index: usize) -> T {
        self.slot(index).with(|slot| {
            // SAFETY: the slot lives in `self.slots`, the caller owns it, and an item is in it.
            unsafe { slot.cast::<T>().read() }
        })
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        // Both ends are gone, and `Arc` has ordered what they did before this.
        let tail = self.tail.0.load(Ordering::Relaxed);
        let mut index = self.head.0.load(Ordering::Relaxed);
        while index != tail {
            // SAFETY: nobody else is left, and published items that were not taken are in
            // `head..tail`, each met once.
            drop(unsafe { self.read(index) });
            index = index.wrapping_add(1);
        }
    }
}

/// Makes a ring of `entries` slots, rounded up to a power of two, for items that count together for
/// at most `bytes`.
pub(super) fn ring<T>(entries: usize, bytes: usize) -> (Producer<T>, Consumer<T>) {
    let slots = entries.max(1).next_power_of_two();
    let shared = Arc::new(Shared {
        tail: Lines(AtomicUsize::new(0)),
        head: Lines(AtomicUsize::new(0)),
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

/// The end that pushes.
#[repr(align(128))]
pub(super) struct Producer<T> {
    shared: Arc<Shared<T>>,
    /// Where the next item goes.
    tail: usize,
    /// How far the consumer may see.
    published: usize,
    /// The consumer's head when it was last looked at.
    head: usize,
    /// How many bytes the items in the ring may count for.
    limit: usize,
    /// Bytes of all items ever pushed; wraps.
    pushed: usize,
    /// Bytes of all items before `head`; wraps.
    freed: usize,
    /// For each slot, `pushed` just after its item: the consumer's head then tells how many bytes
    /// it has freed, and one store of it gives back slots and bytes together.
    marks: Box<[usize]>,
}

impl<T> Producer<T> {
    /// Queues `item`, which counts for `bytes`, or gives it back if there is no room for it. An
    /// empty ring takes an item of any size.
    #[inline]
    pub(super) fn push(&mut self, bytes: usize, item: T) -> Result<(), T> {
        if !self.has_room(bytes) {
            self.look();
            if !self.has_room(bytes) {
                return Err(item);
            }
        }
        // SAFETY: `tail` is less than `slots` ahead of `head`, so the consumer is done with the
        // slot and has not been told of this round yet.
        unsafe { self.shared.write(self.tail, item) };
        self.pushed = self.pushed.wrapping_add(bytes);
        let mark = self.tail & (self.marks.len() - 1);
        self.marks[mark] = self.pushed;
        self.tail = self.tail.wrapping_add(1);
        Ok(())
    }

    /// By what is known of the consumer, which may have freed more meanwhile.
    fn has_room(&self, bytes: usize) -> bool {
        let entries = self.tail.wrapping_sub(self.head);
        let held = self.pushed.wrapping_sub(self.freed);
        let fits = held.checked_add(bytes).is_some_and(|sum| sum <= self.limit);
        entries == 0 || (entries < self.marks.len() && fits)
    }

    /// Looks how far the consumer is.
    #[cold]
    fn look(&mut self) {
        // Acquire: the consumer has read the slots before this, and they may be written again.
        let head = self.shared.head.0.load(Ordering::Acquire);
        if head != self.head {
            self.head = head;
            // That slot has not been used anew, as it was not free before.
            self.freed = self.marks[head.wrapping_sub(1) & (self.marks.len() - 1)];
        }
    }

    /// Whether something was pushed and not published.
    pub(super) const fn has_unpublished(&self) -> bool {
        self.tail != self.published
    }

    /// Lets the consumer see what was pushed.
    #[inline]
    pub(super) fn publish(&mut self) {
        // Release: the items are in their slots before the consumer is told.
        self.shared.tail.0.store(self.tail, Ordering::Release);
        self.published = self.tail;
    }
}

impl<T> Drop for Producer<T> {
    /// What was not published is dropped here, the rest by the consumer or with the ring.
    fn drop(&mut self) {
        while self.published != self.tail {
            let index = self.published;
            self.published = index.wrapping_add(1);
            // SAFETY: the items in `published..tail` are in slots of the producer still, and each
            // is met once.
            drop(unsafe { self.shared.read(index) });
        }
    }
}

/// The end that takes.
#[repr(align(128))]
pub(super) struct Consumer<T> {
    shared: Arc<Shared<T>>,
    /// The next item to take.
    head: usize,
    /// The producer's tail when it was last looked at.
    tail: usize,
}

impl<T> Consumer<T> {
    /// Whether there is an item to take.
    #[inline]
    pub(super) fn has_some(&self) -> bool {
        self.head != self.tail || self.head != self.shared.tail.0.load(Ordering::Acquire)
    }

    /// Takes what is visible now, oldest first and at most `most`, then frees its space. Returns
    /// how many.
    #[inline]
    pub(super) fn drain(&mut self, most: usize, mut take: impl FnMut(T)) -> usize {
        if self.tail.wrapping_sub(self.head) < most {
            // Acquire: the items have been written before this.
            self.tail = self.shared.tail.0.load(Ordering::Acquire);
        }
        let count = self.tail.wrapping_sub(self.head).min(most);
        if count == 0 {
            return 0;
        }
        let batch = Batch(self);
        for _ in 0..count {
            let index = batch.0.head;
            batch.0.head = index.wrapping_add(1);
            // SAFETY: the slot is within `head..tail`, hence holds an item and is the consumer's;
            // `head` has moved on, so it is not taken again.
            take(unsafe { batch.0.shared.read(index) });
        }
        count
    }
}

/// Frees the space of what was taken at the end of a batch, also when `take` panics.
struct Batch<'a, T>(&'a mut Consumer<T>);

impl<T> Drop for Batch<'_, T> {
    fn drop(&mut self) {
        // Release: the slots have been read before the producer writes them again.
        self.0.shared.head.0.store(self.0.head, Ordering::Release);
    }
}
