//! Large retained values that are encoded in pieces, for the subscribers that wait for them.
//!
//! One value is encoded after the other. All subscribers that want a value in the same codec wait
//! for one result, and each connection waits for one value at most. A value that nobody waits for
//! any more is dropped, and so is one that is replaced or cleared: it is not sent any more.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;

use super::kept::Kept;
use crate::base::{ConnectionId, Ledger, Shared};
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::encoding::{Codec, LargeEncoder};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Value;
use crate::session::Frames;

/// The memory of a place in the tables, and of a job with its places there.
const WAITER: usize = 48;
const JOB: usize = 384;

/// The values that are encoded.
#[derive(Debug, Default)]
pub(super) struct Values {
    /// By number, in the order in which they are encoded.
    jobs: BTreeMap<u64, Job>,
    numbers: HashMap<(Topic, Codec), u64>,
    last: u64,
    /// What has ended, until all that have waited for it go on.
    ended: VecDeque<Ended>,
    /// The number of connections that wait, or have waited and do not go on yet.
    waiting: usize,
}

/// By slot.
type Waiting = BTreeMap<u32, ConnectionId>;

#[derive(Debug)]
struct Job {
    topic: Topic,
    codec: Codec,
    value: Value,
    encoder: Option<LargeEncoder>,
    waiting: Waiting,
}

/// A value that is encoded, or is not retained any more and has no frames.
#[derive(Debug)]
struct Ended {
    number: u64,
    frames: Option<Rc<Frames>>,
    waiting: Waiting,
}

/// A connection that goes on.
pub(super) struct Resumed {
    pub(super) id: ConnectionId,
    /// The number that it has waited for.
    pub(super) number: u64,
    pub(super) frames: Option<Rc<Frames>>,
}

/// A value that is encoded.
pub(super) struct Completed {
    pub(super) topic: Topic,
    pub(super) codec: Codec,
    pub(super) frame: Rc<Shared>,
    pub(super) is_json: bool,
}

impl Values {
    /// Whether no connection waits.
    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && self.ended.is_empty()
    }

    /// Whether values are still to be encoded.
    pub(super) fn is_encoding(&self) -> bool {
        !self.jobs.is_empty()
    }

    /// Whether connections can go on.
    pub(super) fn has_ended(&self) -> bool {
        !self.ended.is_empty()
    }

    /// The memory that it holds besides the values, which are retained, and the frames.
    pub(super) fn memory(&self) -> usize {
        let encoders = self.jobs.first_key_value().and_then(|(_, job)| job.encoder.as_ref());
        encoders.map_or(0, LargeEncoder::len) + self.jobs.len() * JOB + self.waiting * WAITER
    }

    /// Lets a connection wait for a value in this codec. Returns the number that it waits for.
    pub(super) fn wait(
        &mut self,
        id: ConnectionId,
        topic: &Topic,
        codec: Codec,
        kept: &Kept,
    ) -> u64 {
        let number = *self.numbers.entry((topic.clone(), codec)).or_insert_with(|| {
            self.last += 1;
            let (topic, value, waiting) = (topic.clone(), kept.value(), Waiting::new());
            self.jobs.insert(self.last, Job { topic, codec, value, encoder: None, waiting });
            self.last
        });
        if let Some(job) = self.jobs.get_mut(&number) {
            self.waiting -= job.waiting.len();
            job.waiting.insert(id.slot, id);
            self.waiting += job.waiting.len();
        }
        number
    }

    /// A connection does not wait for this number any more.
    pub(super) fn leave(&mut self, id: ConnectionId, number: u64) {
        let Some(job) = self.jobs.get_mut(&number) else { return };
        if job.waiting.get(&id.slot) == Some(&id) {
            job.waiting.remove(&id.slot);
            self.waiting -= 1;
        }
        if job.waiting.is_empty() {
            self.remove(number);
        }
    }

    /// The value of a topic is not retained any more.
    pub(super) fn replaced(&mut self, topic: &Topic) {
        if self.jobs.is_empty() {
            return;
        }
        for codec in Codec::ALL {
            if let Some(number) = self.numbers.get(&(topic.clone(), *codec)).copied()
                && let Some(job) = self.remove(number)
            {
                self.ended.push_back(Ended { number, frames: None, waiting: job.waiting });
            }
        }
    }

    /// Goes on, with `left` work at most. Returns the next value that is encoded.
    pub(super) fn step(
        &mut self,
        left: &mut u64,
        pool: &mut Pool,
        ledger: &Ledger,
    ) -> Option<Completed> {
        let (number, job) = self.jobs.iter_mut().next()?;
        let (number, message) = (*number, job.value.publication(&job.topic));
        let content = message.content();
        let codec = job.codec;
        let encoder = job.encoder.get_or_insert_with(|| LargeEncoder::of_retained(codec, &content));
        let encoded = loop {
            if *left == 0 {
                return None;
            }
            let (work, encoded) = encoder.step(&content, pool);
            *left = left.saturating_sub(work);
            if encoded.is_some() || encoder.is_done() {
                break encoded;
            }
        };
        let is_json = encoder.is_json();
        let Job { topic, waiting, .. } = self.remove(number)?;
        let Some(encoded) = encoded else {
            debug_assert!(false, "a value becomes one frame");
            self.ended.push_back(Ended { number, frames: None, waiting });
            return None;
        };
        let memory = encoded.bytes.capacity();
        let bytes = Bytes::from(encoded.bytes).slice(encoded.start..);
        let frame = Rc::new(Shared::charged(bytes, memory, ledger));
        let frames = Rc::new(Frames::one(Rc::clone(&frame), Arc::clone(topic.shared())));
        self.ended.push_back(Ended { number, frames: Some(frames), waiting });
        Some(Completed { topic, codec, frame, is_json })
    }

    /// Takes a connection that goes on.
    pub(super) fn next_resumed(&mut self) -> Option<Resumed> {
        let ended = self.ended.front_mut()?;
        let (_, id) = ended.waiting.pop_first()?;
        self.waiting -= 1;
        let resumed = Resumed { id, number: ended.number, frames: ended.frames.clone() };
        if ended.waiting.is_empty() {
            self.ended.pop_front();
        }
        Some(resumed)
    }

    fn remove(&mut self, number: u64) -> Option<Job> {
        let job = self.jobs.remove(&number)?;
        self.numbers.remove(&(job.topic.clone(), job.codec));
        Some(job)
    }
}
