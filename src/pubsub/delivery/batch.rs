//! The messages that are published to one topic within a turn: framed once in each form that a
//! subscriber wants, and shared by all cores.

use bytes::Bytes;

use crate::base::ConnectionId;
use crate::protocol::websocket::deflate::{COMPRESSIBLE, Pool};
use crate::protocol::websocket::frame::append_frame;
use crate::pubsub::encoding::{self, Form};
use crate::pubsub::index::Matches;
use crate::pubsub::name::Topic;
use crate::pubsub::publication::{Publication, Value};
use crate::pubsub::retained::Version;

/// A batch that is longer takes no more messages, so that none grows far beyond what a socket
/// takes.
pub(in crate::pubsub) const MAX_BATCH: usize = 64 << 10;

/// Frames in one form.
#[derive(Debug)]
pub(in crate::pubsub) struct Encoded {
    form: Form,
    pub(in crate::pubsub) bytes: Bytes,
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
    pub(in crate::pubsub) messages: u32,
    pub(in crate::pubsub) retain: Option<Retain>,
    encoded: Vec<Encoded>,
}

impl Batch {
    /// The frames for subscribers of this form, uncompressed if there are none with its
    /// compression.
    pub(in crate::pubsub) fn encoded(&self, form: Form) -> Option<&Encoded> {
        let find = |form| self.encoded.iter().find(|encoded| encoded.form == form);
        find(form).or_else(|| find(form.plain()))
    }

    /// The bytes that it counts for between cores and in the queue of deliveries.
    pub(in crate::pubsub) fn len(&self) -> usize {
        let retained = self.retain.as_ref().and_then(|retain| retain.value.as_ref());
        let encoded: usize = self.encoded.iter().map(|encoded| encoded.bytes.len()).sum();
        // The memory of a batch without payload.
        encoded + retained.map_or(0, |value| value.bytes.len()) + 256
    }
}

/// A batch while messages are added.
#[derive(Debug)]
pub(in crate::pubsub) struct BatchBuilder {
    pub(in crate::pubsub) topic: Topic,
    /// The subscribers when it began, and the version of the index at that time.
    pub(in crate::pubsub) matches: Matches,
    pub(in crate::pubsub) version: u64,
    encoders: Vec<Encoder>,
    /// For each message the publisher that must not be sent it; empty if there is none for any
    /// message.
    pub(in crate::pubsub) origins: Vec<Option<ConnectionId>>,
    messages: u32,
    retain: Option<Retain>,
}

#[derive(Debug)]
struct Encoder {
    form: Form,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Buffers that are reused for each message.
#[derive(Debug, Default)]
pub(in crate::pubsub) struct Scratch {
    encoded: encoding::Encoded,
    deflated: Vec<u8>,
}

impl BatchBuilder {
    pub(in crate::pubsub) fn new(topic: &Topic, matches: Matches, version: u64) -> Self {
        let forms = matches.remote.iter().fold(matches.local, |all, forms| all.union(*forms));
        let encoder = |form| Encoder { form, bytes: Vec::new(), ends: Vec::new() };
        Self {
            topic: topic.clone(),
            version,
            encoders: forms.iter().map(encoder).collect(),
            matches,
            origins: Vec::new(),
            messages: 0,
            retain: None,
        }
    }

    /// Whether another message may be added.
    pub(in crate::pubsub) fn has_room(&self) -> bool {
        self.encoders.iter().all(|encoder| encoder.bytes.len() < MAX_BATCH)
    }

    /// Encodes a message in each form; returns the bytes added.
    pub(in crate::pubsub) fn add(
        &mut self,
        message: &Publication<'_>,
        retain: Option<Retain>,
        scratch: &mut Scratch,
        pool: &mut Pool,
    ) -> usize {
        let mut taken = retain.as_ref().map_or(0, |_| message.payload.len());
        scratch.encoded.clear();
        for encoder in &mut self.encoders {
            let before = encoder.bytes.len();
            encoder.write(message, scratch, pool);
            taken += encoder.bytes.len() - before;
        }
        if message.origin.is_some() || !self.origins.is_empty() {
            self.origins.resize(self.messages as usize, None);
            self.origins.push(message.origin);
        }
        self.messages += 1;
        self.retain = retain.or(self.retain.take());
        taken
    }

