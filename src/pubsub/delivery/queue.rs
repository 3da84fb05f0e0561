//! Batches on their way to the subscribers of this core.

mod counting;
mod frames;
mod measured;
mod past;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use super::batch::{Batch, MAX_BATCH};
use super::counts::JOINED;
use super::segment::Segment;
use crate::base::{ConnectionId, Ledger, Work};
use crate::pubsub::encoding::Form;
use crate::pubsub::index::{Lists, Subscriber};
use crate::pubsub::name::Topic;
use crate::session::{Delivered, Frames, Outbound};
use measured::Measured;

/// The memory of a delivery itself, with its place in the queue and in the table by topic.
const DELIVERY: usize = 2 * size_of::<Delivery>() + 64;
/// So many deliveries at most are begun while the first of them waits for subscribers that were
/// given as much as one turn allows, and so many of these are looked at in one turn.
const MAX_BEGUN: usize = 64;
const MAX_SKIPPED: usize = 4096;
/// So many subscribers that have got it already, by another list, count for one delivery.
const KNOWN: usize = 16;
/// The bits of a generation in a mark: a list may still hold the connection that had the slot
/// before.
const GENERATION_BITS: u32 = ConnectionId::GENERATION_MASK.count_ones();
/// A delivery to more lists is not joined with others.
const MAX_JOINED_LISTS: usize = 1024;
/// Batches of one topic for the same subscribers.
#[derive(Debug)]
struct Delivery {
    segments: Vec<Segment>,
    /// The bytes of the batches, and its own.
    bytes: usize,
    /// The bytes that one subscriber is sent, at most.
    form_len: usize,
    /// The subscribers as they were when the messages were published, without the lists that are
    /// done.
    lists: Lists,
    /// Whether there was more than one list, so that a connection may be in several.
    overlaps: bool,
    /// Whether the subscribers are those of the delivery before, so that this one goes out with it.
    repeats: bool,
    has_begun: bool,
    /// The position of the next subscriber in the last list.
    position: usize,
    /// Subscribers of lists that are done which had been given as much as one turn allows.
    skipped: Vec<Subscriber>,
    /// The frames of each form, made for the first subscriber that needs them.
    frames: [Option<Rc<Frames>>; Form::COUNT],
    /// The bytes of the batches that `frames` hold as well, and that are charged for these.
    framed: usize,
    ledger: Ledger,
    /// When its first message was published, until it is done.
    published: Option<Duration>,
}

/// The deliveries of one core, in the order in which their messages were published.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct DeliveryQueue {
    queue: VecDeque<Delivery>,
    /// The number of deliveries that have left the queue.
    done: u64,
    /// For each topic the number of its last delivery, while that has not begun.
    not_begun: HashMap<Topic, u64>,
    bytes: usize,
    /// What is left to deliver, those left in lists that have begun included.
    waiting: usize,
    /// For each slot the number of the last delivery that was made to it, and the generation of the
    /// connection.
    last_delivery: Vec<u64>,
    pub(in crate::pubsub) delivered: u64,
    /// Of these, the deliveries that went out with others of their turn.
    joined: u64,
    /// The messages in these.
    pub(in crate::pubsub) messages: u64,
    pub(in crate::pubsub) measured: Measured,
    /// Frames are charged there, from when they are made until nobody holds them.
    pub(in crate::pubsub) ledger: Ledger,
}

impl DeliveryQueue {
    /// The bytes that wait to be delivered, and those of what is kept about them. Each batch counts
    /// once, and each list of subscribers once.
    pub(in crate::pubsub) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// The memory that it holds besides the frames that are charged.
    pub(in crate::pubsub) fn memory(&self) -> usize {
        let framed = self.queue.front().map_or(0, |delivery| delivery.framed);
        self.bytes.saturating_sub(framed)
    }

    /// The work of all deliveries that were ever made.
    pub(in crate::pubsub) const fn work(&self) -> u64 {
        (self.delivered - self.joined) * Work::DELIVERY
            + self.joined * (Work::DELIVERY / JOINED as u64)
    }

    /// The number of deliveries that wait. One of many bytes counts for several. A message to very
    /// many counts for less, since others go past it.
    pub(in crate::pubsub) const fn waiting(&self) -> usize {
        self.waiting
    }

    pub(in crate::pubsub) fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    /// The number of deliveries that were ever added, and of those that are done. They are done in
    /// order.
    pub(in crate::pubsub) fn accepted(&self) -> u64 {
        self.done + self.queue.len() as u64
    }

    pub(in crate::pubsub) const fn done(&self) -> u64 {
        self.done
    }

