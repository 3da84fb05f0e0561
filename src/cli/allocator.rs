//! The allocator of the command: mimalloc, and the kernel itself for blocks of megabytes.
//!
//! A message of megabytes grows while it arrives. To move a block to a larger one takes several
//! milliseconds, during which a core serves nobody; mremap(2) moves its pages and copies nothing.
//! What is freed is returned to the system at once.
#![allow(unsafe_code, reason = "an allocator")]

use std::alloc::{GlobalAlloc, Layout};
use std::ptr;

use mimalloc::MiMalloc;
use rustix::mm::{MapFlags, MremapFlags, ProtFlags, mmap_anonymous, mremap, munmap};

/// Blocks of this size or more are mappings of their own. Smaller ones are copied within less than
/// a millisecond, and are reused without page faults.
const LARGE: usize = 4 << 20;
/// The alignment of every mapping.
const PAGE: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(crate) struct Allocator;

const fn is_large(size: usize, align: usize) -> bool {
    size >= LARGE && align <= PAGE
}

// SAFETY: a block is a mapping of its own if and only if its layout says that it is large, so each
// block is freed and grown by what has made it. Mappings are aligned to pages and hold at least as
// many bytes as the layout says.
unsafe impl GlobalAlloc for Allocator {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if !is_large(layout.size(), layout.align()) {
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
            // SAFETY: as the caller promises.
            unsafe { MiMalloc.alloc_zeroed(layout) }
        }
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        if is_large(layout.size(), layout.align()) {
            // SAFETY: the block is a mapping of this size, and its owner gives it up.
            let _ = unsafe { munmap(block.cast(), layout.size()) };
        } else {
            // SAFETY: as the caller promises; mimalloc has made the block.
            unsafe { MiMalloc.dealloc(block, layout) }
        }
    }

    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        let was_large = is_large(layout.size(), layout.align());
        let (old, align) = (layout.size(), layout.align());
        match (was_large, is_large(new_size, align)) {
            // SAFETY: as the caller promises; mimalloc has made the block.
            (false, false) => unsafe { MiMalloc.realloc(block, layout, new_size) },
            (true, true) => {
                // SAFETY: the block is a mapping of `old` bytes. Its owner uses the new place.
                let moved = unsafe { mremap(block.cast(), old, new_size, MremapFlags::MAYMOVE) };
                moved.map_or(ptr::null_mut(), <*mut _>::cast)
            }
            (true, false) | (false, true) => {
                // SAFETY: the caller promises that the size is valid for the alignment.
                let new = unsafe { Layout::from_size_align_unchecked(new_size, align) };
                // SAFETY: a large block has a size above zero, and a new size of zero is
                // forbidden to the caller.
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
        let sizes = [100, LARGE - 1, LARGE, 3 * LARGE + 5, LARGE + 1, LARGE - 1, 50, 2 * LARGE];
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
}
