//! The state of one connection.

use std::net::TcpStream;
use std::ptr;

use crate::echo::Echo;
use crate::pieces::Chunk;

/// One connection; its address must not change while the kernel works on it.
pub(super) struct Conn {
    pub(super) stream: TcpStream,
    pub(super) echo: Echo,
    /// Replies not yet queued.
    pub(super) out: Vec<Chunk>,
    /// Replies handed to the kernel.
    pub(super) sent: Vec<Chunk>,
    /// The vector that describes `sent` when it has several pieces.
    pub(super) iov: Vec<libc::iovec>,
    /// The message header for SENDMSG.
    pub(super) message: libc::msghdr,
    /// What a stalled send left over.
    pub(super) tail: Vec<u8>,
    /// A send with a completion to come is in flight.
    pub(super) busy: bool,
    /// In `dirty`.
    pub(super) dirty: bool,
    /// The peer has not closed or reset.
    pub(super) open: bool,
    /// Waits with its next receive until the send in flight is over.
    pub(super) wants_arm: bool,
    /// Which half of the connection's own memory receives next.
    pub(super) half: usize,
}

impl Conn {
    pub(super) fn new(stream: TcpStream) -> Self {
        let message = libc::msghdr {
            msg_name: ptr::null_mut(),
            msg_namelen: 0,
            msg_iov: ptr::null_mut(),
            msg_iovlen: 0,
            msg_control: ptr::null_mut(),
            msg_controllen: 0,
            msg_flags: 0,
        };
        Self {
            stream,
            echo: Echo::default(),
            out: Vec::new(),
            sent: Vec::new(),
            iov: Vec::new(),
            message,
            tail: Vec::new(),
            busy: false,
            dirty: false,
            open: true,
            wants_arm: false,
            half: 0,
        }
    }

    /// Describes `sent` as an io vector.
    pub(super) fn fill_iov(&mut self) {
        self.iov.clear();
        self.iov.extend(self.sent.iter().map(|piece| libc::iovec {
            iov_base: piece.at.cast_mut().cast(),
            iov_len: piece.len as usize,
        }));
    }
}