    /// Adds a batch for these subscribers. It is joined to a waiting delivery of its topic for the
    /// same subscribers, if there is one.
    pub(in crate::pubsub) fn add(
        &mut self,
        batch: Arc<Batch>,
        origins: Vec<Option<ConnectionId>>,
        mut lists: Lists,
    ) {
        self.bytes += lists.bytes();
        let published = batch.published;
        let segment = Segment::new(batch, origins);
        let bytes = segment.len();
        self.bytes += bytes;
        let topic = &segment.batch.topic;
        let waiting = self.not_begun.get(topic).and_then(|number| {
            let at = usize::try_from(number.checked_sub(self.done)?).ok()?;
            self.queue.get_mut(at)
        });
        // Without many lists, whose comparison and release would take long.
        if let Some(delivery) = waiting
            && delivery.bytes + bytes <= MAX_BATCH
            && lists.len() <= MAX_JOINED_LISTS
            && delivery.lists.is_same(&lists)
        {
            self.waiting -= delivery.waiting();
            delivery.bytes += bytes;
            delivery.form_len += segment.batch.form_len();
            self.waiting += delivery.waiting();
            delivery.segments.push(segment);
            self.bytes -= lists.release();
            return;
        }
        let last = self.queue.back().filter(|last| !last.has_begun);
        let repeats = last.is_some_and(|last| lists.go_with(&last.lists));
        self.not_begun.insert(topic.clone(), self.accepted());
        self.bytes += DELIVERY;
        let delivery = Delivery {
            bytes: bytes + DELIVERY,
            form_len: segment.batch.form_len(),
            segments: vec![segment],
            overlaps: lists.len() > 1,
            repeats,
            lists,
            has_begun: false,
            position: 0,
            skipped: Vec::new(),
            frames: [const { None }; Form::COUNT],
            framed: 0,
            ledger: self.ledger.clone(),
            published: Some(published),
        };
        self.waiting += delivery.waiting();
        self.queue.push_back(delivery);
    }

    /// Makes up to `max` deliveries, of which a long one counts for several, and a short one to a
    /// subscriber that has got others in this turn for less; returns how many of these are left.
    ///
    /// A subscriber that has been given as much as one turn allows is skipped by this and all
    /// further deliveries of the turn, so that nobody else waits for it. In the next turn it is the
    /// first.
    pub(in crate::pubsub) fn deliver<O: Outbound>(&mut self, mut max: usize, out: &mut O) -> usize {
        if self.has_wide_first() {
            max = self.deliver_past(max, out);
        }
        let (mut at, mut skipped) = (0, 0);
        while max > 0
            && at < MAX_BEGUN
            && skipped < MAX_SKIPPED
            && let Some(left) = self.deliver_at(at, max, out)
        {
            max = left;
            let Some(delivery) = self.queue.get(at) else { return max };
            skipped += delivery.skipped.len();
            if !delivery.lists.is_empty() {
                return max;
            }
            at += 1;
            if at == 1 && self.queue.front().is_some_and(Delivery::is_done) {
                self.remove_done();
                at = 0;
            }
        }
        max
    }

    /// Goes on with the delivery at this place, up to `max`. Returns how many of these are left.
    /// Inlined, so that what comes of it is the same loop as without messages that go past others.
    #[inline(always)]
    fn deliver_at<O: Outbound>(&mut self, at: usize, max: usize, out: &mut O) -> Option<usize> {
        let delivery = self.queue.get_mut(at)?;
        let before = self.done + at as u64;
        // Once it has begun, nothing may be joined to it.
        if !delivery.has_begun {
            delivery.has_begun = true;
            if let Some(segment) = delivery.segments.first()
                && self.not_begun.get(&segment.batch.topic) == Some(&before)
            {
                self.not_begun.remove(&segment.batch.topic);
            }
        }
        // Counted from 1, so that 0 means a slot without a delivery.
        let number = before + 1;
        let each = delivery.counts_for();
        self.waiting -= delivery.waiting();
        let ran = delivery.run(number, &mut self.last_delivery, max.div_ceil(each), out);
        self.delivered += ran.delivered;
        self.joined += ran.joined as u64;
        self.messages += ran.delivered * delivery.messages();
        if delivery.is_done()
            && let Some(published) = delivery.published.take()
        {
            self.measured.count_done(published);
        }
        self.bytes -= ran.freed;
        self.waiting += delivery.waiting();
        // A delivery without subscribers counts as well, so that the loop is bounded.
        let is_over = usize::from(delivery.lists.is_empty());
        Some(max.saturating_sub(ran.done * each + is_over))
    }

    /// Removes the deliveries that are done, as far as none that is not is before them.
    fn remove_done(&mut self) {
        while let Some(delivery) = self.queue.front().filter(|delivery| delivery.is_done()) {
            self.bytes -= delivery.bytes;
            self.done += 1;
            self.queue.pop_front();
        }
    }
}

