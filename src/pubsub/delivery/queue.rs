//! Batches on their way to this core's subscribers.

#[cfg(test)]
mod tests;

use std::collections::{HashMap, HashSet, VecDeque};
use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::batch::{Batch, Encoded, MAX_BATCH};
use crate::base::ConnectionId;
use crate::pubsub::encoding::Form;
use crate::pubsub::index::{List, Subscriber};
use crate::pubsub::name::Topic;
use crate::session::{Delivered, Frames, Outbound};

/// A batch, and who published which of its messages and is not to get them.
#[derive(Debug)]
struct Segment {
    batch: Arc<Batch>,
    origins: Vec<Option<ConnectionId>>,
    /// All of them.
    publishers: HashSet<ConnectionId>,
}

impl Segment {
    fn new(batch: Arc<Batch>, origins: Vec<Option<ConnectionId>>) -> Self {
        let publishers = origins.iter().copied().flatten().collect();
        Self { batch, origins, publishers }
    }
}

/// Batches of one topic for the same subscribers.
#[derive(Debug)]
struct Delivery {
    segments: Vec<Segment>,
    /// The bytes of the batches, and with those of lists that count for this job.
    payload: usize,
    bytes: usize,
    /// The addresses of these lists.
    accounted: Vec<usize>,
    /// The subscribers as they were when the messages were published.
    lists: Vec<List>,
    /// The list and the place in it where to go on.
    list: usize,
    at: usize,
    /// Frames of each form, made for the first subscriber that needs them.
    frames: [Option<Rc<Frames>>; Form::COUNT],
}

/// What is to be delivered, in the order it was published.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct DeliveryQueue {
    queue: VecDeque<Delivery>,
    /// How many jobs have been before those in the queue.
    done: u64,
    /// Of each topic the number of the last job, if it has not begun.
    waiting: HashMap<Topic, u64>,
    bytes: usize,
    /// The addresses of all lists that count for a job.
    accounted: HashSet<usize>,
    /// Of each slot the number of the last job that has been delivered there.
    last_delivery: Vec<u64>,
    pub(in crate::pubsub) delivered: u64,
}

impl DeliveryQueue {
    /// Bytes that wait to be delivered, each batch counted once.
    pub(in crate::pubsub) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(in crate::pubsub) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// Adds a batch for these subscribers. What waits for the same ones goes out with it.
    pub(in crate::pubsub) fn add(
        &mut self,
        batch: Arc<Batch>,
        origins: Vec<Option<ConnectionId>>,
        lists: &[List],
    ) {
        let bytes = batch.len();
        self.bytes += bytes;
        let waiting = self.waiting.get(&batch.topic).and_then(|number| {
            let at = usize::try_from(number.checked_sub(self.done)?).ok()?;
            self.queue.get_mut(at)
        });
        if let Some(job) = waiting
            && job.payload + bytes <= MAX_BATCH
            && job.lists.len() == lists.len()
            && job.lists.iter().zip(lists).all(|(ours, theirs)| Rc::ptr_eq(ours, theirs))
        {
            (job.payload, job.bytes) = (job.payload + bytes, job.bytes + bytes);
            job.segments.push(Segment::new(batch, origins));
            return;
        }
        // A list may be kept by its jobs alone by now. It counts for the first of them.
        let accounted: Vec<usize> =
            lists.iter().map(address).filter(|list| self.accounted.insert(*list)).collect();
        let listed: usize =
            lists.iter().filter(|l| accounted.contains(&address(l))).map(|l| l.len()).sum();
        self.bytes += listed * size_of::<Subscriber>();
        let number = self.done + self.queue.len() as u64;
        self.waiting.insert(batch.topic.clone(), number);
        self.queue.push_back(Delivery {
            segments: vec![Segment::new(batch, origins)],
            payload: bytes,
            bytes: bytes + listed * size_of::<Subscriber>(),
            accounted,
            lists: lists.to_vec(),
            list: 0,
            at: 0,
            frames: [const { None }; Form::COUNT],
        });
    }

    /// Delivers up to `most` times; returns how many times are left. Some are if nothing waits, or
    /// if a connection has got enough in this turn.
    pub(in crate::pubsub) fn deliver<S: Outbound>(
        &mut self,
        mut most: usize,
        out: &mut S,
    ) -> usize {
        while most > 0
            && let Some(job) = self.queue.front_mut()
        {
            // Once it has begun, it takes no more.
            if job.list == 0
                && job.at == 0
                && let Some(segment) = job.segments.first()
                && self.waiting.get(&segment.batch.topic) == Some(&self.done)
            {
                self.waiting.remove(&segment.batch.topic);
            }
            // Counted from 1, so that it differs from what no job has touched.
            let (done, delivered) = job.run(self.done + 1, &mut self.last_delivery, most, out);
            self.delivered += delivered;
            most -= done;
            if job.list < job.lists.len() {
                return most;
            }
            // Also a job for nobody is work.
            most = most.saturating_sub(1);
            self.bytes -= job.bytes;
            for list in &job.accounted {
                self.accounted.remove(list);
            }
            self.done += 1;
            self.queue.pop_front();
        }
        most
    }
}

