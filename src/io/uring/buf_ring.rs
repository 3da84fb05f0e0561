//! The provided buffers: memory that the kernel fills as data arrives, so that idle connections
//! hold none.
#![allow(unsafe_code, reason = "the kernel writes to this memory while Rust does not look")]

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::types::BufRingEntry;

use crate::config::Buffers;
use crate::io::{Buffer, next_ring_number};

const PAGE: usize = 4096;
/// The bytes of a buffer that is lent in part: those of short input.
const SHORT: u32 = 1 << 10;
/// So many calls into the kernel after the last receive that found no buffer, the buffers that were
/// added go out of use again.
const KEPT: u16 = 1_024;

/// The ring of free buffers that is shared with the kernel, and the buffers.
#[derive(Debug)]
pub(super) struct BufRing {
    entries: NonNull<BufRingEntry>,
    entries_layout: Layout,
    memory: NonNull<u8>,
    memory_layout: Layout,
    size: u32,
    /// Of the ring, which has room for as many as there may come to be.
    mask: u16,
    /// How many there are.
    count: u16,
    /// The buffers below this number are lent whole, the others [in part](SHORT). The kernel fills
    /// as many as there are before anything of it is handled, and who sends little after that waits
    /// for all of it.
    whole: u16,
    /// The buffers that were used and are out of use.
    spare: Vec<u16>,
    /// For so many calls into the kernel the buffers that are lent in part stay in use.
    keep: u16,
    /// The call into the kernel after which there came to be more.
    grown_after: u64,
    /// Receives that found no buffer since there were more, halved by each call after which none
    /// did.
    missed: u16,
    /// The last call after which one did.
    missed_after: u64,
    /// Where the next free buffer goes; published by [`BufRing::commit`].
    tail: u16,
    lent: u32,
    /// Tells its buffers from those of other rings.
    number: u32,
}

impl BufRing {
    /// Allocates the buffers, also those that there may come to be: what is not touched takes no
    /// memory. All are free, none is published yet.
    pub(super) fn new(config: Buffers) -> Self {
        let count = usize::from(config.max);
        let invalid = || unreachable!("bounded by Buffers::new");
        let entries_len = count * size_of::<BufRingEntry>();
        let entries_layout =
            Layout::from_size_align(entries_len, PAGE).unwrap_or_else(|_| invalid());
        let memory_layout = Layout::from_size_align(count * config.size as usize, PAGE)
            .unwrap_or_else(|_| invalid());
        // SAFETY: the layout is not empty, as there are at least two buffers.
        let entries = unsafe { alloc_zeroed(entries_layout) };
        let Some(entries) = NonNull::new(entries.cast::<BufRingEntry>()) else {
            handle_alloc_error(entries_layout)
        };
        // SAFETY: the layout is not empty, as there are at least two buffers of 64 bytes.
        let memory = unsafe { alloc_zeroed(memory_layout) };
        let Some(memory) = NonNull::new(memory) else { handle_alloc_error(memory_layout) };
        // Now, so that the first requests do not wait for the system to find the pages.
        let touched = usize::from(config.count.min(config.max)) * config.size as usize;
        // SAFETY: the memory was allocated with this size or more just now, and nobody else knows
        // it.
        unsafe { memory.write_bytes(0, touched) };
        let (size, mask) = (config.size, config.max - 1);
        let mut ring = Self {
            entries,
            entries_layout,
            memory,
            memory_layout,
            size,
            mask,
            count: 0,
            whole: config.count,
            spare: Vec::new(),
            keep: 0,
            grown_after: 0,
            missed: 0,
            missed_after: 0,
            tail: 0,
            lent: 0,
            number: next_ring_number(),
        };
        ring.add(config.count);
        ring
    }

    /// Adds `more` buffers, as far as there is room.
    fn add(&mut self, more: u16) {
        let end = self.count.saturating_add(more).min(self.mask + 1);
        while self.count < end {
            // Those that are out of use, or else the first that was never used.
            let id = self.spare.pop().unwrap_or(self.count);
            self.put(id, if id < self.whole { self.size } else { self.size.min(SHORT) });
            self.count += 1;
        }
    }

    /// A receive has found no buffer, after so many calls into the kernel. If there are half as
    /// many of these as there are buffers, there are twice as many buffers from now on, once for
    /// all that find none at the same time. So there come to be as many as many clients need that
    /// send little, but not for the sake of some clients that flood, since one of them takes up to
    /// 32 at once: to fill 1,024 takes the kernel some milliseconds, for which all others wait.
    #[cold]
    pub(super) fn miss(&mut self, calls: u64) {
        let without = calls.saturating_sub(self.missed_after + 1).min(u16::BITS.into());
        self.missed = u16::try_from(u32::from(self.missed) >> without).unwrap_or(u16::MAX);
        self.missed = self.missed.saturating_add(1);
        self.missed_after = calls;
        self.keep = KEPT;
        if self.missed >= self.count / 2 && self.grown_after != calls {
            (self.grown_after, self.missed) = (calls, 0);
            self.add(self.count);
        }
    }

