//! Publishing from a program, on any thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::name::{NameError, Topic};
use super::publication::Payload;
use crate::mesh::Sleeper;

/// Messages that may wait for a core.
const MOST_WAITING: usize = 1024;

/// Publishes to a server's topics. Clones publish in one order with it.
#[derive(Clone)]
pub struct Publisher {
    sender: SyncSender<QueuedPublish>,
    waiting: Arc<Waiting>,
    sleeper: Sleeper,
    wake: Arc<dyn Fn() + Send + Sync>,
    max_topic: usize,
    max_message: usize,
}

/// What a publisher has left for a core.
#[derive(Debug)]
pub(crate) struct QueuedPublish {
    pub(crate) topic: Topic,
    pub(crate) payload: Payload,
    pub(crate) retain: bool,
}

/// What waits in an inbox, or is about to.
#[derive(Debug)]
struct Waiting {
    messages: AtomicUsize,
    bytes: AtomicUsize,
    max_bytes: usize,
}

/// Why a message was not published.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublishError {
    /// So much waits to be passed on that there is no room: try again later.
    Full,
    /// The server has stopped.
    Stopped,
    /// The message is longer than [`Limits::max_message`](crate::config::Limits::max_message).
    TooLarge,
    /// The topic cannot be published to.
    Topic(NameError),
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("too much waits to be published; try again later"),
            Self::Stopped => f.write_str("the server has stopped"),
            Self::TooLarge => f.write_str("the message is longer than the server allows"),
            Self::Topic(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PublishError {}

impl From<NameError> for PublishError {
    fn from(error: NameError) -> Self {
        Self::Topic(error)
    }
}

impl fmt::Debug for Publisher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Publisher").field("waiting", &self.waiting).finish_non_exhaustive()
    }
}

impl Publisher {
    /// Publishes a message to everyone who subscribes to `topic`. Returns at once; messages of one
    /// publisher to one topic arrive in the order of the calls.
    ///
    /// # Errors
    /// If nothing was published. [`PublishError::Full`] passes by itself.
    pub fn publish(&self, topic: &str, payload: Payload) -> Result<(), PublishError> {
        self.enqueue(topic, payload, false)
    }

    /// The same, and keeps the message to be given to those who subscribe later, until another one
    /// is retained for the topic. An empty payload clears what is kept. Without effect on what is
    /// kept, but published, if [`PubSub::max_retained`](crate::config::PubSub::max_retained) or
    /// [`PubSub::max_retained_bytes`](crate::config::PubSub::max_retained_bytes) is reached.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub fn retain(&self, topic: &str, payload: Payload) -> Result<(), PublishError> {
        self.enqueue(topic, payload, true)
    }

    fn enqueue(&self, topic: &str, payload: Payload, retain: bool) -> Result<(), PublishError> {
        let topic = Topic::new(topic, self.max_topic)?;
        if payload.len() > self.max_message {
            return Err(PublishError::TooLarge);
        }
        let bytes = payload.len();
        self.waiting.enter(bytes)?;
        match self.sender.try_send(QueuedPublish { topic, payload, retain }) {
            Ok(()) => {
                if self.sleeper.must_ring() {
                    (self.wake)();
                }
                Ok(())
            }
            Err(error) => {
                self.waiting.leave(bytes);
                Err(match error {
                    TrySendError::Full(_) => PublishError::Full,
                    TrySendError::Disconnected(_) => PublishError::Stopped,
                })
            }
        }
    }
}

impl Waiting {
    /// Counts a message in before it is sent, so that a core which looks at the count before it
    /// sleeps overlooks none.
    fn enter(&self, bytes: usize) -> Result<(), PublishError> {
        let before = self.bytes.fetch_add(bytes, Ordering::Relaxed);
        if before > 0 && before.saturating_add(bytes) > self.max_bytes {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(PublishError::Full);
        }
        self.messages.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    fn leave(&self, bytes: usize) {
        self.bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.messages.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Where a core finds what publishers have left for it.
#[derive(Debug)]
pub struct Inbox {
    receiver: Receiver<QueuedPublish>,
    waiting: Arc<Waiting>,
}

impl Inbox {
    pub(crate) fn take(&self) -> Option<QueuedPublish> {
        let queued = self.receiver.try_recv().ok()?;
        self.waiting.leave(queued.payload.len());
        Some(queued)
    }

    /// Whether something waits or is about to. After a core has announced its sleep, nothing that
    /// was published before is overlooked.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.messages.load(Ordering::Relaxed) == 0
    }
}

/// An inbox for the core that `sleeper` belongs to and `wake` wakes, and the publisher for it.
#[must_use]
pub fn inbox(
    config: &crate::config::Config,
    sleeper: Sleeper,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> (Publisher, Inbox) {
    let (sender, receiver) = sync_channel(MOST_WAITING);
    let waiting = Arc::new(Waiting {
        messages: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        max_bytes: config.pubsub.backlog,
    });
    let publisher = Publisher {
        sender,
        waiting: Arc::clone(&waiting),
        sleeper,
        wake,
        max_topic: config.pubsub.max_topic,
        max_message: config.limits.max_message,
    };
    (publisher, Inbox { receiver, waiting })
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;

    use super::*;
    use crate::config::Config;
    use crate::mesh::{Limits, mesh};

    fn ends(backlog: usize) -> (Publisher, Inbox) {
        let mut config = Config::default();
        config.pubsub.backlog = backlog;
        let port = mesh::<()>(1, Limits::default()).remove(0);
        inbox(&config, port.sleeper(), Arc::new(|| {}))
    }

    #[test]
    fn what_is_refused_leaves_nothing_behind() {
        let (publisher, inbox) = ends(1_000);
        let publish = |len| publisher.publish("t", Payload::binary(vec![0; len]));
        // One may always wait, however long it is; the next one finds no room.
        for _ in 0..3 {
            assert_eq!((publish(5_000), publish(1)), (Ok(()), Err(PublishError::Full)));
            assert!(!inbox.is_empty() && inbox.take().is_some());
            // Nothing that would keep the core awake, or the next one out.
            assert!(inbox.is_empty() && inbox.take().is_none());
        }
        for _ in 0..3 {
            let taken = (0..2 * MOST_WAITING).take_while(|_| publish(0).is_ok()).count();
            assert_eq!(taken, MOST_WAITING);
            assert!((0..taken).all(|_| inbox.take().is_some()));
            assert!(inbox.is_empty() && inbox.take().is_none());
        }
        assert_eq!(
            (publish(400), publish(600), publish(1)),
            (Ok(()), Ok(()), Err(PublishError::Full))
        );
    }

    #[test]
    fn who_sleeps_is_woken_once() {
        let mut port = mesh::<()>(1, Limits::default()).remove(0);
        let rung = Arc::new(AtomicBool::new(false));
        let bell = Arc::clone(&rung);
        let wake = Arc::new(move || assert!(!bell.swap(true, Ordering::Relaxed), "twice"));
        let (publisher, _inbox) = inbox(&Config::default(), port.sleeper(), wake);
        publisher.publish("t", Payload::text("1")).unwrap();
        assert!(!rung.load(Ordering::Relaxed), "it is awake");
        assert!(port.try_sleep());
        publisher.publish("t", Payload::text("2")).unwrap();
        publisher.publish("t", Payload::text("3")).unwrap();
        assert!(rung.load(Ordering::Relaxed));
    }
}
