//! Moves bytes to and from the sockets: by io_uring, or by epoll if that is refused.

pub(super) mod epoll;
#[allow(unsafe_code)]
pub(super) mod ring;

use std::io;
use std::time::Duration;

/// The data of the connections. A connection is identified by its index in the list of streams.
pub(super) trait Traffic {
    /// The wait of a turn is over; its input comes next.
    fn woke(&mut self);

    /// Bytes were received.
    fn received(&mut self, slot: usize, bytes: &[u8]) -> io::Result<()>;

    /// The other side ended the stream, or the connection broke. Returns the meaning of that.
    fn ended(&self, slot: usize, cause: Option<io::Error>) -> io::Error;

    /// A connection that has bytes to send and had none before.
    fn next_ready(&mut self) -> Option<usize>;

    /// The next bytes to send on a connection, in one piece; empty if there are none. The bytes do
    /// not move until the next call of `received`.
    fn pending(&self, slot: usize) -> &[u8];

    /// This number of bytes of `pending` has been passed to the kernel.
    fn sent(&mut self, slot: usize, bytes: usize);

    /// This number of bytes of the last `sent`, counted from its end, was not taken.
    fn unsent(&mut self, slot: usize, bytes: usize);
}

/// The time that a turn may wait for input.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// No waiting.
    Poll,
    /// Sleeps for at most this time.
    Sleep(Duration),
}

/// The I/O of one thread.
pub(super) trait Engine {
    /// Sends the pending bytes, waits, and passes the input on.
    fn turn<T: Traffic>(&mut self, traffic: &mut T, wait: Wait) -> io::Result<()>;
}