    /// Where the kernel finds the ring.
    pub(super) fn address(&self) -> u64 {
        self.entries.as_ptr() as u64
    }

    /// The entries of the ring.
    pub(super) fn len(&self) -> u16 {
        self.mask + 1
    }

    /// How many buffers there are.
    pub(super) const fn count(&self) -> u16 {
        self.count
    }

    pub(super) const fn lent(&self) -> u32 {
        self.lent
    }

    /// The kernel says that it has filled buffer `id`, which makes it ours.
    pub(super) fn lend(&mut self, id: u16) -> Buffer {
        assert!(id <= self.mask, "the kernel names only buffers that it was given");
        self.lent += 1;
        Buffer { id, ring: self.number }
    }

    /// The bytes of a lent buffer.
    #[inline]
    pub(super) fn bytes(&mut self, buffer: &Buffer) -> &mut [u8] {
        self.check(buffer);
        // SAFETY: `lend` has checked the index, so the offset lies inside `memory`.
        let start = unsafe { self.memory.add(usize::from(buffer.id) * self.size as usize) };
        // SAFETY: the memory is initialised and lives as long as `self`. A `Buffer` exists only
        // while its memory is lent out, in which time the kernel does not write to it, and `&mut
        // self` keeps a second slice from being made.
        unsafe { std::slice::from_raw_parts_mut(start.as_ptr(), self.size as usize) }
    }

    /// Where `len` bytes from `start` of a lent buffer lie, for the kernel to send.
    pub(super) fn pointer(&self, buffer: &Buffer, start: u32, len: u32) -> *const u8 {
        self.check(buffer);
        let end = u64::from(start) + u64::from(len);
        assert!(end <= u64::from(self.size), "a send stays inside its buffer");
        let offset = usize::from(buffer.id) * self.size as usize + start as usize;
        // SAFETY: `lend` has checked the index and the lines above the range, so the offset lies
        // inside `memory` or one past its end.
        unsafe { self.memory.as_ptr().add(offset) }
    }

    /// Takes a buffer back; the kernel sees it after the next [`commit`](Self::commit).
    #[inline]
    pub(super) fn release(&mut self, buffer: Buffer) {
        self.check(&buffer);
        self.lent -= 1;
        if buffer.id >= self.whole {
            return self.release_short(buffer.id);
        }
        self.put(buffer.id, self.size);
    }

    /// Takes a buffer back that is lent in part, or out of use.
    #[cold]
    fn release_short(&mut self, id: u16) {
        if self.keep > 0 {
            return self.put(id, self.size.min(SHORT));
        }
        self.spare.push(id);
        self.count -= 1;
    }

    /// A buffer of another ring may name memory that the kernel writes to, or none.
    #[inline]
    fn check(&self, buffer: &Buffer) {
        assert!(buffer.ring == self.number, "a buffer goes back to the ring that lent it");
    }

    #[inline]
    fn put(&mut self, id: u16, len: u32) {
        let address = self.memory.as_ptr() as u64 + u64::from(id) * u64::from(self.size);
        // SAFETY: the index is masked, so it lies inside `entries`.
        let entry = unsafe { self.entries.add(usize::from(self.tail & self.mask)) };
        // SAFETY: the kernel reads entries only between its head and the published tail; this one
        // lies behind the tail. It is initialised, as all entries were zeroed.
        let entry = unsafe { &mut *entry.as_ptr() };
        entry.set_addr(address);
        entry.set_len(len);
        entry.set_bid(id);
        self.tail = self.tail.wrapping_add(1);
    }

    /// The kernel is called once more.
    #[inline]
    pub(super) fn begin_call(&mut self) {
        self.keep = self.keep.saturating_sub(1);
        self.commit();
    }

    /// Shows the kernel every buffer released so far.
    #[inline]
    pub(super) fn commit(&mut self) {
        // SAFETY: `entries` is the start of the ring that this value owns.
        let tail = unsafe { BufRingEntry::tail(self.entries.as_ptr()) };
        // SAFETY: the tail lies in the first entry, in bytes that `put` does not write, aligned to
        // two bytes; it is only ever accessed as an atomic here and by the kernel.
        let tail = unsafe { AtomicU16::from_ptr(tail.cast_mut()) };
        tail.store(self.tail, Ordering::Release);
    }
}

impl Drop for BufRing {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; the ring that used it is closed, as its
        // owner drops it first.
        unsafe { dealloc(self.entries.as_ptr().cast(), self.entries_layout) };
        // SAFETY: as above.
        unsafe { dealloc(self.memory.as_ptr(), self.memory_layout) };
    }
}
