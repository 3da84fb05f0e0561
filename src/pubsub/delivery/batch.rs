//! The messages that are published to one topic within a turn: encoded once in each form that a
//! subscriber wants, and shared by all cores.

#[cfg(test)]
mod tests;

use std::time::Duration;

use bytes::Bytes;

use crate::base::ConnectionId;
use crate::protocol::websocket::deflate::Pool;
use crate::pubsub::encoding::{self, Form, Forms, Scratch};
use crate::pubsub::index::Recipients;
use crate::pubsub::name::Topic;
use crate::pubsub::publication::{Publication, Value};
use crate::pubsub::retained::Version;

/// A batch that is longer takes no more messages, so that none grows far beyond what a socket
/// takes.
pub(in crate::pubsub) const MAX_BATCH: usize = 64 << 10;

/// Frames in one form.
#[derive(Clone, Debug)]
pub(in crate::pubsub) struct Encoded {
    form: Form,
    pub(in crate::pubsub) bytes: Bytes,
    /// The memory of `bytes`.
    pub(in crate::pubsub) memory: usize,
    /// The end of each message in `bytes`.
    pub(in crate::pubsub) ends: Vec<usize>,
}

impl Encoded {
    /// The bytes of each message.
    pub(in crate::pubsub) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(self.ends.iter().copied());
        ranges.map(|(from, to)| self.bytes.get(from..to).unwrap_or_default())
    }

    /// The number of messages.
    #[allow(clippy::cast_possible_truncation, reason = "a batch of 64 KiB or one message")]
    pub(in crate::pubsub) const fn count(&self) -> u32 {
        self.ends.len() as u32
    }

    /// The start of the last message in `bytes`.
    pub(in crate::pubsub) fn last(&self) -> usize {
        self.ends.iter().rev().nth(1).copied().unwrap_or(0)
    }
}

/// A retained value that comes with a batch, or its clearing.
#[derive(Debug)]
pub(in crate::pubsub) struct Retain {
    pub(in crate::pubsub) version: Version,
    pub(in crate::pubsub) value: Option<Value>,
}

/// The messages of one topic from one turn of one core. Never changed once it is made.
#[derive(Debug)]
pub(in crate::pubsub) struct Batch {
    pub(in crate::pubsub) topic: Topic,
    pub(in crate::pubsub) retain: Option<Retain>,
    encoded: Vec<Encoded>,
    len: usize,
    /// When its messages were published, by the clock of the turns.
    pub(in crate::pubsub) published: Duration,
}

impl Batch {
    /// The memory of allocations and places in queues that a batch of any kind takes.
    const OVERHEAD: usize = 128;

    /// The frames for subscribers of this form, uncompressed if there are none with its
    /// compression.
    pub(in crate::pubsub) fn encoded(&self, form: Form) -> Option<&Encoded> {
        let find = |form| self.encoded.iter().find(|encoded| encoded.form == form);
        find(form).or_else(|| find(form.plain()))
    }

    /// Those of `forms`, without compression, in which it owes the change of the retained value
    /// and lacks it. Its messages were accepted before the core that published them knew of these
    /// forms, and are not owed to their subscribers, but the value is.
    pub(in crate::pubsub) fn lacking(&self, forms: Forms) -> Forms {
        if self.retain.is_none() {
            return Forms::EMPTY;
        }
        let lacks = |form: &Form| self.encoded(*form).is_none();
        forms.iter().filter(lacks).map(Form::plain).fold(Forms::EMPTY, Forms::with)
    }

