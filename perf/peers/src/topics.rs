//! The members of topics, for libraries without publish and subscribe.
//!
//! A message is passed to each subscriber through a channel, as one more reference to its bytes.
//! All of it runs on one thread, so the locks are never contended: they are there because tokio
//! requires futures that can be sent to another thread.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The purpose of a connection, by its path.
#[derive(Debug, PartialEq, Eq)]
pub enum Place<'a> {
    /// Every message comes back.
    Echo,
    /// Every message is delivered to the other subscribers of the topic.
    Topic { name: &'a str, subscribes: bool },
}

impl<'a> Place<'a> {
    /// Reads the target of a request, such as `/topics/news?role=sub`.
    #[must_use]
    pub fn of(target: &'a str) -> Self {
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        match path.strip_prefix("/topics/") {
            Some(name) => {
                Self::Topic { name, subscribes: query.split('&').any(|part| part == "role=sub") }
            }
            None => Self::Echo,
        }
    }
}

/// All topics of a server; `M` is a message as the library sends it, cheap to clone.
#[derive(Debug)]
pub struct Topics<M> {
    by_name: Mutex<Option<HashMap<String, Arc<Topic<M>>>>>,
}

#[derive(Debug)]
struct Topic<M> {
    subscribers: Mutex<Vec<Subscriber<M>>>,
}

#[derive(Debug)]
struct Subscriber<M> {
    id: u64,
    inbox: UnboundedSender<M>,
}

/// The membership of a connection in a topic; it ends when dropped.
#[derive(Debug)]
pub struct Seat<M> {
    topic: Arc<Topic<M>>,
    /// 0 for a connection that only publishes.
    id: u64,
}

impl<M: Clone> Topics<M> {
    /// No topics.
    #[must_use]
    pub const fn new() -> Self {
        Self { by_name: Mutex::new(None) }
    }

    /// Joins a topic to publish.
    pub fn join(&self, name: &str) -> Seat<M> {
        let mut by_name = lock(&self.by_name);
        let topics = by_name.get_or_insert_default();
        let topic = topics
            .entry(name.to_owned())
            .or_insert_with(|| Arc::new(Topic { subscribers: Mutex::new(Vec::new()) }));
        Seat { topic: Arc::clone(topic), id: 0 }
    }

    /// Joins a topic to publish and to get the messages of others.
    pub fn subscribe(&self, name: &str) -> (Seat<M>, UnboundedSender<M>, UnboundedReceiver<M>) {
        let mut seat = self.join(name);
        let (inbox, messages) = unbounded_channel();
        let mut subscribers = lock(&seat.topic.subscribers);
        // Ids grow along the list, so the last one is the highest.
        seat.id = subscribers.last().map_or(0, |last| last.id) + 1;
        subscribers.push(Subscriber { id: seat.id, inbox: inbox.clone() });
        drop(subscribers);
        (seat, inbox, messages)
    }
}

impl<M: Clone> Default for Topics<M> {
    fn default() -> Self {
        Self::new()
    }
}

impl<M: Clone> Seat<M> {
    /// Passes a message to all other subscribers.
    pub fn publish(&self, message: &M) {
        for subscriber in lock(&self.topic.subscribers).iter() {
            if subscriber.id != self.id {
                // A subscriber that is just leaving needs no message.
                let _ = subscriber.inbox.send(message.clone());
            }
        }
    }
}

impl<M> Drop for Seat<M> {
    fn drop(&mut self) {
        if self.id == 0 {
            return;
        }
        let mut subscribers = lock(&self.topic.subscribers);
        if let Ok(at) = subscribers.binary_search_by_key(&self.id, |subscriber| subscriber.id) {
            subscribers.remove(at);
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_gives_the_purpose_of_a_connection() {
        assert_eq!(Place::of("/"), Place::Echo);
        assert_eq!(Place::of("/topics"), Place::Echo);
        let news = |subscribes| Place::Topic { name: "news", subscribes };
        assert_eq!(Place::of("/topics/news?x=1&role=sub"), news(true));
        assert_eq!(Place::of("/topics/news?role=pub"), news(false));
        assert_eq!(Place::of("/topics/news"), news(false));
    }

    #[test]
    fn messages_go_to_the_other_subscribers_of_the_topic() {
        let topics = Topics::<u32>::new();
        let (first, _, mut of_first) = topics.subscribe("a");
        let (second, _, mut of_second) = topics.subscribe("a");
        let (_elsewhere, _, mut of_elsewhere) = topics.subscribe("b");
        topics.join("a").publish(&1);
        first.publish(&2);
        assert_eq!(of_first.try_recv().ok(), Some(1));
        assert_eq!(of_first.try_recv().ok(), None);
        assert_eq!((of_second.try_recv().ok(), of_second.try_recv().ok()), (Some(1), Some(2)));
        drop(first);
        second.publish(&3);
        topics.join("a").publish(&4);
        assert_eq!(of_first.try_recv().ok(), None);
        assert_eq!(of_second.try_recv().ok(), Some(4));
        assert_eq!(of_elsewhere.try_recv().ok(), None);
    }
}
