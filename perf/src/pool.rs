//! A provided-buffer ring with reference counts, with or without incremental consumption.

use std::io;
use std::sync::atomic::{AtomicU16, Ordering};

use io_uring::Submitter;
use io_uring::types::{BufRingEntry, IOU_PBUF_RING_INC};

use crate::sys::{Region, len32};

/// The shape of a pool.
#[derive(Clone, Copy)]
pub struct Shape {
    /// Number of buffers, a power of two.
    pub count: u16,
    /// Bytes per buffer.
    pub size: usize,
    /// One buffer serves many receives, appended one after the other (kernel 6.12).
    pub incremental: bool,
}

/// Buffers that the kernel picks from at receive time.
pub struct Pool {
    shape: Shape,
    ring: Region,
    data: Region,
    tail: u16,
    /// Users of each buffer: the kernel counts as one, every unsent slice as one.
    users: Vec<u32>,
    /// Bytes already handed out of each buffer (incremental pools only).
    filled: Vec<usize>,
}

impl Pool {
    /// Maps the memory and lays out the ring; nothing is registered yet.
    pub fn new(shape: Shape) -> io::Result<Self> {
        let count = usize::from(shape.count);
        let mut pool = Self {
            shape,
            ring: Region::new(count * size_of::<BufRingEntry>())?,
            data: Region::new(count * shape.size)?,
            tail: 0,
            users: vec![0; count],
            filled: vec![0; count],
        };
        for bid in 0..shape.count {
            pool.recycle(bid);
        }
        pool.publish();
        Ok(pool)
    }

    /// Registers the pool as buffer group 0.
    pub fn register(&self, submitter: &Submitter<'_>) -> io::Result<()> {
        let flags = if self.shape.incremental { IOU_PBUF_RING_INC } else { 0 };
        let flags = u16::try_from(flags).unwrap_or(0);
        let at = self.ring.at(0) as u64;
        // SAFETY: the ring memory is page aligned, holds `count` entries and outlives the
        // io_uring instance, which its owner drops first.
        unsafe { submitter.register_buf_ring_with_flags(at, self.shape.count, 0, flags) }
    }

    /// Appends a buffer to the ring; the kernel sees it at the next `publish`.
    fn recycle(&mut self, bid: u16) {
        let index = usize::from(self.tail & (self.shape.count - 1));
        let at = self.ring.at(index * size_of::<BufRingEntry>()).cast::<BufRingEntry>();
        // SAFETY: `at` is aligned, inside the ring, and the kernel does not read the entry before
        // the tail is published after it.
        let entry = unsafe { &mut *at };
        entry.set_addr(self.data.at(usize::from(bid) * self.shape.size) as u64);
        entry.set_len(len32(self.shape.size));
        entry.set_bid(bid);
        self.tail = self.tail.wrapping_add(1);
        self.users[usize::from(bid)] = 1;
        self.filled[usize::from(bid)] = 0;
    }

    /// Makes recycled buffers visible to the kernel.
    pub fn publish(&mut self) {
        let base = self.ring.at(0).cast::<BufRingEntry>().cast_const();
        // SAFETY: `base` is the start of a mapped buffer ring, where the tail lives.
        let tail = unsafe { BufRingEntry::tail(base) }.cast::<AtomicU16>();
        // SAFETY: the tail is an aligned u16 in mapped memory, shared with the kernel, and this
        // program only ever accesses it through this atomic.
        unsafe { &*tail }.store(self.tail, Ordering::Release);
    }

    /// Takes the slice of a receive completion; it counts as a user until `release`.
    pub fn take(&mut self, bid: u16, len: usize, kernel_keeps: bool) -> *mut u8 {
        let index = usize::from(bid);
        let start = index * self.shape.size + self.filled[index];
        assert!(self.filled[index] + len <= self.shape.size, "receive past a buffer's end");
        self.filled[index] += len;
        if !kernel_keeps {
            return self.data.at(start);
        }
        self.users[index] += 1;
        self.data.at(start)
    }

    /// Drops one user; the last one gives the buffer back to the kernel.
    pub fn release(&mut self, bid: u16) {
        let users = &mut self.users[usize::from(bid)];
        *users -= 1;
        if *users == 0 {
            self.recycle(bid);
        }
    }
}
