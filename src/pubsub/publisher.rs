//! Publishing from a program, on any thread.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};

use super::name::{NameError, Topic};
use super::publication::Payload;
use crate::mesh::SleepFlag;

/// The most messages that may wait for a core.
const MAX_WAITING: usize = 1024;

/// Publishes to the topics of a server. The messages of a publisher and its clones keep one order.
#[derive(Clone)]
pub struct Publisher {
    sender: SyncSender<QueuedPublish>,
    waiting: Arc<Waiting>,
    sleep_flag: SleepFlag,
    wake: Arc<dyn Fn() + Send + Sync>,
    max_topic: usize,
    max_message: usize,
}

/// A message that waits for a core.
#[derive(Debug)]
pub(crate) struct QueuedPublish {
    pub(crate) topic: Topic,
    pub(crate) payload: Payload,
    pub(crate) retain: bool,
}

/// The messages in an inbox, and those about to be added.
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
    /// The inbox of the core is full: try again later.
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
            Self::Full => f.write_str("too many messages wait to be published; try again later"),
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
    /// Publishes a message to all subscribers of `topic`. Never blocks. Messages of one publisher
    /// to one topic arrive in the order of the calls.
    ///
    /// # Errors
    /// If the message was not published. After [`PublishError::Full`] the caller may try again.
    pub fn publish(&self, topic: &str, payload: Payload) -> Result<(), PublishError> {
        self.enqueue(topic, payload, false)
    }

    /// Publishes a message as [`publish`](Self::publish) does, and retains it: later subscribers
    /// are sent it, until another message is retained for the topic. An empty payload clears the
    /// retained message. If [`PubSub::max_retained`](crate::config::PubSub::max_retained) or
    /// [`PubSub::max_retained_bytes`](crate::config::PubSub::max_retained_bytes) is reached, the
    /// message is published and not retained.
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
                if self.sleep_flag.needs_wake() {
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
    /// Counts a message before it is added, so that a core that looks at the count before it sleeps
    /// misses none.
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

/// The receiving end of the publishers of a core.
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

    /// Whether no message waits or is about to be added. A core that calls this after it has
    /// declared its sleep misses none.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.messages.load(Ordering::Relaxed) == 0
    }
}

/// An inbox for the core that `sleep_flag` belongs to and that `wake` wakes, and its publisher.
#[must_use]
pub fn inbox(
    config: &crate::config::Config,
    sleep_flag: SleepFlag,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> (Publisher, Inbox) {
    let (sender, receiver) = sync_channel(MAX_WAITING);
    let waiting = Arc::new(Waiting {
        messages: AtomicUsize::new(0),
        bytes: AtomicUsize::new(0),
        max_bytes: config.pubsub.backlog,
    });
    let publisher = Publisher {
        sender,
        waiting: Arc::clone(&waiting),
        sleep_flag,
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
        inbox(&config, port.sleep_flag(), Arc::new(|| {}))
    }

    #[test]
    fn a_refused_message_leaves_nothing_behind() {
        let (publisher, inbox) = ends(1_000);
        let publish = |len| publisher.publish("t", Payload::binary(vec![0; len]));
        // One message may always wait, whatever its length; the next one finds no room.
        for _ in 0..3 {
            assert_eq!((publish(5_000), publish(1)), (Ok(()), Err(PublishError::Full)));
            assert!(!inbox.is_empty() && inbox.take().is_some());
            // Nothing is left that would keep the core awake, or the next message out.
            assert!(inbox.is_empty() && inbox.take().is_none());
        }
        for _ in 0..3 {
            let taken = (0..2 * MAX_WAITING).take_while(|_| publish(0).is_ok()).count();
            assert_eq!(taken, MAX_WAITING);
            assert!((0..taken).all(|_| inbox.take().is_some()));
            assert!(inbox.is_empty() && inbox.take().is_none());
        }
        assert_eq!(
            (publish(400), publish(600), publish(1)),
            (Ok(()), Ok(()), Err(PublishError::Full))
        );
    }

    #[test]
    fn a_sleeping_core_is_woken_once() {
        let mut port = mesh::<()>(1, Limits::default()).remove(0);
        let woken = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&woken);
        let wake = Arc::new(move || assert!(!flag.swap(true, Ordering::Relaxed), "twice"));
        let (publisher, _inbox) = inbox(&Config::default(), port.sleep_flag(), wake);
        publisher.publish("t", Payload::text("1")).unwrap();
        assert!(!woken.load(Ordering::Relaxed), "it is awake");
        assert!(port.try_sleep());
        publisher.publish("t", Payload::text("2")).unwrap();
        publisher.publish("t", Payload::text("3")).unwrap();
        assert!(woken.load(Ordering::Relaxed));
    }
}
