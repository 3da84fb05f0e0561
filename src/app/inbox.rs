//! What other threads ask of a core: a bounded channel that wakes the core.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::decided::Decided;
use crate::base::ConnectionId;
use crate::config::Config;
use crate::mesh::SleepFlag;
use crate::protocol::websocket::CloseCode;
use crate::pubsub::{Payload, Topic};

/// The most commands that may wait for a core.
pub(super) const MAX_WAITING: usize = 1024;

/// What another thread asks of a core.
#[derive(Debug)]
pub(crate) enum Command {
    /// Publish a message.
    Publish { topic: Topic, payload: Payload, retain: bool },
    /// Send a message to one connection.
    Send { to: ConnectionId, payload: Payload },
    /// Close a connection.
    Close { to: ConnectionId, code: CloseCode, reason: Box<str> },
}

impl Command {
    /// The bytes that it counts for.
    fn bytes(&self) -> usize {
        match self {
            Self::Publish { payload, .. } | Self::Send { payload, .. } => payload.len(),
            Self::Close { .. } => 0,
        }
    }
}

/// The commands in an inbox, and those about to be added.
#[derive(Debug)]
struct Waiting {
    commands: AtomicUsize,
    bytes: AtomicUsize,
    max_bytes: usize,
}

impl Waiting {
    /// Counts a command before it is added, so that a core that looks at the count before it sleeps
    /// misses none.
    fn enter(&self, bytes: usize) -> Result<(), PushError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if bytes > 0 && before > 0 && before.saturating_add(bytes) > self.max_bytes {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(PushError::Full);
        }
        self.commands.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn leave(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.commands.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Why a command was not added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum PushError {
    /// Too many commands wait, or too many bytes.
    Full,
    /// The core has stopped.
    Stopped,
}

/// The sending end of a core's inbox.
pub(super) struct CoreSender {
    sender: SyncSender<Command>,
    waiting: Arc<Waiting>,
    sleep_flag: SleepFlag,
    wake: Arc<dyn Fn() + Send + Sync>,
    pub(super) max_topic: usize,
    pub(super) max_message: usize,
}

impl fmt::Debug for CoreSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreSender").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl CoreSender {
    /// Adds a command, and wakes the core if it sleeps. Never blocks.
    pub(super) fn push(&self, command: Command) -> Result<(), PushError> {
        let bytes = command.bytes();
        self.waiting.enter(bytes)?;
        let result = self.sender.try_send(command);
        if let Err(error) = result {
            self.waiting.leave(bytes);
            return Err(match error {
                TrySendError::Full(_) => PushError::Full,
                TrySendError::Disconnected(_) => PushError::Stopped,
            });
        }
        if self.sleep_flag.needs_wake() {
            (self.wake)();
        }
        Ok(())
    }
}

/// The receiving end, for the core itself.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<Command>,
    waiting: Arc<Waiting>,
    sender: Arc<CoreSender>,
    decided: Arc<Decided>,
}

impl Inbox {
    /// An inbox for the core that `sleep_flag` belongs to and that `wake` wakes.
    pub(super) fn new(
        config: &Config,
        sleep_flag: SleepFlag,
        wake: Arc<dyn Fn() + Send + Sync>,
    ) -> Self {
        let decided = Arc::new(Decided::new(sleep_flag.clone(), Arc::clone(&wake)));
        let (sender, receiver) = sync_channel(MAX_WAITING);
        let waiting = Arc::new(Waiting {
            commands: AtomicUsize::new(0),
            bytes: AtomicUsize::new(0),
            max_bytes: config.pubsub.backlog,
        });
        let sender = Arc::new(CoreSender {
            sender,
            waiting: Arc::clone(&waiting),
            sleep_flag,
            wake,
            max_topic: config.pubsub.max_topic,
            max_message: config.limits.max_message,
        });
        Self { receiver, waiting, sender, decided }
    }

    pub(super) const fn sender(&self) -> &Arc<CoreSender> {
        &self.sender
    }

    /// The handshakes that other threads have decided about.
    pub(crate) const fn decided(&self) -> &Arc<Decided> {
        &self.decided
    }

    pub(crate) fn take(&self) -> Option<Command> {
        let command = self.receiver.try_recv().ok()?;
        self.waiting.leave(command.bytes());
        Some(command)
    }

    /// Whether no command waits or is about to be added. A core that calls this after it has
    /// declared its sleep misses none.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.commands.load(Ordering::Relaxed) == 0
    }
}
