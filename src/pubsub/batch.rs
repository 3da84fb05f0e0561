//! What is published to one topic within a turn: framed once in each form that somebody wants, and
//! shared by all cores.

use std::ops::RangeInclusive;

use bytes::Bytes;

use super::form::Form;
use super::index::Matches;
use super::json;
use super::name::Topic;
use super::publication::{Publication, Value};
use super::retained::Version;
use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::deflate::Pool;
use crate::protocol::websocket::frame::append_frame;

/// Shorter payloads are not compressed, as the bytes saved are not worth the work; nor are longer
/// ones, as nothing else happens on the core meanwhile.
const WORTH_COMPRESSING: RangeInclusive<usize> = 64..=256 << 10;
/// A batch that is longer takes no more messages, so that none grows beyond what a socket takes.
pub(super) const LARGE: usize = 64 << 10;

/// Frames in one form.
#[derive(Debug)]
pub(super) struct Written {
    form: Form,
    pub(super) bytes: Bytes,
    /// Where each message ends.
    pub(super) ends: Vec<usize>,
}

impl Written {
    /// The bytes of each message.
    pub(super) fn messages(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ranges = starts.zip(self.ends.iter().copied());
        ranges.map(|(from, to)| self.bytes.get(from..to).unwrap_or_default())
    }

    /// Where the last message begins.
    pub(super) fn last(&self) -> usize {
        self.ends.iter().rev().nth(1).copied().unwrap_or(0)
    }
}

/// A retained value that comes with a batch, or its clearing.
#[derive(Debug)]
pub(super) struct Retain {
    pub(super) version: Version,
    pub(super) value: Option<Value>,
}

/// The messages of one topic from one turn of one core. Never changed once it is made.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) topic: Topic,
    pub(super) messages: u32,
    pub(super) retain: Option<Retain>,
    written: Vec<Written>,
}

impl Batch {
    /// The frames for subscribers of this form. What is not there compressed is there as it is.
    pub(super) fn written(&self, form: Form) -> Option<&Written> {
        let find = |form| self.written.iter().find(|written| written.form == form);
        find(form).or_else(|| find(form.plain()))
    }

    /// What it counts for between cores and while it waits.
    pub(super) fn len(&self) -> usize {
        let retained = self.retain.as_ref().and_then(|retain| retain.value.as_ref());
        let written: usize = self.written.iter().map(|written| written.bytes.len()).sum();
        // What a batch without a byte costs as well.
        written + retained.map_or(0, |value| value.bytes.len()) + 256
    }
}

/// A batch while messages are added.
#[derive(Debug)]
pub(super) struct Draft {
    pub(super) topic: Topic,
    /// What the index said when it began, and its version then.
    pub(super) matches: Matches,
    pub(super) version: u64,
    writers: Vec<Writer>,
    /// Who published each message and is not to get it; of no length if nobody minds.
    pub(super) origins: Vec<Option<ConnectionId>>,
    messages: u32,
    retain: Option<Retain>,
}

#[derive(Debug)]
struct Writer {
    form: Form,
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

/// Memory for writing.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    json: Vec<u8>,
    deflated: Vec<u8>,
}

impl Draft {
    pub(super) fn new(topic: &Topic, matches: Matches, version: u64) -> Self {
        let forms = matches.remote.iter().fold(matches.local, |all, forms| all.union(*forms));
        let writer = |form| Writer { form, bytes: Vec::new(), ends: Vec::new() };
        Self {
            topic: topic.clone(),
            version,
            writers: forms.iter().map(writer).collect(),
            matches,
            origins: Vec::new(),
            messages: 0,
            retain: None,
        }
    }

    /// Whether another message may be added.
    pub(super) fn has_room(&self) -> bool {
        self.writers.iter().all(|writer| writer.bytes.len() < LARGE)
    }

    /// Writes a message in each form; returns how many bytes that took.
    pub(super) fn add(
        &mut self,
        message: &Publication<'_>,
        retain: Option<Retain>,
        scratch: &mut Scratch,
        pool: &mut Pool,
    ) -> usize {
        let mut taken = retain.as_ref().map_or(0, |_| message.payload.len());
        scratch.json.clear();
        for writer in &mut self.writers {
            let before = writer.bytes.len();
            if writer.form.is_json() && scratch.json.is_empty() {
                json::delivery(&mut scratch.json, message.topic.as_str(), message.data(), false);
            }
            writer.write(message, scratch, pool);
            taken += writer.bytes.len() - before;
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
    pub(super) fn finish(self) -> (Batch, Matches, Vec<Option<ConnectionId>>) {
        let written = |writer: Writer| Written {
            form: writer.form,
            bytes: Bytes::from(writer.bytes),
            ends: writer.ends,
        };
        let batch = Batch {
            topic: self.topic,
            messages: self.messages,
            retain: self.retain,
            written: self.writers.into_iter().map(written).collect(),
        };
        (batch, self.matches, self.origins)
    }
}

impl Writer {
    fn write(&mut self, message: &Publication<'_>, scratch: &mut Scratch, pool: &mut Pool) {
        let Scratch { json, deflated } = scratch;
        let (opcode, payload) = if self.form.is_json() {
            (Opcode::Text, json.as_slice())
        } else {
            (message.opcode, message.payload)
        };
        let pays = WORTH_COMPRESSING.contains(&payload.len());
        let bits = self.form.window_bits().filter(|_| pays);
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
    use crate::pubsub::form::Forms;

    /// A batch of these payloads in these forms; and whether there was room for more behind each.
    fn batch(forms: &[Form], payloads: &[&[u8]]) -> (Batch, Vec<bool>) {
        let topic = Topic::new("t", 64).unwrap();
        let local = forms.iter().fold(Forms::EMPTY, |all, form| all.with(*form));
        let mut draft = Draft::new(&topic, Matches { local, ..Matches::default() }, 0);
        let (mut scratch, mut pool) = (Scratch::default(), Pool::new(6));
        let add = |payload: &&[u8]| {
            let (opcode, json, retain, origin) = (Opcode::Binary, None, false, None);
            let message = Publication { topic: &topic, opcode, payload, json, retain, origin };
            draft.add(&message, None, &mut scratch, &mut pool);
            draft.has_room()
        };
        let room = payloads.iter().map(add).collect();
        (draft.finish().0, room)
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
        let deflated = Form::new(false, Some(15));
        let mut random = fastrand::Rng::with_seed(3);
        let noise: Vec<u8> = (0..500).map(|_| random.u8(..)).collect();
        let (most, least) = (vec![b'x'; 256 << 10], vec![b'x'; 64]);
        let (longer, shorter) = (vec![b'x'; (256 << 10) + 1], vec![b'x'; 63]);
        let payloads: [&[u8]; 6] = [&noise, &most, &longer, &least, &shorter, b""];
        let (batch, _) = batch(&[deflated], &payloads);
        let written = batch.written(deflated).unwrap();
        let compressed: Vec<bool> = written.messages().map(|m| m[0] & 0x40 != 0).collect();
        assert_eq!(compressed, [false, true, false, true, false, false]);
        for (message, payload) in written.messages().zip(payloads) {
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
            let written = batch.written(Form::RAW).unwrap();
            assert_eq!(written.bytes[written.last()..], *b"\x82\x04last");
            assert_eq!(written.messages().count(), count);
        }
    }
}
