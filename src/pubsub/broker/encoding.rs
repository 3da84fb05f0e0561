//! Large messages whose subscribers are found, while they are encoded.
//!
//! That goes on over several turns. Meanwhile other topics go on, and subscriptions begin and end,
//! since it is settled who is sent the message. What is published to the same topic waits behind
//! it, so that the order is kept.
//!
//! There are two queues, each of which gets half of the work: what is encoded within some
//! milliseconds does not wait for what takes a hundred.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use super::message::Message;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::delivery::batch::{Batch, BatchBuilder, Retain};
use crate::pubsub::delivery::large::Large;
use crate::pubsub::index::{Lists, Recipients};
use crate::pubsub::name::{Filter, Topic};

/// Messages of up to this length are in the queue of their own.
const MEDIUM: usize = 256 << 10;
/// So many of these may wait before publishers of further ones have to wait.
const MAX_MEDIUM: usize = 4;

/// One of the two queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Size {
    /// Up to [`MEDIUM`].
    Medium,
    /// Longer, or behind a longer one to the same topic.
    Long,
}

impl Size {
    const fn of(len: usize) -> Self {
        if len <= MEDIUM { Self::Medium } else { Self::Long }
    }
}

/// The messages that are encoded.
#[derive(Debug, Default)]
pub(super) struct Encoding {
    medium: Queue,
    long: Queue,
    topics: HashMap<Topic, Held>,
    /// The bytes of all of them but the first of each queue.
    behind: usize,
    /// The number and the bytes of the batches of other cores.
    batches: usize,
    batch_bytes: usize,
    /// The number of the last that was accepted.
    last: u64,
}

/// Messages in the order in which they were accepted.
#[derive(Debug, Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// The work that was done for it since both queues had messages.
    work: u64,
}

/// The messages of one topic.
#[derive(Debug, Default)]
struct Held {
    medium: usize,
    long: usize,
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
    /// All are numbered in the order in which they were accepted, from 1.
    number: u64,
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
        self.medium.jobs.is_empty() && self.long.jobs.is_empty()
    }

    /// The bytes of the messages that wait for their turn. One message of each queue may be encoded
    /// whatever its size.
    pub(super) const fn bytes(&self) -> usize {
        self.behind
    }

    /// Whether a message of which so much has come need not wait before it is accepted.
    pub(super) fn has_room_for(&self, len: usize) -> bool {
        match Size::of(len) {
            Size::Medium => self.medium.jobs.len() < MAX_MEDIUM,
            Size::Long => self.long.jobs.is_empty(),
        }
    }

    /// All messages up to this number are done.
    pub(super) fn done(&self) -> u64 {
        let first = |queue: &Queue| queue.jobs.front().map(|job| job.number);
        let first = first(&self.medium).into_iter().chain(first(&self.long)).min();
        first.map_or(self.last, |number| number - 1)
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
        !self.is_empty() && self.topics.contains_key(topic)
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
        let first = |queue: &Queue| {
            let mut versions = queue.jobs.iter().filter_map(|job| job.retain.as_ref());
            versions.next().map(|retain| retain.version.clock)
        };
        first(&self.medium).into_iter().chain(first(&self.long)).min()
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
        self.push_job(Job { number: 0, message, retain, large, batch: None });
    }

    /// Adds a batch of another core that is for these recipients. Its retained value is encoded
    /// in the forms that are `recipients.local`.
    pub(super) fn push_batch(&mut self, batch: Arc<Batch>, recipients: Recipients) {
        self.batches += 1;
        self.batch_bytes += batch.len();
        let message = Message::new(&batch.value());
        let large = Large::new(recipients, 0);
        self.push_job(Job { number: 0, message, retain: None, large, batch: Some(batch) });
    }

    fn push_job(&mut self, mut job: Job) {
        self.last += 1;
        job.number = self.last;
        let held = self.topics.entry(job.message.topic().clone()).or_default();
        held.last = self.last;
        let size = if held.long > 0 { Size::Long } else { Size::of(job.message.len()) };
        let (queue, other) = match size {
            Size::Medium => (&mut self.medium, &self.long),
            Size::Long => (&mut self.long, &self.medium),
        };
        match size {
            Size::Medium => held.medium += 1,
            Size::Long => held.long += 1,
        }
        if queue.jobs.is_empty() {
            // It has no claim to work that was done while it was empty.
            queue.work = other.work;
        } else {
            self.behind += job.len();
        }
        queue.jobs.push_back(job);
    }

    /// The queue that goes on: the one for which less was done. A long message waits for those to
    /// its topic that came before.
    fn next_size(&self) -> Option<Size> {
        let long =
            self.long.jobs.front().filter(|job| {
                self.topics.get(job.message.topic()).is_none_or(|held| held.medium == 0)
            });
        match (self.medium.jobs.front(), long) {
            (None, None) => None,
            (Some(_), None) => Some(Size::Medium),
            (None, Some(_)) => Some(Size::Long),
            (Some(_), Some(_)) if self.medium.work <= self.long.work => Some(Size::Medium),
            (Some(_), Some(_)) => Some(Size::Long),
        }
    }

    /// Goes on, with `left` work at most. Returns the next message that is done.
    pub(super) fn step(&mut self, left: &mut u64, pool: &mut Pool) -> Option<Encoded> {
        loop {
            let size = self.next_size()?;
            let queue = match size {
                Size::Medium => &mut self.medium,
                Size::Long => &mut self.long,
            };
            let job = queue.jobs.front_mut()?;
            if job.large.is_done() {
                return self.finish(size);
            }
            if *left == 0 {
                return None;
            }
            let work = job.large.step(&job.message.publication(), pool);
            *left = left.saturating_sub(work);
            queue.work += work;
        }
    }

    /// Takes the first message of a queue, which is done.
    fn finish(&mut self, size: Size) -> Option<Encoded> {
        let queue = match size {
            Size::Medium => &mut self.medium,
            Size::Long => &mut self.long,
        };
        let Job { message, retain, large, batch, .. } = queue.jobs.pop_front()?;
        if let Some(next) = queue.jobs.front() {
            self.behind -= next.len();
        }
        if let Some(held) = self.topics.get_mut(message.topic()) {
            match size {
                Size::Medium => held.medium -= 1,
                Size::Long => held.long -= 1,
            }
            if held.medium + held.long == 0 {
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
