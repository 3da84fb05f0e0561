//! Publishing from a program, on any thread.

use std::sync::Arc;

use super::error::PublishError;
use super::inbox::{Command, CoreSender, Inbox, PushError};
use crate::config::Config;
use crate::mesh::SleepFlag;
use crate::pubsub::{Payload, Topic};

/// Publishes to the topics of a server. The messages of a publisher and its clones keep their order
/// within each topic.
#[derive(Clone, Debug)]
pub struct Publisher {
    core: Arc<CoreSender>,
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
        let topic = Topic::new(topic, self.core.max_topic)?;
        if payload.len() > self.core.max_message {
            return Err(PublishError::TooLarge);
        }
        self.core.push(Command::Publish { topic, payload, retain }).map_err(|error| match error {
            PushError::Full => PublishError::Full,
            PushError::Stopped => PublishError::Stopped,
        })
    }
}

/// An inbox for the core that `sleep_flag` belongs to and that `wake` wakes, and its publisher.
#[must_use]
pub fn inbox(
    config: &Config,
    sleep_flag: SleepFlag,
    wake: Arc<dyn Fn() + Send + Sync>,
) -> (Publisher, Inbox) {
    let inbox = Inbox::new(config, sleep_flag, wake);
    (Publisher { core: Arc::clone(inbox.sender()) }, inbox)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::super::inbox::MAX_WAITING;
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
            assert!(inbox.has_publications() && inbox.take_publication().is_some());
            // Nothing is left that would keep the core awake, or the next message out.
            assert!(!inbox.has_publications() && inbox.take_publication().is_none());
        }
        for _ in 0..3 {
            let taken = (0..2 * MAX_WAITING).take_while(|_| publish(0).is_ok()).count();
            assert_eq!(taken, MAX_WAITING);
            assert!((0..taken).all(|_| inbox.take_publication().is_some()));
            assert!(!inbox.has_publications() && inbox.take_publication().is_none());
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
