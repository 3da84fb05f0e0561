//! What a worker asks of the kernel, as a trait: typed operations go in, events come out.
//!
//! The worker's loop is generic over [`Driver`], so the very same code runs on io_uring
//! ([`uring::UringRing`]), on epoll ([`epoll::EpollDriver`]) and on a seeded simulation
//! (`sim::SimRing`, feature `sim`).
//!
//! Memory that the kernel reads or writes is owned by the ring for as long as the kernel may touch
//! it: receive buffers are lent out as [`Buffer`] values that cannot be copied, and payloads are
//! moved in and come back with the event that ends their use. So no caller needs `unsafe`.

use std::fmt;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use super::buffer::{Buffer, Data};
use crate::base::{Chunk, ConnectionId, Ledger, Millis, SendProgress, Shared};
pub use rustix::io::Errno;

/// Whether an accept has failed because of one connection, which has left, or by chance: the next
/// one may bring another.
pub(crate) const fn is_passing(error: Errno) -> bool {
    matches!(error, Errno::CONNABORTED | Errno::PROTO | Errno::INTR)
}

/// What [`Driver::send_now`] and [`Driver::send_queued`] send.
#[derive(Debug)]
pub enum Payload {
    /// `len` bytes from `start` of a receive buffer: an echo in place.
    Received {
        /// Where the bytes lie. Released by the ring once they are sent.
        buffer: Buffer,
        /// The first byte to send.
        start: u32,
        /// How many bytes to send.
        len: u32,
    },
    /// Bytes in no receive buffer.
    Chunk(Chunk),
}

impl Payload {
    /// Leaves out the first `sent` bytes, which are no more than there are.
    pub(crate) fn skip(&mut self, sent: usize) {
        match self {
            #[allow(clippy::cast_possible_truncation, reason = "no more than `len`, a u32")]
            Self::Received { start, len, .. } => {
                let sent = (sent as u32).min(*len);
                *start += sent;
                *len -= sent;
            }
            Self::Chunk(chunk) => chunk.skip(sent),
        }
    }
}

/// What a receive brought.
#[derive(Debug)]
pub enum Received {
    /// `len` bytes at the start of `buffer`.
    Data {
        /// Where they are; to be given back.
        buffer: Buffer,
        /// How many.
        len: usize,
    },
    /// The peer will send no more.
    Eof,
    /// No buffer was free: arm the receive again once one is.
    NoBuffers,
    /// The receive was cancelled, as asked.
    Cancelled,
    /// The connection is broken.
    Failed(Errno),
    /// The peer has ended TCP without the end that its transport has: what came may be a part of
    /// what it sent (RFC 8446 section 6.1).
    Truncated,
    /// The transport cannot understand the peer, and has answered it. Nothing more can be sent or
    /// received, but the answer is lost if the connection is closed at once.
    Refused,
}

/// How an accept is armed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Accepts {
    /// For any number of connections.
    Multishot,
    /// For one connection.
    Once,
    /// For any number of connections, of each of which the address of the peer is told.
    MultishotWithPeers,
    /// For one connection, of which the address of the peer is told.
    OnceWithPeer,
}

impl Accepts {
    /// Whether it is for one connection.
    #[must_use]
    pub const fn is_once(self) -> bool {
        matches!(self, Self::Once | Self::OnceWithPeer)
    }

    /// Whether the addresses of peers are told.
    #[must_use]
    pub const fn tells_peers(self) -> bool {
        matches!(self, Self::MultishotWithPeers | Self::OnceWithPeer)
    }

    /// The same for one connection.
    #[must_use]
    pub const fn once(self) -> Self {
        if self.tells_peers() { Self::OnceWithPeer } else { Self::Once }
    }
}

/// What happened.
#[derive(Debug)]
pub enum Event {
    /// A connection was accepted, or could not be.
    Accepted {
        /// Which listener, counted from 0.
        listener: usize,
        /// The slot of the new connection.
        result: Result<u32, Errno>,
        /// Whether the accept stays armed.
        armed: bool,
        /// The address of the peer, if the accept asked for it.
        peer: Option<SocketAddr>,
    },
    /// A proxy has told the address of the client for which it connects, before the first bytes of
    /// that client; `None` if the client has none.
    Peer {
        /// On which connection.
        id: ConnectionId,
        /// The address, which counts instead of that of the socket.
        peer: Option<SocketAddr>,
    },
    /// A receive brought something.
    Received {
        /// Whose receive.
        id: ConnectionId,
        /// What it brought.
        outcome: Received,
        /// Whether the receive stays armed. If not, the kernel is done with it.
        armed: bool,
    },
    /// The kernel did not find the receive that [`Driver::cancel_receive`] named: it has ended, or
    /// it was just being tried again and goes on.
    NotCancelled {
        /// Whose receive.
        id: ConnectionId,
    },
    /// A [`Driver::send_now`] did not send everything; of one that did, nothing is heard. A
    /// transport may say it also of the [`Driver::send_queued`] whose [`Event::Sent`] it has just
    /// reported: the rest is what that one has become, and comes before what was not sent of it.
    ShortSend {
        /// Whose send.
        id: ConnectionId,
        /// What is left to send, before all else.
        rest: Payload,
        /// Why, unless there was just no room ([`Errno::AGAIN`] is not reported as an error).
        error: Option<Errno>,
    },
    /// A [`Driver::send_queued`] ended.
    Sent {
        /// Whose send.
        id: ConnectionId,
        /// What it was given. If it was cancelled, a transport may have taken bytes from its front,
        /// which an [`Event::ShortSend`] gives back.
        chunk: Chunk,
        /// How many bytes were sent from the place given.
        result: Result<usize, Errno>,
    },
    /// A [`Driver::half_close`] ended.
    HalfClosed {
        /// Whose.
        id: ConnectionId,
    },
    /// The answer to [`Driver::query_progress`].
    Progress {
        /// Whose.
        id: ConnectionId,
        /// How far the peer is; `None` if the kernel cannot tell.
        progress: Option<SendProgress>,
    },
    /// Some thread called [`Wake::wake`].
    Woken,
}

