//! Replies: queueing them, and handling short sends.

use std::io;
use std::os::fd::AsRawFd;

use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};

use super::{CANCEL, RECEIVE, SEND, Server, TAIL};
use crate::config::{Join, Reply, Sends};
use crate::pieces::{Chunk, total};
use crate::sys::len32;

/// `IORING_SEND_VECTORIZED`, which io-uring 0.7.15 does not name.
const VECTORIZED: u16 = 1 << 5;

/// Expands to the expression with `$fd` being the variant's kind of descriptor.
macro_rules! with_fd {
    ($server:expr, $slot:expr, |$fd:ident| $body:expr) => {
        if $server.variant.direct {
            let $fd = types::Fixed($slot);
            $body
        } else {
            let $fd = types::Fd($server.conns[$slot as usize].stream.as_raw_fd());
            $body
        }
    };
}
pub(super) use with_fd;

impl Server<'_> {
    /// Queues everything a connection has to send as one operation.
    pub(super) fn flush(&mut self, slot: u32) -> io::Result<()> {
        let conn = &mut self.conns[slot as usize];
        conn.dirty = false;
        if conn.busy || conn.out.is_empty() {
            return Ok(());
        }
        std::mem::swap(&mut conn.out, &mut conn.sent);
        let skip = self.variant.sends == Sends::SkipSuccess;
        let mut flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        if skip {
            flags |= libc::MSG_DONTWAIT;
            self.sent.push(slot);
        } else {
            conn.busy = true;
        }
        let mut entry = self.send_entry(slot, flags)?.user_data(SEND | u64::from(slot));
        if skip {
            entry = entry.flags(Flags::SKIP_SUCCESS);
        }
        self.push(&entry)
    }

    fn send_entry(&mut self, slot: u32, flags: i32) -> io::Result<Entry> {
        let conn = &mut self.conns[slot as usize];
        if let [piece] = conn.sent.as_slice() {
            let (at, len) = (piece.at, piece.len);
            return Ok(with_fd!(self, slot, |fd| opcode::Send::new(fd, at, len)
                .flags(flags)
                .build()));
        }
        match self.variant.reply {
            Reply::Pieces(Join::Copy) => {
                let len = len32(total(&conn.sent));
                let joined = self.memory.arena.join(&conn.sent);
                let at = joined.ok_or_else(|| io::Error::other("the arena is too small"))?;
                Ok(with_fd!(self, slot, |fd| opcode::Send::new(fd, at, len).flags(flags).build()))
            }
            Reply::Pieces(Join::Message) => {
                conn.fill_iov();
                conn.message.msg_iov = conn.iov.as_mut_ptr();
                // The field is a size_t or an int, depending on the C library.
                conn.message.msg_iovlen = conn.iov.len() as _;
                let (message, flags) = (&raw const conn.message, flags.unsigned_abs());
                Ok(with_fd!(self, slot, |fd| {
                    opcode::SendMsg::new(fd, message).flags(flags).build()
                }))
            }
            Reply::Echo | Reply::Pieces(Join::Vectorized) => {
                conn.fill_iov();
                let (at, len) = (conn.iov.as_ptr().cast(), len32(conn.iov.len()));
                Ok(with_fd!(self, slot, |fd| {
                    opcode::Send::new(fd, at, len).ioprio(VECTORIZED).flags(flags).build()
                }))
            }
        }
    }

    /// A send completed: always with `Sends::Completion`, else only because bytes are left.
    pub(super) fn on_send(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let expected = total(&self.conns[slot as usize].sent);
        let done = match result {
            n if n >= 0 => usize::try_from(n).unwrap_or(0),
            n if n == -libc::EAGAIN => 0,
            n if n == -libc::EPIPE || n == -libc::ECONNRESET => {
                self.abandon(slot)?;
                expected
            }
            n => return Err(failure("a send", n)),
        };
        let conn = &mut self.conns[slot as usize];
        if self.variant.sends == Sends::Completion {
            if done < expected {
                return Err(io::Error::other(format!("a send stopped at {done} of {expected} B")));
            }
            let mut sent = std::mem::take(&mut conn.sent);
            self.release(&mut sent);
            self.conns[slot as usize].sent = sent;
            self.unblock(slot);
            return Ok(());
        }
        if done >= expected {
            return Ok(());
        }
        self.counts.stalls += 1;
        conn.tail.clear();
        for piece in &conn.sent {
            conn.tail.extend_from_slice(piece.bytes());
        }
        conn.tail.drain(..done);
        conn.busy = true;
        let (at, len) = (conn.tail.as_ptr(), len32(conn.tail.len()));
        let flags = libc::MSG_WAITALL | libc::MSG_NOSIGNAL;
        let entry = with_fd!(self, slot, |fd| opcode::Send::new(fd, at, len).flags(flags).build());
        self.push(&entry.user_data(TAIL | u64::from(slot)))
    }

    /// The tail of a stalled send is out, or the connection is gone.
    pub(super) fn on_tail(&mut self, slot: u32, result: i32) -> io::Result<()> {
        let len = self.conns[slot as usize].tail.len();
        match result {
            n if usize::try_from(n).is_ok_and(|n| n == len) => {}
            n if n == -libc::EPIPE || n == -libc::ECONNRESET => self.abandon(slot)?,
            n if n < 0 => return Err(failure("a tail", n)),
            n => return Err(io::Error::other(format!("a tail stopped at {n} of {len} B"))),
        }
        self.unblock(slot);
        Ok(())
    }

    /// Ends the receive of a connection whose send found it dead: once a send has reported the
    /// reset, a receive that waits for readiness may never complete by itself.
    fn abandon(&mut self, slot: u32) -> io::Result<()> {
        let entry = opcode::AsyncCancel::new(RECEIVE | u64::from(slot)).build();
        self.push(&entry.user_data(CANCEL | u64::from(slot)))
    }

    fn unblock(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        conn.busy = false;
        if std::mem::take(&mut conn.wants_arm) {
            self.arm.push(slot);
        }
        if !conn.out.is_empty() {
            self.mark_dirty(slot);
        }
        if !self.conns[slot as usize].open {
            self.live -= 1;
        }
    }

    pub(super) fn mark_dirty(&mut self, slot: u32) {
        let conn = &mut self.conns[slot as usize];
        if !conn.dirty {
            conn.dirty = true;
            self.dirty.push(slot);
        }
    }

    /// Frees what the last batch sent: by now each send is complete or copied into a tail.
    pub(super) fn release_sent(&mut self) {
        let mut slots = std::mem::take(&mut self.sent);
        for slot in slots.drain(..) {
            let mut sent = std::mem::take(&mut self.conns[slot as usize].sent);
            self.release(&mut sent);
            self.conns[slot as usize].sent = sent;
        }
        self.sent = slots;
        self.memory.arena.reset();
    }

    /// Gives the pool buffers of some pieces back and empties the list.
    pub(super) fn release(&mut self, pieces: &mut Vec<Chunk>) {
        if let Some(pool) = &mut self.memory.pool {
            for bid in pieces.iter().filter_map(|p| p.bid) {
                pool.release(bid);
            }
        }
        pieces.clear();
    }
}

/// An error that names the operation and the kernel's reason.
pub(super) fn failure(what: &str, result: i32) -> io::Error {
    let reason = io::Error::from_raw_os_error(-result);
    let hint = if result == -libc::EINVAL { "; SEND_VECTORIZED needs kernel 6.17" } else { "" };
    io::Error::other(format!("{what} failed: {reason}{hint}"))
}
