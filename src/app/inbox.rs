//! What other threads ask of a core: two bounded channels that wake the core. What is to be
//! published has one of its own, so that what is for one connection does not wait for room in the
//! broker.

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

/// The most commands that may wait in each channel.
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
    /// Whether it is to be published, so that it may have to wait for room.
    const fn is_publication(&self) -> bool {
        matches!(self, Self::Publish { .. })
    }

    /// The bytes that it counts for.
    fn bytes(&self) -> usize {
        match self {
            Self::Publish { payload, .. } | Self::Send { payload, .. } => payload.len(),
            Self::Close { .. } => 0,
        }
    }
}

/// The commands in a channel, and those about to be added.
#[derive(Debug)]
struct Waiting {
    commands: AtomicUsize,
    bytes: AtomicUsize,
    max_bytes: usize,
}

impl Waiting {
    fn new(max_bytes: usize) -> Arc<Self> {
        Arc::new(Self { commands: AtomicUsize::new(0), bytes: AtomicUsize::new(0), max_bytes })
    }

    fn is_empty(&self) -> bool {
        self.commands.load(Ordering::Relaxed) == 0
    }

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

/// The sending end of a channel.
#[derive(Debug)]
struct Sending {
    sender: SyncSender<Command>,
    waiting: Arc<Waiting>,
}

/// The receiving end of a channel.
#[derive(Debug)]
struct Receiving {
    receiver: Receiver<Command>,
    waiting: Arc<Waiting>,
}

impl Receiving {
    fn take(&self) -> Option<Command> {
        let command = self.receiver.try_recv().ok()?;
        self.waiting.leave(command.bytes());
        Some(command)
    }
}

fn channel(max_bytes: usize) -> (Sending, Receiving) {
    let (sender, receiver) = sync_channel(MAX_WAITING);
    let waiting = Waiting::new(max_bytes);
    (Sending { sender, waiting: Arc::clone(&waiting) }, Receiving { receiver, waiting })
}

/// The sending end of a core's inbox.
pub(super) struct CoreSender {
    publications: Sending,
    others: Sending,
    sleep_flag: SleepFlag,
    wake: Arc<dyn Fn() + Send + Sync>,
    pub(super) max_topic: usize,
    pub(super) max_message: usize,
}

impl fmt::Debug for CoreSender {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreSender").field("others", &self.others).finish_non_exhaustive()
    }
}

impl CoreSender {
    /// Adds a command, and wakes the core if it sleeps. Never blocks.
    pub(super) fn push(&self, command: Command) -> Result<(), PushError> {
        let Sending { sender, waiting } =
            if command.is_publication() { &self.publications } else { &self.others };
        let bytes = command.bytes();
        waiting.enter(bytes)?;
        if let Err(error) = sender.try_send(command) {
            waiting.leave(bytes);
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
    publications: Receiving,
    others: Receiving,
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
        let (sent_publications, publications) = channel(config.pubsub.backlog);
        let (sent_others, others) = channel(config.pubsub.backlog);
        let sender = Arc::new(CoreSender {
            publications: sent_publications,
            others: sent_others,
            sleep_flag,
            wake,
            max_topic: config.pubsub.max_topic,
            max_message: config.limits.max_message,
        });
        Self { publications, others, sender, decided }
    }

    pub(super) const fn sender(&self) -> &Arc<CoreSender> {
        &self.sender
    }

    /// The handshakes that other threads have decided about.
    pub(crate) const fn decided(&self) -> &Arc<Decided> {
        &self.decided
    }

    /// The next message to be published.
    pub(crate) fn take_publication(&self) -> Option<Command> {
        self.publications.take()
    }

    /// The next command for one connection.
    pub(crate) fn take_other(&self) -> Option<Command> {
        self.others.take()
    }

    /// Whether messages to be published wait or are about to be added. A core that calls this after
    /// it has declared its sleep misses none.
    pub(crate) fn has_publications(&self) -> bool {
        !self.publications.waiting.is_empty()
    }

    /// The same for commands for one connection.
    pub(crate) fn has_others(&self) -> bool {
        !self.others.waiting.is_empty()
    }
}