impl From<Data> for Event {
    fn from(data: Data) -> Self {
        let Data { id, buffer, len } = data;
        Self::Received { id, outcome: Received::Data { buffer, len }, armed: true }
    }
}

/// Wakes a worker from any thread.
pub trait Wake: Clone + fmt::Debug + Send + Sync + 'static {
    /// Makes the ring's [`Driver::enter`] return soon, with an [`Event::Woken`].
    fn wake(&self);
}

/// How many events of each rare kind a ring has seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DriverStats {
    /// Calls of `io_uring_enter` or `epoll_wait`.
    pub enters: u64,
    /// Times the completion queue ran over.
    pub overflows: u64,
    /// Calls that the kernel refused for want of memory or room, to be tried again.
    pub refused: u64,
    /// Receive buffers that there are.
    pub buffers: u32,
    /// Receive buffers lent out at this moment.
    pub buffers_lent: u32,
    /// Sends and receives that the kernel still holds.
    pub in_flight: u32,
    /// Connections that did not begin with the header of the PROXY protocol that their listener
    /// asks for.
    pub without_header: u64,
    /// Handshakes of TLS that were completed.
    pub tls_handshakes: u64,
    /// Of these, the ones that resumed a session.
    pub tls_resumed: u64,
    /// Connections to listeners with TLS that were refused for what they sent: before the end of
    /// their handshake, or after it.
    pub tls_failed: u64,
}

/// One core's way to the kernel. All calls but [`Driver::enter`] only queue, or do at once what
/// does not block. What came of them is told after the next call of it.
pub trait Driver {
    /// Wakes this ring from other threads.
    type Waker: Wake;

    /// A handle that wakes this ring.
    fn waker(&self) -> Self::Waker;

    /// The ledger at which memory is charged that peers make the driver hold.
    fn use_ledger(&mut self, _ledger: &Ledger) {}

    /// The time since some moment, which is the same for all drivers of the process; in a
    /// simulation for all drivers of it.
    fn now(&self) -> Duration;

    /// How many connections there can be at a time.
    fn slots(&self) -> u32;

    /// Arms an accept on listener number `listener`, of which there is one at a time. An accept
    /// that finds no slot loses its connection, so near the end of the slots it should be for one.
    fn accept(&mut self, listener: usize, kind: Accepts);

    /// Cancels the accept of listener number `listener`; its last event follows, and may be a
    /// connection.
    fn cancel_accept(&mut self, listener: usize);

    /// The most connections that an accept of this kind may bring between two calls of
    /// [`Driver::enter`], as far as the driver can tell: what waits in the queue of the listener,
    /// and some more that arrive meanwhile, unless it takes fewer at a time.
    fn accept_burst(&self, kind: Accepts) -> u32;

    /// Ends accepting for good on all listeners but those for which `kept` says true. Where an
    /// accept was armed, what waits in the queue of the listener is accepted first, as far as there
    /// are slots; then the kernel refuses new connections. The accepts' last events follow.
    fn stop_accepting(&mut self, kept: &[bool]);

    /// Arms a multishot receive. With `poll_first` it waits for readiness before it takes a buffer,
    /// which is right unless data is known to wait; epoll always does.
    fn receive(&mut self, id: ConnectionId, poll_first: bool);

    /// Arms a receive that ends with the first bytes it brings. If they are there already, it takes
    /// a buffer before all receives that were armed earlier.
    fn receive_once(&mut self, id: ConnectionId);

    /// Cancels the receive of `id`; its last event follows, or an [`Event::NotCancelled`].
    fn cancel_receive(&mut self, id: ConnectionId);

    /// The bytes of a lent buffer.
    fn bytes(&mut self, buffer: &Buffer) -> &mut [u8];

    /// Gives a lent buffer back.
    fn release(&mut self, buffer: Buffer);