impl Delivery {
    /// Goes on with this job; returns how many subscribers were looked at, and how many were
    /// delivered to.
    fn run<S: Outbound>(
        &mut self,
        number: u64,
        last_delivery: &mut Vec<u64>,
        most: usize,
        out: &mut S,
    ) -> (usize, u64) {
        let (mut left, mut done, mut delivered) = (most, 0, 0);
        let overlaps = self.lists.len() > 1;
        while let Some(list) = self.lists.get(self.list) {
            let list = Rc::clone(list);
            let rest = list.get(self.at..).unwrap_or_default();
            let chunk = &rest[..rest.len().min(left)];
            for subscriber in chunk {
                let slot = subscriber.id.slot;
                done += 1;
                if overlaps && last_delivered(last_delivery, slot) == number {
                    self.at += 1;
                    continue;
                }
                let taken = if !subscriber.echo && self.has_own(subscriber.id) {
                    self.deliver_others(subscriber, out)
                } else if let Some(frames) = self.frames(subscriber.form) {
                    out.deliver(subscriber.id, frames)
                } else {
                    Delivered::Taken
                };
                if taken == Delivered::NextTurn {
                    return (done, delivered);
                }
                delivered += 1;
                if overlaps && let Some(last) = last_delivery.get_mut(slot as usize) {
                    *last = number;
                }
                self.at += 1;
            }
            left -= chunk.len();
            if self.at < list.len() {
                break;
            }
            (self.list, self.at) = (self.list + 1, 0);
        }
        (done, delivered)
    }

    /// The frames for subscribers of `form`.
    #[inline]
    fn frames(&mut self, form: Form) -> Option<&Rc<Frames>> {
        if self.frames.get(form.index())?.is_none() {
            self.make(form);
        }
        self.frames.get(form.index())?.as_ref()
    }

    /// Makes one run of bytes of all batches.
    #[cold]
    fn make(&mut self, form: Form) {
        let encoded: Vec<&Encoded> =
            self.segments.iter().filter_map(|segment| segment.batch.encoded(form)).collect();
        let has_it = |segment: &&Segment| segment.batch.encoded(form).is_some();
        let messages =
            self.segments.iter().filter(has_it).map(|segment| segment.batch.messages).sum();
        let (Some(last), Some(first)) = (encoded.last(), self.segments.first()) else { return };
        let subject = Arc::clone(first.batch.topic.shared());
        let frames = match encoded.as_slice() {
            [only] => Frames::new(only.bytes.clone(), subject, messages, only.last()),
            several => {
                let len: usize = several.iter().map(|encoded| encoded.bytes.len()).sum();
                let mut bytes = BytesMut::with_capacity(len);
                several.iter().for_each(|encoded| bytes.extend_from_slice(&encoded.bytes));
                let last = len - last.bytes.len() + last.last();
                Frames::new(bytes.freeze(), subject, messages, last)
            }
        };
        if let Some(place) = self.frames.get_mut(form.index()) {
            *place = Some(Rc::new(frames));
        }
    }

    fn has_own(&self, id: ConnectionId) -> bool {
        self.segments.iter().any(|segment| segment.publishers.contains(&id))
    }

    /// Delivers what others than the subscriber itself have published.
    #[cold]
    fn deliver_others<S: Outbound>(&self, subscriber: &Subscriber, out: &mut S) -> Delivered {
        let (mut bytes, mut messages, mut last) = (Vec::new(), 0, 0);
        for segment in &self.segments {
            let Some(encoded) = segment.batch.encoded(subscriber.form) else { continue };
            let origins = segment.origins.iter().copied().chain(std::iter::repeat(None));
            for (message, origin) in encoded.messages().zip(origins) {
                if origin != Some(subscriber.id) {
                    (messages, last) = (messages + 1, bytes.len());
                    bytes.extend_from_slice(message);
                }
            }
        }
        let Some(segment) = self.segments.first().filter(|_| messages > 0) else {
            return Delivered::Taken;
        };
        let subject = Arc::clone(segment.batch.topic.shared());
        let frames = Frames::new(Bytes::from(bytes), subject, messages, last);
        out.deliver(subscriber.id, &Rc::new(frames))
    }
}

/// Tells lists asegment.
fn address(list: &List) -> usize {
    Rc::as_ptr(list).addr()
}

/// The last job that was delivered to `slot`.
fn last_delivered(last_delivery: &mut Vec<u64>, slot: u32) -> u64 {
    let at = slot as usize;
    if last_delivery.len() <= at {
        last_delivery.resize(at + 1, 0);
    }
    last_delivery.get(at).copied().unwrap_or_default()
}
