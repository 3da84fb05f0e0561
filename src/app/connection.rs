//! One connection, for other threads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use super::error::SendError;
use super::inbox::{Command, CoreSender, PushError};
use crate::base::ConnectionId;
use crate::protocol::websocket::CloseCode;
use crate::pubsub::Payload;

const OPEN: u8 = 0;
const FULL: u8 = 1;
const GONE: u8 = 2;

/// What the core of a connection tells its handles.
#[derive(Debug, Default)]
pub(super) struct Reach(AtomicU8);

impl Reach {
    pub(super) fn set_full(&self) {
        self.change(OPEN, FULL);
    }

    pub(super) fn set_open(&self) {
        self.change(FULL, OPEN);
    }

    /// Only its core changes it. A connection that is gone stays so.
    fn change(&self, from: u8, to: u8) {
        if self.0.load(Ordering::Relaxed) == from {
            self.0.store(to, Ordering::Relaxed);
        }
    }

    pub(super) fn set_gone(&self) {
        self.0.store(GONE, Ordering::Relaxed);
    }
}

/// Sends to one connection of the application, from any thread. Never blocks. It keeps neither the
/// connection nor the server alive.
#[derive(Clone, Debug)]
pub struct ConnectionHandle {
    id: ConnectionId,
    reach: Arc<Reach>,
    core: Arc<CoreSender>,
}

impl ConnectionHandle {
    pub(super) const fn new(id: ConnectionId, reach: Arc<Reach>, core: Arc<CoreSender>) -> Self {
        Self { id, reach, core }
    }

    /// The id of the connection on its core.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// Whether the connection was not known to have ended a moment ago.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.reach.0.load(Ordering::Relaxed) != GONE
    }

    /// Sends a message. `Ok` says that it is queued on the core of the connection; the messages of
    /// all handles of one connection are sent in the order in which they were queued.
    ///
    /// # Errors
    /// [`SendError::Full`] if too much waits for the core, or the peer did not read what was sent
    /// to it before. What the core finds to be too much for the peer when it takes the message is
    /// dropped, counted, and reported to later calls. The other errors are final.
    pub fn send(&self, payload: Payload) -> Result<(), SendError> {
        if payload.len() > self.core.max_message {
            return Err(SendError::TooLarge);
        }
        match self.reach.0.load(Ordering::Relaxed) {
            GONE => Err(SendError::Gone),
            FULL => Err(SendError::Full),
            _ => self.push(Command::Send { to: self.id, payload }),
        }
    }

    /// Sends a close frame, behind what was sent before, and waits for the peer's. `code` should be
    /// one that may be sent (RFC 6455 section 7.4); `reason` is cut to 123 bytes.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn close(&self, code: CloseCode, reason: &str) -> Result<(), SendError> {
        if !self.is_open() {
            return Err(SendError::Gone);
        }
        let reason = reason[..reason.floor_char_boundary(123)].into();
        self.push(Command::Close { to: self.id, code, reason })
    }

    fn push(&self, command: Command) -> Result<(), SendError> {
        self.core.push(command).map_err(|error| match error {
            PushError::Full => SendError::Full,
            PushError::Stopped => SendError::Stopped,
        })
    }
}