    /// The message that has changed the retained value; an empty one if it was cleared or not
    /// changed.
    pub(in crate::pubsub) fn value(&self) -> Publication<'_> {
        let value = self.retain.as_ref().and_then(|retain| retain.value.as_ref());
        let empty = Publication { retain: true, ..Publication::of(&self.topic, b"") };
        value.map_or(empty, |value| value.publication(&self.topic))
    }

    /// The batch with the change of the retained value also in these forms, and the work that was
    /// done.
    pub(in crate::pubsub) fn completed(&self, forms: Forms) -> (Self, u64) {
        let (mut scratch, mut pool, mut work) = (Scratch::default(), Pool::new(1), 0);
        let encode = |form| {
            let mut encoder = Encoder::new(form);
            work += encoder.write(&self.value(), &mut scratch, &mut pool);
            encoder
        };
        let encoders = forms.iter().map(encode).collect();
        (self.with(encoders), work)
    }

    /// The batch with further forms.
    pub(super) fn with(&self, encoders: Vec<Encoder>) -> Self {
        let len = self.len + encoders.iter().map(Encoder::len).sum::<usize>();
        let retain = self
            .retain
            .as_ref()
            .map(|Retain { version, value }| Retain { version: *version, value: value.clone() });
        let mut encoded = self.encoded.clone();
        encoded.extend(encoders.into_iter().map(Encoder::finish));
        Self { topic: self.topic.clone(), retain, encoded, len, published: self.published }
    }

    /// The number of its messages.
    pub(in crate::pubsub) fn messages(&self) -> u64 {
        self.encoded.first().map_or(0, |encoded| u64::from(encoded.count()))
    }

    /// The bytes that it counts for between cores and in the queue of deliveries: those of its
    /// frames and of what is kept about it.
    pub(in crate::pubsub) const fn len(&self) -> usize {
        self.len
    }

    /// The bytes that it counts for in each of its forms, on average.
    pub(in crate::pubsub) fn form_len(&self) -> usize {
        self.len / self.encoded.len().max(1)
    }
}

/// A batch while messages are added.
#[derive(Debug)]
pub(in crate::pubsub) struct BatchBuilder {
    pub(in crate::pubsub) topic: Topic,
    /// Those whom it is for when it began, and the version of the index at that time.
    recipients: Recipients,
    pub(in crate::pubsub) version: u64,
    encoders: Vec<Encoder>,
    /// For each message the publisher that must not be sent it; empty if there is none for any
    /// message.
    origins: Vec<Option<ConnectionId>>,
    messages: u32,
    retain: Option<Retain>,
}

/// A batch that is finished, and whom it is for.
#[derive(Debug)]
pub(in crate::pubsub) struct Finished {
    pub(in crate::pubsub) batch: Batch,
    pub(in crate::pubsub) recipients: Recipients,
    /// For each message the publisher that must not be sent it; empty if there is none for any
    /// message.
    pub(in crate::pubsub) origins: Vec<Option<ConnectionId>>,
}

/// Frames in one form while messages are added.
#[derive(Debug)]
pub(super) struct Encoder {
    form: Form,
    bytes: Vec<u8>,
    /// Where the first frame begins in `bytes`.
    start: usize,
    /// The end of each frame, counted from there.
    ends: Vec<usize>,
}

impl BatchBuilder {
    pub(in crate::pubsub) fn new(topic: &Topic, recipients: Recipients, version: u64) -> Self {
        let encoders: Vec<Encoder> = recipients.forms().iter().map(Encoder::new).collect();
        Self {
            topic: topic.clone(),
            version,
            encoders,
            recipients,
            origins: Vec::new(),
            messages: 0,
            retain: None,
        }
    }

    /// A batch that begins with one message, which is encoded already.
    pub(super) fn of_one(
        message: &Publication<'_>,
        retain: Option<Retain>,
        recipients: Recipients,
        version: u64,
        encoders: Vec<Encoder>,
    ) -> Self {
        let mut batch = Self::new(message.topic, recipients, version);
        batch.encoders = encoders;
        batch.count(message, retain);
        batch
    }

    /// The bytes that it takes with its messages.
    pub(in crate::pubsub) fn len(&self) -> usize {
        let retained = self.retain.as_ref().and_then(|retain| retain.value.as_ref());
        let frames: usize = self.encoders.iter().map(Encoder::len).sum();
        self.empty_len() + frames + retained.map_or(0, |value| value.bytes.len())
    }

    /// The forms in which its messages are encoded.
    pub(in crate::pubsub) fn forms(&self) -> Forms {
        self.recipients.forms()
    }

    /// The subscribers on this core that it is for.
    pub(in crate::pubsub) const fn subscribers(&self) -> usize {
        self.recipients.lists.subscribers()
    }

