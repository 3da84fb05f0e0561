//! A retained value as a broker keeps it.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::sync::Arc;

use bytes::Bytes;

use crate::base::{Ledger, Shared};
use crate::pubsub::encoding::{Codec, Content, Data, Event, Form, encode};
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
    frames: [RefCell<Weak<Shared>>; Codec::COUNT],
}

impl Kept {
    pub(super) fn new(value: Value) -> Self {
        Self { value, frames: Default::default() }
    }

    /// The value as one frame, and the bytes that were encoded for it now.
    pub(super) fn frames(&self, form: Form, topic: &Topic, ledger: &Ledger) -> (Rc<Frames>, usize) {
        let place = &self.frames[form.codec() as usize];
        let one = |bytes| Rc::new(Frames::one(bytes, Arc::clone(topic.shared())));
        if let Some(bytes) = place.borrow().upgrade() {
            return (one(bytes), 0);
        }
        let Value { opcode, bytes: payload } = &self.value;
        let mut bytes = Vec::new();
        let data = Data::Bytes(payload);
        let value = Content { topic: topic.as_str(), opcode: *opcode, data };
        encode(form, Event::Retained(value), &mut bytes);
        let (len, memory) = (bytes.len(), bytes.capacity());
        let bytes = Rc::new(Shared::charged(Bytes::from(bytes), memory, ledger));
        if len >= SHARED {
            place.replace(Rc::downgrade(&bytes));
        }
        (one(bytes), len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::websocket::Opcode;

    #[test]
    fn a_long_value_is_encoded_once_while_it_is_held() {
        let ledger = Ledger::default();
        let topic = Topic::new("t", 64).unwrap();
        for (len, is_shared) in [(SHARED - 200, false), (SHARED, true)] {
            let bytes = Bytes::from(vec![b'1'; len]);
            let kept = Kept::new(Value { bytes, opcode: Opcode::Text });
            for form in [Form::RAW, Form::JSON] {
                let (first, encoded) = kept.frames(form, &topic, &ledger);
                assert!(encoded > len && first.len() == encoded);
                // As a queue does, from which it is sent.
                let held = Rc::clone(first.bytes());
                drop(first);
                let (second, again) = kept.frames(form, &topic, &ledger);
                assert_eq!(Rc::ptr_eq(&held, second.bytes()), is_shared);
                assert_eq!(again == 0, is_shared);
                drop((held, second));
                assert_eq!(ledger.used(), 0, "nobody holds it");
                assert_eq!(kept.frames(form, &topic, &ledger).1, encoded);
            }
        }
    }
}
