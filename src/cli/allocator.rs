//! The allocator of the command: mimalloc, and the kernel itself for large blocks.
//!
//! **Large blocks.** A message of megabytes grows while it arrives. To copy it to a larger block
//! takes up to several milliseconds, during which a core serves nobody; mremap(2) moves its pages
//! and copies nothing. What is freed is returned to the system at once.
//!
//! **Middle blocks.** mimalloc returns memory to the system once all blocks of an area of 512 KiB
//! are free. Clients that hold thousands of incomplete messages, of which one in twenty stays,
//! would keep nearly all of it, for each size of blocks anew. So the pages of free blocks are
//! returned too, unless there are few of them. That is done on x86-64, where pages have 4 KiB.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout};
use std::cell::Cell;
use std::ptr;

use mimalloc::MiMalloc;
use rustix::mm::{
    Advice, MapFlags, MremapFlags, ProtFlags, madvise, mmap_anonymous, mremap, munmap,
};

/// Blocks of this size or more are mappings of their own. Smaller ones are copied within less than
/// a millisecond, and are reused without page faults.
const LARGE: usize = 4 << 20;
/// Blocks of this size or more have pages that no other block has a part of.
const MIDDLE: usize = 8 << 10;
/// Blocks of this size or more are not in one area with others.
const ALONE: usize = 512 << 10;
/// The bytes of free middle blocks of about one size that stay with the allocator. They are reused
/// without page faults: with 4 MiB, the echo of 100 KB to 64 clients that send eight at once takes
/// a fifth longer.
const MAX_FREE: usize = 16 << 20;
/// The alignment of every mapping.
const PAGE: usize = 4096;

/// mimalloc has four sizes of blocks for each power of two.
const SIZES: usize = 4 * (ALONE / MIDDLE).ilog2() as usize;