    /// Whether it is for the subscribers of the batch before it, and goes out to them with that.
    pub(in crate::pubsub) fn goes_with(&self, before: &Self) -> bool {
        self.recipients.lists.go_with(&before.recipients.lists)
    }

    /// Whether other cores have subscribers that it is for.
    pub(in crate::pubsub) fn is_for_others(&self) -> bool {
        self.recipients.has_remote()
    }

    /// The bytes that it takes before any message is added, lists of subscribers included.
    pub(in crate::pubsub) fn empty_len(&self) -> usize {
        // The memory of the batch is that of the builder, and of its place in a table.
        let kept = size_of::<Self>() + size_of::<Batch>() + self.topic.as_str().len();
        let encoders = self.encoders.len() * (size_of::<Encoder>() + size_of::<Encoded>());
        kept + encoders + self.recipients.lists.bytes()
    }

    /// Whether another message of `len` bytes may be added. One that is longer than a batch has a
    /// batch of its own: those whom it is not for would be sent copies of the others.
    pub(in crate::pubsub) fn has_room(&self, len: usize) -> bool {
        len <= MAX_BATCH && self.encoders.iter().all(|encoder| encoder.len() < MAX_BATCH)
    }

    /// Encodes a message in each form; returns the bytes added, and the work that was done.
    pub(in crate::pubsub) fn add(
        &mut self,
        message: &Publication<'_>,
        retain: Option<Retain>,
        scratch: &mut Scratch,
        pool: &mut Pool,
    ) -> (usize, u64) {
        let mut work = 0;
        let mut taken = retain.as_ref().map_or(0, |_| message.payload.len());
        scratch.clear();
        for encoder in &mut self.encoders {
            let before = encoder.len();
            work += encoder.write(message, scratch, pool);
            taken += encoder.len() - before;
        }
        scratch.shrink();
        (taken + self.count(message, retain), work)
    }

    /// Notes a message whose frames are there; returns the bytes that this takes.
    fn count(&mut self, message: &Publication<'_>, retain: Option<Retain>) -> usize {
        let mut taken = 0;
        if message.origin.is_some() || !self.origins.is_empty() {
            let before = self.origins.len();
            self.origins.resize(self.messages as usize, None);
            self.origins.push(message.origin);
            taken += (self.origins.len() - before) * size_of::<Option<ConnectionId>>();
        }
        self.messages += 1;
        self.retain = retain.or(self.retain.take());
        taken
    }

    /// The finished batch.
    pub(in crate::pubsub) fn finish(self, published: Duration) -> Finished {
        let frames: usize = self.encoders.iter().map(Encoder::len).sum();
        let retained = self.retain.as_ref().and_then(|retain| retain.value.as_ref());
        let kept = size_of::<Batch>() + self.topic.as_str().len() + Batch::OVERHEAD;
        let batch = Batch {
            topic: self.topic,
            len: frames + retained.map_or(0, |value| value.bytes.len()) + kept,
            retain: self.retain,
            encoded: self.encoders.into_iter().map(Encoder::finish).collect(),
            published,
        };
        Finished { batch, recipients: self.recipients, origins: self.origins }
    }
}

impl Encoder {
    const fn new(form: Form) -> Self {
        Self { form, bytes: Vec::new(), start: 0, ends: Vec::new() }
    }

    /// One message, which is encoded already.
    pub(super) fn of_one(message: encoding::Encoded) -> Self {
        let encoding::Encoded { form, bytes, start } = message;
        let ends = vec![bytes.len() - start];
        Self { form, bytes, start, ends }
    }

    /// The bytes of its frames, and of what is kept about each.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<usize>()
    }

    fn finish(self) -> Encoded {
        let memory = self.bytes.capacity();
        let bytes = Bytes::from(self.bytes).slice(self.start..);
        Encoded { form: self.form, bytes, memory, ends: self.ends }
    }

    /// Adds a message; returns the work that was done.
    fn write(&mut self, message: &Publication<'_>, scratch: &mut Scratch, pool: &mut Pool) -> u64 {
        let work = scratch.append(self.form, &message.content(), pool, &mut self.bytes);
        self.ends.push(self.bytes.len() - self.start);
        work
    }
}
