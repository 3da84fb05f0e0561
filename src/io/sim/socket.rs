//! One simulated TCP connection: what is on its way, what has arrived, and how it ended.

use std::collections::VecDeque;

use super::client::ServerEnd;
use crate::base::SendProgress;
use crate::io::Errno;

/// The bytes that a client advertises to take before it reads.
const RECEIVE_BUFFER: u64 = 64 << 10;

/// Both ends of a connection and the network between them.
#[derive(Debug)]
pub(super) struct Socket {
    pub(super) listener: usize,
    /// Accepted by the server.
    pub(super) accepted: bool,
    /// Closed by the server.
    pub(super) closed: bool,
    /// The server's end has met an RST or a fault: nothing moves any more.
    pub(super) broken: bool,
    /// The error of the broken connection, until the first operation has reported it.
    pub(super) error: Option<Errno>,
    /// Broken or dropped by a fault of the simulation, not by what either side did.
    pub(super) faulted: bool,

    /// Written by the client, not arrived yet.
    pub(super) to_server: VecDeque<u8>,
    /// The client has half closed.
    pub(super) client_fin: bool,
    /// The client's FIN has arrived at the server.
    pub(super) client_fin_arrived: bool,
    /// Arrived, not received by the server.
    pub(super) inbound: VecDeque<u8>,
    pub(super) inbound_capacity: usize,
    /// A move from the client to the server is scheduled.
    pub(super) moving_in: bool,

    /// Sent by the server, not arrived yet.
    pub(super) outbound: VecDeque<u8>,
    pub(super) outbound_capacity: usize,
    /// The server has half closed, or closed.
    pub(super) server_fin: bool,
    /// A move from the server to the client is scheduled.
    pub(super) moving_out: bool,
    /// Arrived at the client, not read.
    pub(super) arrived: VecDeque<u8>,
    pub(super) window: usize,
    /// Bytes that have arrived at the client, and those of them that it has read.
    pub(super) acked: u64,
    pub(super) read: u64,
    /// What has arrived at the client after the last byte.
    pub(super) end: Option<ServerEnd>,
}

impl Socket {
    pub(super) fn new(listener: usize, inbound_capacity: usize, outbound_capacity: usize) -> Self {
        Self {
            listener,
            accepted: false,
            closed: false,
            broken: false,
            error: None,
            faulted: false,
            to_server: VecDeque::new(),
            client_fin: false,
            client_fin_arrived: false,
            inbound: VecDeque::new(),
            inbound_capacity,
            moving_in: false,
            outbound: VecDeque::new(),
            outbound_capacity,
            server_fin: false,
            moving_out: false,
            arrived: VecDeque::new(),
            window: usize::MAX,
            acked: 0,
            read: 0,
            end: None,
        }
    }

    /// Whether a receive of the server would return at once.
    pub(super) fn is_readable(&self) -> bool {
        !self.inbound.is_empty() || self.client_fin_arrived || self.broken
    }

    /// How far the client is. The edge of its window moves by what it reads, whatever the size of
    /// the window.
    pub(super) fn progress(&self) -> Option<SendProgress> {
        (!self.broken).then(|| SendProgress {
            written: self.acked + self.outbound.len() as u64,
            acked: self.acked,
            received: 0,
            window_edge: self.read + RECEIVE_BUFFER,
            in_flight: !self.outbound.is_empty() && self.arrived.len() < self.window,
            since_ack_ms: 0,
            unread: u32::try_from(self.inbound.len()).unwrap_or(u32::MAX),
        })
    }

    /// Whether a send of the server would return at once; `late`, whether one that waits is
    /// notified that it would, which in Linux takes a third of the send buffer to be free.
    pub(super) fn is_writable(&self, late: bool) -> bool {
        let full = if late { self.outbound_capacity / 3 * 2 + 1 } else { self.outbound_capacity };
        self.broken || self.server_fin || self.outbound.len() < full
    }

    /// The server's end breaks with `error`, which the next operation reports.
    pub(super) fn break_server_side(&mut self, error: Option<Errno>) {
        self.broken = true;
        self.error = error;
        self.to_server.clear();
        self.outbound.clear();
    }

    /// Takes what fits of `bytes` into the send buffer.
    pub(super) fn send(&mut self, bytes: &[u8]) -> Result<usize, Errno> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        if self.broken || self.server_fin {
            return Err(Errno::PIPE);
        }
        let room = self.outbound_capacity.saturating_sub(self.outbound.len());
        let sent = room.min(bytes.len());
        self.outbound.extend(&bytes[..sent]);
        Ok(sent)
    }
}

/// Moves the first `count` bytes of `from` to the end of `to`.
pub(super) fn move_bytes(from: &mut VecDeque<u8>, to: &mut VecDeque<u8>, count: usize) {
    let (front, back) = from.as_slices();
    let of_front = count.min(front.len());
    to.extend(&front[..of_front]);
    to.extend(&back[..count - of_front]);
    from.drain(..count);
}
