//! The encodings of events for subscribers: the one place that decides which bytes an event is for
//! a subscriber of a given form.

pub(crate) mod form;
pub(crate) mod json;
mod pieces;

pub(crate) use form::{Codec, Form, Forms};
pub(crate) use json::{Data, ONE_PIECE};
pub(crate) use pieces::Pieces;

use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::frame::append_frame;

/// An event for one subscriber, as opposed to a published message for many.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A retained value, sent after subscribing.
    Retained {
        /// The topic of the value.
        topic: &'a str,
        /// The opcode with which the value was published.
        opcode: Opcode,
        /// The value.
        payload: &'a [u8],
    },
    /// Messages were dropped because the subscriber reads too slowly.
    Gap {
        /// Their topic.
        topic: &'a str,
        /// Their number.
        lost: u64,
    },
}

/// Appends the uncompressed frame of an event for subscribers of `form`. Appends nothing if the
/// form has none.
pub(crate) fn encode(form: Form, event: Event<'_>, out: &mut Vec<u8>) {
    match (form.codec(), event) {
        (Codec::Json, Event::Retained { topic, payload, .. }) => {
            let mut text = Vec::new();
            json::delivery(&mut text, topic, Data::Bytes(payload), true);
            append_frame(out, Opcode::Text, false, &text);
        }
        (Codec::Raw, Event::Retained { opcode, payload, .. }) => {
            append_frame(out, opcode, false, payload);
        }
        (Codec::Json, Event::Gap { topic, lost }) => {
            let mut text = Vec::new();
            json::gap(&mut text, topic, lost);
            append_frame(out, Opcode::Text, false, &text);
        }
        // A raw subscriber is sent payloads only.
        (Codec::Raw, Event::Gap { .. }) => {}
    }
}

/// What a message has become in each codec so far. Reused for all messages; cleared before each.
#[derive(Debug, Default)]
pub(crate) struct Encoded([Vec<u8>; Codec::COUNT]);

impl Encoded {
    /// Forgets the last message.
    pub(crate) fn clear(&mut self) {
        self.0.iter_mut().for_each(Vec::clear);
    }

    /// Frees buffers of more than `max` bytes.
    pub(crate) fn shrink(&mut self, max: usize) {
        for buffer in self.0.iter_mut().filter(|buffer| buffer.capacity() > max) {
            *buffer = Vec::new();
        }
    }

    /// The payload of a published message for the codec of `form`, written once for all forms of
    /// the codec.
    pub(crate) fn payload<'a>(
        &'a mut self,
        form: Form,
        topic: &str,
        message: (Opcode, &'a [u8], Data<'_>),
    ) -> (Opcode, &'a [u8]) {
        let (opcode, bytes, data) = message;
        let written = &mut self.0[form.codec() as usize];
        match form.codec() {
            Codec::Raw => (opcode, bytes),
            Codec::Json => {
                if written.is_empty() {
                    json::delivery(written, topic, data, false);
                }
                (Opcode::Text, written)
            }
        }
    }
}
