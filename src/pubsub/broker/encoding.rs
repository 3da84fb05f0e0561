//! Large messages whose subscribers are found, while they are encoded.
//!
//! That goes on over several turns, one message after the other. Meanwhile other topics go on, and
//! subscriptions begin and end, since it is settled who is sent the message. What is published to
//! the same topic waits behind it, so that the order is kept.

use std::collections::{HashMap, VecDeque};

use super::message::Message;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{BatchBuilder, Retain};
use crate::pubsub::delivery::large::Large;
use crate::pubsub::index::Recipients;
use crate::pubsub::name::{Filter, Topic};

/// The messages that are encoded, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    queue: VecDeque<Job>,
    topics: HashMap<Topic, Held>,
    /// The bytes of all of them but the first.
    behind: usize,
    done: u64,
}

/// The messages of one topic.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// The number of the last.
    last: u64,
}

#[derive(Debug)]
struct Job {
    message: Message,
    retain: Option<Retain>,
    large: Large,
}

impl Job {
    /// The bytes that it holds before it is begun.
    fn len(&self) -> usize {
        self.message.len() + self.large.len() + size_of::<Self>()
    }
}

impl Encoding {
    pub(super) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The bytes of the messages that wait for their turn. One message may be encoded whatever its
    /// size.
    pub(super) const fn bytes(&self) -> usize {
        self.behind
    }

    /// The number of messages that are done. They are numbered from 1, and done in order.
    pub(super) const fn done(&self) -> u64 {
        self.done
    }

    /// The number of topics that it holds messages of.
    pub(super) fn topics(&self) -> usize {
        self.topics.len()
    }

    /// The number of the last message that is for subscribers of `filter`; 0 if there is none.
    pub(super) fn last_for(&self, filter: &Filter) -> u64 {
        if let Some(topic) = filter.topic() {
            return self.topics.get(&topic).map_or(0, |held| held.last);
        }
        let matching = self.topics.iter().filter(|(topic, _)| filter.matches(topic));
        matching.map(|(_, held)| held.last).max().unwrap_or(0)
    }

    /// Whether what is published to `topic` has to wait.
    #[inline]
    pub(super) fn holds(&self, topic: &Topic) -> bool {
        !self.queue.is_empty() && self.topics.contains_key(topic)
    }

    /// The clock of the first change of a retained value among them.
    pub(super) fn first_clock(&self) -> Option<u64> {
        let versions = self.queue.iter().filter_map(|job| job.retain.as_ref());
        versions.map(|retain| retain.version.clock).next()
    }

    /// Adds a message for `recipients`, found in the index of this version.
    pub(super) fn push(
        &mut self,
        message: Message,
        retain: Option<Retain>,
        recipients: Recipients,
        version: u64,
    ) {
        let last = self.done + self.queue.len() as u64 + 1;
        let held = self.topics.entry(message.topic().clone()).or_default();
        *held = Held { count: held.count + 1, last };
        let job = Job { message, retain, large: Large::new(recipients, version) };
        if !self.queue.is_empty() {
            self.behind += job.len();
        }
        self.queue.push_back(job);
    }

    /// Goes on, with `left` work at most. Returns the next message that is done.
    pub(super) fn step(&mut self, left: &mut u64, pool: &mut Pool) -> Option<BatchBuilder> {
        let job = self.queue.front_mut()?;
        let publication = job.message.publication();
        while !job.large.is_done() {
            if *left == 0 {
                return None;
            }
            *left = left.saturating_sub(job.large.step(&publication, pool));
        }
        let Job { message, retain, large } = self.queue.pop_front()?;
        self.done += 1;
        if let Some(next) = self.queue.front() {
            self.behind -= next.len();
        }
        if let Some(held) = self.topics.get_mut(message.topic()) {
            held.count -= 1;
            if held.count == 0 {
                self.topics.remove(message.topic());
            }
        }
        Some(large.finish(&message.publication(), retain))
    }
}
