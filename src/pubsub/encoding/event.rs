//! Events for one subscriber, as opposed to a published message for many.

use super::encode::{Content, Framing};
use super::form::Form;
use super::frame::append_plain;

/// An event for one subscriber.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Event<'a> {
    /// A retained value, sent after subscribing.
    Retained(Content<'a>),
    /// Messages were dropped because the subscriber reads too slowly.
    Gap {
        /// Their topic.
        topic: &'a str,
        /// Their number.
        lost: u64,
    },
}

/// Appends what subscribers of `form` are sent of an event, uncompressed. Appends nothing if that
/// is nothing.
pub(crate) fn encode(form: Form, event: Event<'_>, out: &mut Vec<u8>) {
    let codec = form.codec();
    let mut text = Vec::new();
    let framing = codec.framing();
    let written = if framing == Framing::Own { &mut *out } else { &mut text };
    match (event, framing) {
        (Event::Retained(Content { opcode, data, .. }), Framing::AsPublished) => {
            return append_plain(out, opcode, data.bytes());
        }
        (Event::Retained(Content { topic, data, .. }), _) => {
            codec.message(written, topic, data, true);
        }
        (Event::Gap { topic, lost }, _) => codec.gap(written, topic, lost),
    }
    if let Framing::Frame(opcode) = framing
        && !text.is_empty()
    {
        append_plain(out, opcode, &text);
    }
}
