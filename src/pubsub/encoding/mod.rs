//! The encodings of events for subscribers: the one place that decides which bytes an event is for
//! a subscriber of a given form.

pub(crate) mod form;
pub(crate) mod json;

pub(crate) use form::{Form, Forms};
pub(crate) use json::Data;

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
    match (form.is_json(), event) {
        (true, Event::Retained { topic, payload, .. }) => {
            let mut text = Vec::new();
            json::delivery(&mut text, topic, Data::Bytes(payload), true);
            append_frame(out, Opcode::Text, false, &text);
        }
        (false, Event::Retained { opcode, payload, .. }) => {
            append_frame(out, opcode, false, payload);
        }
        (true, Event::Gap { topic, lost }) => {
            let mut text = Vec::new();
            json::gap(&mut text, topic, lost);
            append_frame(out, Opcode::Text, false, &text);
        }
        // A raw subscriber is sent payloads only.
        (false, Event::Gap { .. }) => {}
    }
}

/// The payload of a published message for the codec of `form`. JSON is written to `scratch`, once
/// for all forms; the caller clears it before each message.
pub(crate) fn payload<'a>(
    form: Form,
    topic: &str,
    message: (Opcode, &'a [u8], Data<'_>),
    scratch: &'a mut Vec<u8>,
) -> (Opcode, &'a [u8]) {
    let (opcode, bytes, data) = message;
    if !form.is_json() {
        return (opcode, bytes);
    }
    if scratch.is_empty() {
        json::delivery(scratch, topic, data, false);
    }
    (Opcode::Text, scratch)
}