thread_local! {
    /// The bytes of free middle blocks whose pages are with the allocator, by their size. Each
    /// thread has blocks of its own, and those that it makes are taken from these.
    static FREE: [Cell<usize>; SIZES] = const { [const { Cell::new(0) }; SIZES] };
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Allocator;

const fn is_large(size: usize, align: usize) -> bool {
    size >= LARGE && align <= PAGE
}

/// Which count of free blocks this size belongs to, if it is a middle one.
#[inline]
fn size_class(size: usize) -> Option<usize> {
    let power = (size / MIDDLE).checked_ilog2()? as usize;
    let class = 4 * power + (size >> (power + MIDDLE.ilog2() as usize - 2)) % 4;
    (class < SIZES).then_some(class)
}

/// A block of this size is made by mimalloc.
#[inline]
fn count_made(size: usize) {
    if let Some(class) = size_class(size) {
        // A thread that ends has no counts any more.
        let _ = FREE.try_with(|free| free[class].set(free[class].get().saturating_sub(size)));
    }
}

/// A block of this size is about to be freed by mimalloc. Returns whether its pages are to be
/// returned to the system before.
#[inline]
fn count_freed(size: usize) -> bool {
    let Some(class) = size_class(size) else { return false };
    let is_much = |free: &[Cell<usize>; SIZES]| {
        let so_far = free[class].get();
        if so_far < MAX_FREE {
            free[class].set(so_far + size);
        }
        so_far >= MAX_FREE
    };
    cfg!(target_arch = "x86_64") && FREE.try_with(is_much).unwrap_or(false)
}

/// Returns the pages of a block to the system that hold nothing else. mimalloc writes to the first
/// word of a free block, so the page with that stays.
///
/// # Safety
/// The block has so many bytes, and nothing reads what it holds any more.
#[cold]
unsafe fn return_pages(block: *mut u8, size: usize) {
    let first = (block.addr() + size_of::<usize>()).next_multiple_of(PAGE);
    let end = (block.addr() + size) / PAGE * PAGE;
    if first < end {
        let pages = block.with_addr(first).cast();
        // SAFETY: all these pages are within the block, whose contents nobody reads any more. Where
        // it is refused, as for locked memory, they stay.
        let _ = unsafe { madvise(pages, end - first, Advice::LinuxDontNeed) };
    }
}

// SAFETY: a block is a mapping of its own if and only if its layout says that it is large, so each
// block is freed and grown by what has made it. Mappings are aligned to pages and hold at least as
// many bytes as the layout says.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout.size(), layout.align()) {
            count_made(layout.size());
            // SAFETY: as the caller of this function promises.
            return unsafe { MiMalloc.alloc(layout) };
        }
        let access = ProtFlags::READ | ProtFlags::WRITE;
        // SAFETY: a new mapping, at a place that the kernel chooses.
        let made =
            unsafe { mmap_anonymous(ptr::null_mut(), layout.size(), access, MapFlags::PRIVATE) };
        made.map_or(ptr::null_mut(), <*mut _>::cast)
    }

    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if is_large(layout.size(), layout.align()) {
            // SAFETY: as the caller promises. A new mapping holds zeros.
            unsafe { self.alloc(layout) }
        } else {
            count_made(layout.size());
            // SAFETY: as the caller promises.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout.size(), layout.align()) {
            // SAFETY: the block is a mapping of this size, and its owner gives it up.
            let _ = unsafe { munmap(block.cast(), layout.size()) };
        } else {
            if count_freed(layout.size()) {
                // SAFETY: mimalloc has made the block.
                let size = unsafe { MiMalloc.usable_size(block) };
                // SAFETY: the block has so many bytes, and is freed next.
                unsafe { return_pages(block, size) };
            }
            // SAFETY: as the caller promises; mimalloc has made the block.
            unsafe { MiMalloc.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let was_large = is_large(layout.size(), layout.align());
        let (old, align) = (layout.size(), layout.align());
        match (was_large, is_large(new_size, align)) {
            (false, false) if size_class(old).is_none() => {
                count_made(new_size);
                // SAFETY: as the caller promises; mimalloc has made the block.
                unsafe { MiMalloc.realloc(block, layout, new_size) }
            }
            (true, true) => {
                // SAFETY: the block is a mapping of `old` bytes. Its owner uses the new place.
                let moved = unsafe { mremap(block.cast(), old, new_size, MremapFlags::MAYMOVE) };
                moved.map_or(ptr::null_mut(), <*mut _>::cast)
            }
            _ => {
                // SAFETY: the caller promises that the size is valid for the alignment.
                let new = unsafe { Layout::from_size_align_unchecked(new_size, align) };
                // SAFETY: a new size of zero is forbidden to the caller.
                let to = unsafe { self.alloc(new) };
                if !to.is_null() {
                    // SAFETY: both blocks hold so many bytes, and they are different blocks.
                    unsafe { ptr::copy_nonoverlapping(block, to, old.min(new_size)) };
                    // SAFETY: the block has this layout, and its owner uses the new one.
                    unsafe { self.dealloc(block, layout) };
                }
                to
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_block_holds_stays_when_it_grows_and_shrinks_across_the_limit() {
        let sizes = [
            100,
            MIDDLE,
            MIDDLE + 1,
            LARGE - 1,
            LARGE,
            3 * LARGE + 5,
            LARGE + 1,
            LARGE - 1,
            9 * MIDDLE,
            50,
            2 * LARGE,
        ];
        let mut layout = Layout::from_size_align(10, 1).unwrap();
        // SAFETY: the size is not zero.
        let mut block = unsafe { Allocator.alloc(layout) };
        let mut filled = 0;
        for size in sizes {
            // SAFETY: the block has this layout, and the size is not zero.
            block = unsafe { Allocator.realloc(block, layout, size) };
            assert!(!block.is_null());
            layout = Layout::from_size_align(size, 1).unwrap();
            filled = size.min(filled);
            // SAFETY: the block has so many bytes.
            let bytes = unsafe { std::slice::from_raw_parts_mut(block, size) };
            let expected = || (0..251_u8).cycle();
            assert!(bytes[..filled].iter().copied().eq(expected().take(filled)), "{size}");
            bytes.iter_mut().zip(expected()).for_each(|(byte, value)| *byte = value);
            filled = size;
        }
        // SAFETY: the block has this layout.
        unsafe { Allocator.dealloc(block, layout) };
    }

    #[test]
    fn blocks_are_aligned_and_zeroed_where_that_is_asked_for() {
        for (size, align) in [(LARGE, 1), (LARGE, 64), (LARGE, PAGE), (LARGE, 2 * PAGE), (99, 8)] {
            let layout = Layout::from_size_align(size, align).unwrap();
            // SAFETY: the size is not zero.
            let block = unsafe { Allocator.alloc_zeroed(layout) };
            assert!(!block.is_null() && block.addr() % align == 0, "{size}, {align}");
            // SAFETY: the block has so many bytes, all of which are initialised.
            let bytes = unsafe { std::slice::from_raw_parts(block, size) };
            assert!(bytes.iter().all(|byte| *byte == 0));
            // SAFETY: the block has this layout.
            unsafe { Allocator.dealloc(block, layout) };
        }
    }
    /// The resident bytes of this process.
    #[cfg(target_arch = "x86_64")]
    fn resident() -> usize {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        text.split_whitespace().nth(1).unwrap().parse::<usize>().unwrap() * PAGE
    }

    /// Of many blocks of one size after another some stay. Without what is tested each size would
    /// keep nearly all of its memory.
    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_pages_of_free_blocks_are_returned_though_their_neighbours_stay() {
        const EACH: usize = 128 << 20;
        let before = resident();
        let mut kept = Vec::new();
        for size in [14_000, 20_000, 28_000, 40_000, 56_000, 120_000, 200_000] {
            let layout = Layout::from_size_align(size, 1).unwrap();
            let blocks: Vec<*mut u8> = (0..EACH / size)
                .map(|_| {
                    // SAFETY: the size is not zero.
                    let block = unsafe { Allocator.alloc(layout) };
                    assert!(!block.is_null());
                    // SAFETY: the block has so many bytes.
                    unsafe { block.write_bytes(7, size) };
                    block
                })
                .collect();
            for (number, block) in blocks.into_iter().enumerate() {
                if number % 10 == 0 {
                    kept.push((block, layout));
                } else {
                    // SAFETY: the block has this layout.
                    unsafe { Allocator.dealloc(block, layout) };
                }
            }
        }
        // A tenth of each is in use. What stays without being returned, and a page of each free
        // block, are less than half of the rest.
        let grown = resident().saturating_sub(before);
        assert!(grown < 7 * EACH * 6 / 10, "{grown}");
        for (block, layout) in kept {
            // SAFETY: the block has so many bytes, all of which are initialised.
            let bytes = unsafe { std::slice::from_raw_parts(block, layout.size()) };
            assert!(bytes.iter().all(|byte| *byte == 7));
            // SAFETY: the block has this layout.
            unsafe { Allocator.dealloc(block, layout) };
        }
    }
}
