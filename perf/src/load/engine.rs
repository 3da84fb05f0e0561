//! How bytes get to the sockets and back: by io_uring, or by epoll where that is refused.

pub(super) mod epoll;
#[allow(unsafe_code)]
pub(super) mod ring;

use std::io;
use std::time::Duration;

/// What an engine carries. Connections are known by their place in the list of streams.
pub(super) trait Traffic {
    /// A turn's wait is over; what it brought comes next.
    fn woke(&mut self);

    /// Bytes came.
    fn received(&mut self, slot: usize, bytes: &[u8]) -> io::Result<()>;

    /// The other side ended the stream, or it broke. Says what that means.
    fn ended(&self, slot: usize, cause: Option<io::Error>) -> io::Error;

    /// A connection that has bytes to send and had none before.
    fn next_ready(&mut self) -> Option<usize>;

    /// What a connection is to send next, in one piece; empty if nothing. The bytes stay where they
    /// are until the next call of `received`.
    fn pending(&self, slot: usize) -> &[u8];

    /// So many bytes of `pending` are on their way.
    fn sent(&mut self, slot: usize, bytes: usize);

    /// So many bytes of the last `sent` were not taken after all, counted from its end.
    fn unsent(&mut self, slot: usize, bytes: usize);
}

/// How long a turn may wait for something to come.
#[derive(Clone, Copy, Debug)]
pub(super) enum Wait {
    /// Not at all.
    Poll,
    /// At most so long, asleep.
    Sleep(Duration),
}

/// One thread's way to its sockets.
pub(super) trait Engine {
    /// Sends what is pending, waits, and hands over what came.
    fn turn<T: Traffic>(&mut self, traffic: &mut T, wait: Wait) -> io::Result<()>;
}