    /// Whether three quarters of the receive buffers are lent out. A driver whose receives wait for
    /// a free buffer counts the buffers that exist. A driver that makes another buffer for such a
    /// receive counts those that it may make.
    fn is_short_of_buffers(&self) -> bool;

    /// How many receive buffers are free, counted in the same way.
    fn free_buffers(&self) -> usize;

    /// Sends as much as the socket takes at once, at the latest with the next [`Driver::enter`].
    /// After that an [`Event::ShortSend`] tells of a rest; nothing is heard of a send that was
    /// complete.
    ///
    /// At most one for each connection between two calls of `enter`, none while a
    /// [`Driver::send_queued`] of the connection is under way, and only when [`Driver::next_event`]
    /// has returned `None` since the last `enter` and the ring [is settled](Driver::is_settled).
    fn send_now(&mut self, id: ConnectionId, payload: Payload);

    /// [`send_now`](Self::send_now) of the same bytes to each of `ids`.
    fn send_shared(&mut self, ids: &[ConnectionId], bytes: &Rc<Shared>) {
        for id in ids {
            self.send_now(*id, Payload::Chunk(Chunk::Shared { bytes: Rc::clone(bytes), from: 0 }));
        }
    }

    /// Sends up to `max` bytes of `chunk` as the socket takes them; an [`Event::Sent`] follows. At
    /// most one for each connection at a time, and not in the batch of a [`Driver::send_now`] of
    /// the connection: it could overtake that one's rest.
    fn send_queued(&mut self, id: ConnectionId, chunk: Chunk, max: usize);

    /// Cancels the queued send of `id`; its event follows.
    fn cancel_send(&mut self, id: ConnectionId);

    /// Asks the kernel how far the peer is. An [`Event::Progress`] follows within the next calls of
    /// [`Driver::enter`], even if the connection has been closed by then.
    fn query_progress(&mut self, id: ConnectionId);

    /// Sends FIN, while still receiving; an [`Event::HalfClosed`] follows.
    fn half_close(&mut self, id: ConnectionId);

    /// Whether the transport of the connection has an end of its own, which is not said yet:
    /// [`half_close`](Self::half_close) says it. The peer says the same, so closing at once would
    /// leave that unread, and reset the connection.
    fn has_end(&mut self, _id: ConnectionId) -> bool {
        false
    }

    /// The connection is given up: what the transport has kept to send is dropped, as all that
    /// waits in the worker's queue is.
    fn give_up(&mut self, _id: ConnectionId) {}

    /// The memory that the peer makes the driver hold for this connection, of what is charged: not
    /// what every connection takes.
    fn memory(&self, _id: ConnectionId) -> usize {
        0
    }

    /// Whether the driver holds a part of something, such as a record of TLS, and the rest comes
    /// too slowly to be held while memory is short. It is not, if it waits here or the connection
    /// is not read from (`is_read`).
    fn input_comes_too_slowly(&mut self, _id: ConnectionId, _now: Millis, _is_read: bool) -> bool {
        false
    }

    /// Closes the connection, its slot free from the next accept on. No operation of `id` may
    /// be under way; a [`Driver::send_now`] is until the next [`Driver::enter`] is settled.
    fn close(&mut self, id: ConnectionId);

    /// Closes the connection as [`close`](Self::close) does, but keeps its slot taken until that is
    /// called for it too. Returns false if that is not possible; then nothing has happened.
    fn retire(&mut self, id: ConnectionId) -> bool;

    /// Wakes another ring, at the latest with the next [`Driver::enter`].
    fn wake_peer(&mut self, peer: &Self::Waker) {
        peer.wake();
    }

    /// Submits everything queued; with `wait`, sleeps until there is an event or the time is over.
    ///
    /// # Errors
    /// Only what cannot be mended by trying again; running out of memory or of room in the queues
    /// is handled inside.
    fn enter(&mut self, wait: Option<Duration>) -> Result<(), Errno>;

    /// Takes what else is ready, after an [`enter`](Driver::enter) that may have brought a part of
    /// it only, so that no connection waits for the next turns because others always have input.
    fn collect(&mut self) {}

    /// Whether it is known of every [`Driver::send_now`] what became of it. Not so only when the
    /// kernel lacked memory and took a part of what was queued; the next [`Driver::enter`] goes on.
    fn is_settled(&self) -> bool;

    /// What came, if the next event is that bytes came on a receive that stays armed. Most events
    /// are, so a driver may hand them out here faster than as an [`Event`].
    fn next_data(&mut self) -> Option<Data> {
        None
    }

    /// The next event, or `None` when all that the last [`Driver::enter`] brought are handed out.
    fn next_event(&mut self) -> Option<Event>;

    /// The work since the last call, in units of [`Work`](crate::base::Work): what a transport has
    /// decrypted and encrypted. Calls into the kernel are not counted.
    fn take_work(&mut self) -> u64 {
        0
    }

    /// A vector that a complete [`Driver::send_now`] left behind, for reuse; not cleared.
    fn take_recycled(&mut self) -> Option<Vec<u8>>;

    /// Counters.
    fn stats(&self) -> DriverStats;
}
