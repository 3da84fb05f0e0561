//! The frames that the subscribers of a delivery are sent.

use std::rc::Rc;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use super::Delivery;
use crate::base::{ConnectionId, Shared};
use crate::pubsub::delivery::batch::Encoded;
use crate::pubsub::encoding::Form;
use crate::pubsub::index::Subscriber;
use crate::session::{Delivered, Frames, Outbound};

impl Delivery {
    /// Joins the frames of all batches.
    #[cold]
    pub(super) fn make_frames(&mut self, form: Form) {
        let encoded: Vec<&Encoded> =
            self.segments.iter().filter_map(|segment| segment.batch.encoded(form)).collect();
        let messages = encoded.iter().map(|encoded| encoded.count()).sum();
        let (Some(last), Some(first)) = (encoded.last(), self.segments.first()) else { return };
        let subject = Arc::clone(first.batch.topic.shared());
        let frames = match encoded.as_slice() {
            [only] => {
                self.framed += only.memory;
                let bytes = Shared::charged(only.bytes.clone(), only.memory, &self.ledger);
                Frames::new(bytes, subject, messages, only.last())
            }
            several => {
                let len: usize = several.iter().map(|encoded| encoded.bytes.len()).sum();
                let mut bytes = BytesMut::with_capacity(len);
                several.iter().for_each(|encoded| bytes.extend_from_slice(&encoded.bytes));
                let last = len - last.bytes.len() + last.last();
                let bytes = Shared::charged(bytes.freeze(), len, &self.ledger);
                Frames::new(bytes, subject, messages, last)
            }
        };
        if let Some(place) = self.frames.get_mut(form.index()) {
            *place = Some(Rc::new(frames));
        }
    }

    /// Whether the connection published one of the messages. Not inlined: that costs each delivery
    /// registers.
    #[inline(never)]
    pub(super) fn has_own(&self, id: ConnectionId) -> bool {
        self.segments.iter().any(|segment| segment.publishers.contains(&id))
    }

    /// Delivers the messages that the subscriber has not published itself.
    #[cold]
    pub(super) fn deliver_others<O: Outbound>(
        &self,
        subscriber: &Subscriber,
        out: &mut O,
    ) -> Delivered {
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
        let memory = bytes.capacity();
        let bytes = Shared::charged(Bytes::from(bytes), memory, &self.ledger);
        let frames = Frames::new(bytes, subject, messages, last);
        out.deliver(subscriber.id, &Rc::new(frames))
    }
}
