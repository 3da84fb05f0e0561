//! Large messages whose subscribers are found, while they are encoded.
//!
//! That goes on over several turns, one message after the other. Meanwhile other topics go on, and
//! subscriptions begin and end, since it is settled who is sent the message. What is published to
//! the same topic waits behind it, so that the order is kept.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::message::Message;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{Batch, BatchBuilder, Retain};
use crate::pubsub::delivery::large::Large;
use crate::pubsub::index::{Lists, Recipients};
use crate::pubsub::name::{Filter, Topic};

/// The messages that are encoded, in the order in which they were accepted.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    queue: VecDeque<Job>,
    topics: HashMap<Topic, Held>,
    /// The bytes of all of them but the first.
    behind: usize,
    /// The number and the bytes of the batches of other cores.
    batches: usize,
    batch_bytes: usize,
    done: u64,
}

/// The messages of one topic.
#[derive(Debug, Default)]
struct Held {
    count: usize,
    /// The number of the last.
    last: u64,
}

/// What is encoded and can be delivered.
pub(super) enum Encoded {
    Draft(BatchBuilder),
    /// A batch of another core, and its subscribers here.
    Batch(Arc<Batch>, Lists),
}

#[derive(Debug)]
struct Job {
    message: Message,
    retain: Option<Retain>,
    large: Large,
    /// A batch of another core, to which the message is added in the forms that are encoded.
    batch: Option<Arc<Batch>>,
}

impl Job {
    /// The bytes that it holds before it is begun.
    fn len(&self) -> usize {
        self.message.len() + self.large.len() + self.batch_len() + size_of::<Self>()
    }

    fn batch_len(&self) -> usize {
        self.batch.as_ref().map_or(0, |batch| batch.len())
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

    /// Whether a batch of another core to `topic` has to wait, behind an earlier one.
    pub(super) fn holds_batch(&self, topic: &Topic) -> bool {
        self.batches > 0 && self.topics.contains_key(topic)
    }

    /// The bytes of the batches of other cores.
    pub(super) const fn batch_bytes(&self) -> usize {
        self.batch_bytes
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
        let large = Large::new(recipients, version);
        self.push_job(Job { message, retain, large, batch: None });
    }

    /// Adds a batch of another core that is for these recipients. Its retained value is encoded
    /// in the forms that are `recipients.local`.
    pub(super) fn push_batch(&mut self, batch: Arc<Batch>, recipients: Recipients) {
        self.batches += 1;
        self.batch_bytes += batch.len();
        let message = Message::new(&batch.value());
        let large = Large::new(recipients, 0);
        self.push_job(Job { message, retain: None, large, batch: Some(batch) });
    }

    fn push_job(&mut self, job: Job) {
        let message = &job.message;
        let last = self.done + self.queue.len() as u64 + 1;
        let held = self.topics.entry(message.topic().clone()).or_default();
        *held = Held { count: held.count + 1, last };
        if !self.queue.is_empty() {
            self.behind += job.len();
        }
        self.queue.push_back(job);
    }

    /// Goes on, with `left` work at most. Returns the next message that is done.
    pub(super) fn step(&mut self, left: &mut u64, pool: &mut Pool) -> Option<Encoded> {
        let job = self.queue.front_mut()?;
        let publication = job.message.publication();
        while !job.large.is_done() {
            if *left == 0 {
                return None;
            }
            *left = left.saturating_sub(job.large.step(&publication, pool));
        }
        let Job { message, retain, large, batch } = self.queue.pop_front()?;
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
        let Some(batch) = batch else {
            return Some(Encoded::Draft(large.finish(&message.publication(), retain)));
        };
        self.batches -= 1;
        self.batch_bytes -= batch.len();
        let (batch, lists) = large.complete(batch);
        Some(Encoded::Batch(batch, lists))
    }
}