/// A part of a delivery.
#[derive(Default)]
struct Ran {
    /// The subscribers looked at, and those that it was delivered to.
    done: usize,
    delivered: u64,
    /// Of these, those that go out with others.
    joined: usize,
    /// The bytes of lists that are done.
    freed: usize,
}

impl Delivery {
    /// The messages that a subscriber is sent.
    fn messages(&self) -> u64 {
        let frames = self.frames.iter().flatten().next();
        frames.map_or(0, |frames| u64::from(frames.messages()))
    }

    fn is_done(&self) -> bool {
        self.has_begun && self.lists.is_empty() && self.skipped.is_empty()
    }

    /// Continues this delivery.
    #[inline(always)]
    fn run<O: Outbound>(
        &mut self,
        number: u64,
        last_delivery: &mut Vec<u64>,
        max: usize,
        out: &mut O,
    ) -> Ran {
        let (mut left, mut ran) = (max, Ran::default());
        let overlaps = self.overlaps;
        if !self.skipped.is_empty() {
            self.retry_skipped(&mut ran, out);
        }
        while let Some(list) = self.lists.last() {
            let list = Rc::clone(list);
            let rest = list.get(self.position..).unwrap_or_default();
            let chunk = &rest[..rest.len().min(left)];
            let firsts = if overlaps { firsts(last_delivery, number, chunk) } else { Vec::new() };
            let unknown = if overlaps { &*firsts } else { chunk };
            let (skipped, before) = (self.skipped.len(), ran.joined);
            for subscriber in unknown {
                let delivered = self.deliver_to(subscriber, out);
                if delivered != Delivered::Taken {
                    self.note(delivered, subscriber, &mut ran);
                }
            }
            ran.delivered += (unknown.len() - (self.skipped.len() - skipped)) as u64;
            let joined = if self.is_short() { ran.joined - before } else { 0 };
            let known = chunk.len() - unknown.len();
            self.position += chunk.len();
            let counted = unknown.len() - joined + joined.div_ceil(JOINED) + known.div_ceil(KNOWN);
            ran.done += counted;
            left -= counted;
            if self.position < list.len() {
                if left == 0 {
                    break;
                }
                continue;
            }
            // The list goes back to its filter, which may change it in place again.
            drop(list);
            ran.freed += self.lists.pop();
            self.position = 0;
        }
        ran
    }

    /// Takes note of a delivery that needs no send of its own, or that comes in the next turn.
    /// Apart from the loop, whose other deliveries it would cost two instructions.
    #[cold]
    #[inline(never)]
    fn note(&mut self, delivered: Delivered, subscriber: &Subscriber, ran: &mut Ran) {
        match delivered {
            Delivered::Taken => {}
            Delivered::Joined => ran.joined += 1,
            Delivered::NextTurn => self.skipped.push(*subscriber),
        }
    }

    /// Tries those again that were skipped.
    #[cold]
    fn retry_skipped<O: Outbound>(&mut self, ran: &mut Ran, out: &mut O) {
        let mut skipped = std::mem::take(&mut self.skipped);
        skipped.retain(|subscriber| {
            let is_taken = self.deliver_to(subscriber, out) != Delivered::NextTurn;
            ran.delivered += u64::from(is_taken);
            ran.done += usize::from(is_taken);
            !is_taken
        });
        self.skipped = skipped;
    }

    #[inline(always)]
    fn deliver_to<O: Outbound>(&mut self, subscriber: &Subscriber, out: &mut O) -> Delivered {
        if !subscriber.echo && self.has_own(subscriber.id) {
            self.deliver_others(subscriber, out)
        } else if let Some(frames) = self.frames(subscriber.form) {
            out.deliver(subscriber.id, frames)
        } else {
            Delivered::Taken
        }
    }

    /// The frames for subscribers of `form`.
    #[inline]
    fn frames(&mut self, form: Form) -> Option<&Rc<Frames>> {
        if self.frames.get(form.index())?.is_none() {
            self.make_frames(form);
        }
        self.frames.get(form.index())?.as_ref()
    }
}

/// Those of `subscribers` that delivery `number` has not reached yet, which are noted.
#[cold]
fn firsts(
    last_delivery: &mut Vec<u64>,
    number: u64,
    subscribers: &[Subscriber],
) -> Vec<Subscriber> {
    let is_first = |subscriber: &&Subscriber| {
        let id = subscriber.id;
        let (at, mark) = (id.slot as usize, number << GENERATION_BITS | u64::from(id.generation));
        if last_delivery.len() <= at {
            last_delivery.resize(at + 1, 0);
        }
        last_delivery.get_mut(at).is_some_and(|last| std::mem::replace(last, mark) != mark)
    };
    subscribers.iter().filter(is_first).copied().collect()
}