    /// The finished batch.
    pub(in crate::pubsub) fn finish(self) -> (Batch, Matches, Vec<Option<ConnectionId>>) {
        let encoded = |encoder: Encoder| Encoded {
            form: encoder.form,
            bytes: Bytes::from(encoder.bytes),
            ends: encoder.ends,
        };
        let batch = Batch {
            topic: self.topic,
            messages: self.messages,
            retain: self.retain,
            encoded: self.encoders.into_iter().map(encoded).collect(),
        };
        (batch, self.matches, self.origins)
    }
}

impl Encoder {
    fn write(&mut self, message: &Publication<'_>, scratch: &mut Scratch, pool: &mut Pool) {
        let Scratch { encoded, deflated } = scratch;
        let content = (message.opcode, message.payload, message.data());
        let (opcode, payload) = encoded.payload(self.form, message.topic.as_str(), content);
        let is_compressible = COMPRESSIBLE.contains(&payload.len());
        let bits = self.form.window_bits().filter(|_| is_compressible);
        let compressed = bits.is_some_and(|bits| {
            deflated.clear();
            let mut deflater = pool.deflater(bits);
            deflater.message(payload, deflated);
            pool.give_deflater(deflater);
            deflated.len() < payload.len()
        });
        let body = if compressed { deflated.as_slice() } else { payload };
        append_frame(&mut self.bytes, opcode, compressed, body);
        self.ends.push(self.bytes.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::Opcode;
    use crate::pubsub::encoding::Forms;

    /// A batch of these payloads in these forms; and whether there was room for more after each.
    fn batch(forms: &[Form], payloads: &[&[u8]]) -> (Batch, Vec<bool>) {
        let topic = Topic::new("t", 64).unwrap();
        let local = forms.iter().fold(Forms::EMPTY, |all, form| all.with(*form));
        let mut builder = BatchBuilder::new(&topic, Matches { local, ..Matches::default() }, 0);
        let (mut scratch, mut pool) = (Scratch::default(), Pool::new(6));
        let add = |payload: &&[u8]| {
            let (opcode, json, retain, origin) = (Opcode::Binary, None, false, None);
            let message = Publication { topic: &topic, opcode, payload, json, retain, origin };
            builder.add(&message, None, &mut scratch, &mut pool);
            builder.has_room()
        };
        let room = payloads.iter().map(add).collect();
        (builder.finish().0, room)
    }

    #[test]
    fn a_batch_ends_at_64_kib_of_any_form() {
        let payload = [0x80; 15_000];
        let (_, room) = batch(&[Form::RAW], &[&payload[..]; 5]);
        assert_eq!(room, [true, true, true, true, false]);
        // In JSON that is a third longer.
        let (_, room) = batch(&[Form::RAW, Form::JSON], &[&payload[..]; 4]);
        assert_eq!(room, [true, true, true, false]);
    }

    #[test]
    fn only_what_gets_shorter_and_is_not_too_long_is_compressed() {
        let deflated = Form::new(encoding::Codec::Raw, Some(15));
        let mut random = fastrand::Rng::with_seed(3);
        let noise: Vec<u8> = (0..500).map(|_| random.u8(..)).collect();
        let (most, least) = (vec![b'x'; 256 << 10], vec![b'x'; 64]);
        let (longer, shorter) = (vec![b'x'; (256 << 10) + 1], vec![b'x'; 63]);
        let payloads: [&[u8]; 6] = [&noise, &most, &longer, &least, &shorter, b""];
        let (batch, _) = batch(&[deflated], &payloads);
        let encoded = batch.encoded(deflated).unwrap();
        let compressed: Vec<bool> = encoded.messages().map(|m| m[0] & 0x40 != 0).collect();
        assert_eq!(compressed, [false, true, false, true, false, false]);
        for (message, payload) in encoded.messages().zip(payloads) {
            assert_eq!(message.ends_with(payload), message[0] & 0x40 == 0);
            assert!(message.len() <= payload.len() + 10);
        }
        assert_eq!(batch.messages, 6);
    }

    #[test]
    fn it_is_known_where_the_last_message_begins() {
        for count in 1..4 {
            let payloads: Vec<&[u8]> = [&b"first"[..], b"", b"last"][3 - count..].to_vec();
            let (batch, _) = batch(&[Form::RAW], &payloads);
            let encoded = batch.encoded(Form::RAW).unwrap();
            assert_eq!(encoded.bytes[encoded.last()..], *b"\x82\x04last");
            assert_eq!(encoded.messages().count(), count);
        }
    }
}
