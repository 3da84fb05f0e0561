//! A retained value as a broker keeps it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Ledger, Shared, Work};
use crate::pubsub::encoding::{Codec, Content, Event, Form, Framing, ONE_PIECE, encode, header};
use crate::pubsub::name::Topic;
use crate::pubsub::publication::Value;
use crate::session::Frames;

/// Shorter values are encoded for each subscriber.
const SHARED: usize = 4 << 10;

/// A retained value, and its frame for as long as subscribers hold it: one that is sent to many
/// at a time is encoded once, and its memory is that of one.
#[derive(Debug)]
pub(super) struct Kept {
    value: Value,
    /// Whether it is known to be JSON, which may be found out when it is encoded.
    is_json: Cell<bool>,
    frames: [RefCell<Weak<Shared>>; Codec::COUNT],
    /// The payload, as subscribers hold it that are sent it without a copy.
    payload: RefCell<Weak<Shared>>,
}

impl Kept {
    pub(super) fn new(value: Value) -> Self {
        let is_json = Cell::new(value.is_json);
        Self { value, is_json, frames: Default::default(), payload: RefCell::default() }
    }

    /// What is encoded, for as long as it takes.
    pub(super) fn value(&self) -> Value {
        Value { is_json: self.is_json.get(), ..self.value.clone() }
    }

    /// The value as one frame, and the work that was done for it now. `None` if it is large and
    /// nobody holds its frame: then it has to be encoded in pieces.
    pub(super) fn frames(
        &self,
        form: Form,
        topic: &Topic,
        ledger: &Ledger,
    ) -> Option<(Rc<Frames>, u64)> {
        let one = |bytes| Rc::new(Frames::one(bytes, Arc::clone(topic.shared())));
        if let Some(bytes) = self.frames[form.codec() as usize].borrow().upgrade() {
            return Some((one(bytes), 0));
        }
        if self.value.bytes.len() > ONE_PIECE {
            return None;
        }
        let value = self.value();
        let content: Content<'_> = value.publication(topic).content();
        let mut bytes = Vec::new();
        encode(form, Event::Retained(content), &mut bytes);
        let work = content.data.check_work() + Work::of_bytes(bytes.len());
        let (len, memory) = (bytes.len(), bytes.capacity());
        let bytes = Rc::new(Shared::charged(Bytes::from(bytes), memory, ledger));
        if len >= SHARED {
            self.share(form.codec(), &bytes, value.is_json);
        }
        Some((one(bytes), work))
    }

    /// Keeps the frame of the value in a codec, and whether the value was found to be JSON.
    pub(super) fn share(&self, codec: Codec, frame: &Rc<Shared>, is_json: bool) {
        self.is_json.set(self.is_json.get() || is_json);
        self.frames[codec as usize].replace(Rc::downgrade(frame));
    }

    /// The value in a form in which it is sent as it was published: the header of its frame, and
    /// the payload, which is not copied. `None` in other forms.
    pub(super) fn as_published(
        &self,
        form: Form,
        topic: &Topic,
        ledger: &Ledger,
    ) -> Option<(Vec<u8>, Rc<Frames>)> {
        if form.codec().framing() != Framing::AsPublished {
            return None;
        }
        let Value { bytes, opcode, .. } = &self.value;
        let held = self.payload.borrow().upgrade();
        let shared = held.unwrap_or_else(|| {
            let shared = Rc::new(Shared::charged(bytes.clone(), bytes.len(), ledger));
            self.payload.replace(Rc::downgrade(&shared));
            shared
        });
        let payload = Frames::one(shared, Arc::clone(topic.shared()));
        Some((header(*opcode, bytes.len()), Rc::new(payload)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::Opcode;

    fn kept(len: usize) -> Kept {
        let bytes = Bytes::from(vec![b'1'; len]);
        Kept::new(Value { bytes, opcode: Opcode::Text, is_json: false })
    }

    #[test]
    fn a_long_value_is_encoded_once_while_it_is_held() {
        let ledger = Ledger::default();
        let topic = Topic::new("t", 64).unwrap();
        for (len, is_shared) in [(SHARED - 200, false), (SHARED, true)] {
            let kept = kept(len);
            for form in [Form::RAW, Form::JSON] {
                let (first, work) = kept.frames(form, &topic, &ledger).unwrap();
                assert!(first.len() > len && work >= Work::of_bytes(first.len()));
                // As a queue does, from which it is sent.
                let held = Rc::clone(first.bytes());
                drop(first);
                let (second, again) = kept.frames(form, &topic, &ledger).unwrap();
                assert_eq!(Rc::ptr_eq(&held, second.bytes()), is_shared);
                assert_eq!(again == 0, is_shared);
                drop((held, second));
                assert_eq!(ledger.used(), 0, "nobody holds it");
                assert_eq!(kept.frames(form, &topic, &ledger).unwrap().1, work);
            }
        }
    }

    #[test]
    fn a_large_value_is_not_encoded_at_once() {
        let ledger = Ledger::default();
        let topic = Topic::new("t", 64).unwrap();
        let kept = kept(ONE_PIECE + 1);
        assert!(kept.frames(Form::RAW, &topic, &ledger).is_none());
        let (header, payload) = kept.as_published(Form::RAW, &topic, &ledger).unwrap();
        assert_eq!(header, [0x81, 126, 0x40, 1]);
        let (_, again) = kept.as_published(Form::RAW, &topic, &ledger).unwrap();
        assert!(Rc::ptr_eq(payload.bytes(), again.bytes()));
        assert_eq!(payload.bytes().as_ptr(), kept.value.bytes.as_ptr(), "it is no copy");
        assert!(ledger.used() > ONE_PIECE && ledger.used() < 2 * ONE_PIECE);
        assert!(kept.as_published(Form::JSON, &topic, &ledger).is_none());
        // Once it is found to be JSON, that is known.
        let frame = Rc::new(Shared::from(Bytes::from_static(b"frame")));
        kept.share(Codec::Json, &frame, true);
        assert!(kept.value().is_json);
        let (shared, work) = kept.frames(Form::JSON, &topic, &ledger).unwrap();
        assert!(Rc::ptr_eq(shared.bytes(), &frame) && work == 0);
    }
}
