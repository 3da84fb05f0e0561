//! The operations of the simulated kernel, and how far each one is.

use std::time::Duration;

use super::client::ClientId;
use crate::base::{Chunk, ConnectionId};
use crate::io::{Accepts, Payload};

/// An operation that the worker asked for and [`enter`](crate::io::Driver::enter) will submit.
#[derive(Debug)]
pub(super) enum Submission {
    Accept {
        listener: usize,
        kind: Accepts,
    },
    CancelAccept(usize),
    /// On all listeners but those for which it says true.
    StopAccepting(Vec<bool>),
    Receive {
        id: ConnectionId,
        poll_first: bool,
        once: bool,
    },
    CancelReceive(ConnectionId),
    SendNow {
        id: ConnectionId,
        payload: Payload,
    },
    SendQueued {
        id: ConnectionId,
        chunk: Chunk,
        max: usize,
    },
    CancelSend(ConnectionId),
    QueryProgress(ConnectionId),
    HalfClose(ConnectionId),
    Close(ConnectionId),
    Retire(ConnectionId),
}

/// How far an operation is, from the worker's first call to the event that ends it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Stage {
    /// Not asked for, or its last event has been handed out.
    #[default]
    Idle,
    /// Asked for, to be submitted by the next `enter`.
    Queued,
    /// In the kernel.
    Held,
    /// Ended; its last event waits to be handed out.
    Ended,
}

/// The receive of a connection.
#[derive(Debug, Default)]
pub(super) struct Receive {
    pub(super) stage: Stage,
    /// Has waited for readiness, or will: so a lack of buffers shows only when data is there.
    pub(super) waits: bool,
    /// Ends with the first bytes it brings.
    pub(super) once: bool,
    /// When the cancel takes effect.
    pub(super) cancel_at: Option<Duration>,
    /// Has brought data since it was armed.
    pub(super) has_brought: bool,
    /// Has missed the end.
    pub(super) is_deaf: bool,
}

/// The queued send of a connection.
#[derive(Debug, Default)]
pub(super) struct Send {
    pub(super) stage: Stage,
    pub(super) chunk: Option<Chunk>,
    /// How many bytes are to be sent.
    pub(super) goal: usize,
    pub(super) sent: usize,
    /// Has been tried, and waits until the socket notifies of room.
    pub(super) waits: bool,
    pub(super) cancel_at: Option<Duration>,
}

/// The half close of a connection.
#[derive(Debug, Default)]
pub(super) struct HalfClose {
    pub(super) stage: Stage,
    /// When it takes effect.
    pub(super) at: Duration,
}

/// One place in the table of connections.
#[derive(Debug, Default)]
pub(super) struct Slot {
    pub(super) client: Option<ClientId>,
    /// The generation of the connection, as its first operation named it.
    pub(super) generation: Option<u32>,
    /// The generation of the connection before this one.
    pub(super) generation_before: Option<u32>,
    /// Taken, although its connection is closed.
    pub(super) retired: bool,
    /// A close is queued.
    pub(super) closing: bool,
    pub(super) receive: Receive,
    /// Queued until the next `enter`, and ended until its `ShortSend`, if any, is handed out.
    pub(super) send_now: Stage,
    pub(super) send: Send,
    pub(super) half_close: HalfClose,
}

impl Slot {
    /// Whether an accept may take it.
    pub(super) fn is_free(&self) -> bool {
        self.client.is_none() && !self.retired
    }

    /// The name of an operation that is under way, if there is one.
    pub(super) fn under_way(&self) -> Option<&'static str> {
        let stages = [
            ("receive", self.receive.stage),
            ("send_now", self.send_now),
            ("send_queued", self.send.stage),
            ("half_close", self.half_close.stage),
        ];
        stages.into_iter().find(|(_, stage)| *stage != Stage::Idle).map(|(name, _)| name)
    }
}

/// The accept of a listener.
#[derive(Debug, Default)]
pub(super) struct Listener {
    pub(super) stage: Stage,
    /// How the accept was armed.
    pub(super) kind: Option<Accepts>,
    /// When the armed accept learns that the worker stopped accepting.
    pub(super) stop_at: Option<Duration>,
    /// When the armed accept learns that it is cancelled.
    pub(super) cancel_at: Option<Duration>,
}
