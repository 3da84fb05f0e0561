//! Receives: arming them, and turning received bytes into replies.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::{cqueue, opcode, types};

use super::send::{failure, with_fd};
use super::{RECEIVE, Server};
use crate::config::{Receives, Reply};
use crate::echo::Step;
use crate::pieces::Chunk;
use crate::sys::len32;

/// `IORING_RECVSEND_POLL_FIRST`: wait for readiness without a first attempt.
const POLL_FIRST: u16 = 1;

impl Server<'_> {
    /// Queues a receive for a connection that has none.
    pub(super) fn arm_receive(&mut self, slot: u32) -> io::Result<()> {
        let entry = match self.variant.receives {
            Receives::Multishot(_) => {
                with_fd!(self, slot, |fd| opcode::RecvMulti::new(fd, 0).build())
            }
            Receives::OneShot { size, poll_first } => {
                let half = self.conns[slot as usize].half;
                let at = self.memory.own.at((2 * slot as usize + half) * size);
                let priority = if poll_first { POLL_FIRST } else { 0 };
                with_fd!(self, slot, |fd| {
                    opcode::Recv::new(fd, at, len32(size)).ioprio(priority).build()
                })
            }
        };
        self.push(&entry.user_data(RECEIVE | u64::from(slot)))
    }

    /// A receive completed.
    pub(super) fn on_receive(&mut self, slot: u32, result: i32, flags: u32) -> io::Result<()> {
        let Some(len) = usize::try_from(result).ok().filter(|n| *n > 0) else {
            return self.on_no_bytes(slot, result);
        };
        let (at, bid) = match (self.variant.receives, &mut self.memory.pool) {
            (Receives::Multishot(_), Some(pool)) => {
                let bid = cqueue::buffer_select(flags)
                    .ok_or_else(|| io::Error::other("a receive completed without a buffer"))?;
                (pool.take(bid, len, cqueue::buffer_more(flags)), Some(bid))
            }
            (Receives::OneShot { size, .. }, _) => {
                let half = self.conns[slot as usize].half;
                (self.memory.own.at((2 * slot as usize + half) * size), None)
            }
            (Receives::Multishot(_), None) => return Err(io::Error::other("no pool")),
        };
        // SAFETY: the kernel wrote `len` bytes at `at` and hands them over with this completion;
        // nobody else uses them before they are released.
        let chunk = unsafe { std::slice::from_raw_parts_mut(at, len) };
        let step = self.conns[slot as usize].echo.step(chunk);
        self.counts.messages += step.frames;
        self.reply(slot, step, at, bid);
        self.rearm(slot, flags);
        Ok(())
    }

    fn reply(&mut self, slot: u32, step: Step, at: *mut u8, bid: Option<u16>) {
        let conn = &mut self.conns[slot as usize];
        let mut keeps_chunk = false;
        if self.variant.reply == Reply::Echo {
            conn.out.extend(step.detached.map(Chunk::owned));
            if step.end > step.start {
                let start = at.wrapping_add(step.start).cast_const();
                conn.out.push(Chunk::borrowed(start, step.end - step.start, bid));
                keeps_chunk = true;
            }
        } else {
            for _ in 0..step.frames {
                self.memory.sources.message(&mut conn.out);
            }
        }
        if !conn.out.is_empty() && !conn.busy {
            self.mark_dirty(slot);
        }
        if let (false, Some(bid), Some(pool)) = (keeps_chunk, bid, &mut self.memory.pool) {
            pool.release(bid);
        }
    }

    fn rearm(&mut self, slot: u32, flags: u32) {
        let conn = &mut self.conns[slot as usize];
        match self.variant.receives {
            Receives::Multishot(_) if cqueue::more(flags) => {}
            Receives::Multishot(_) => self.arm.push(slot),
            Receives::OneShot { .. } => {
                // The reply may still lie in this half; its twin is free unless a send is stuck.
                conn.half ^= 1;
                if conn.busy {
                    conn.wants_arm = true;
                } else {
                    self.arm.push(slot);
                }
            }
        }
    }

    /// End of stream, reset, cancelled after a failed send, or an empty pool.
    fn on_no_bytes(&mut self, slot: u32, result: i32) -> io::Result<()> {
        match -result {
            libc::ENOBUFS => {
                self.counts.starved += 1;
                self.arm.push(slot);
                return Ok(());
            }
            0 | libc::ECONNRESET | libc::EPIPE | libc::ENOTCONN | libc::ECANCELED => {}
            _ => return Err(failure("a receive", result)),
        }
        let conn = &mut self.conns[slot as usize];
        conn.open = false;
        let mut out = std::mem::take(&mut conn.out);
        if !conn.busy {
            self.live -= 1;
        }
        self.release(&mut out);
        Ok(())
    }
}
