//! The JSON encoding of deliveries and gap notices at once: the text of one message each.

use std::io::Write;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::de::IgnoredAny;
use simdutf8::basic::from_utf8;

use crate::pubsub::encoding::encode::{Data, ONE_PIECE};

/// The end of a retained value.
pub(super) const RETAINED: &str = r#","retained":true}"#;

/// A value of a topic, either just published or retained. Bytes are encoded as JSON if they are
/// JSON, else as a string, and in base64 if they are not UTF-8 or a large text that would become
/// more than twice as long.
pub(super) fn delivery(out: &mut Vec<u8>, topic: &str, data: Data<'_>, retained: bool) {
    let payload = data.bytes();
    // Enough, except for base64 and for characters that have to be escaped.
    out.reserve(payload.len() + topic.len() + r#"{"topic":"","data":"","retained":true}"#.len());
    out.extend_from_slice(br#"{"topic":"#);
    string(out, topic);
    match data {
        _ if payload.is_empty() => out.extend_from_slice(br#","data":"""#),
        Data::Json(text) => json(out, text),
        Data::Bytes(bytes) => match from_utf8(bytes) {
            Ok(text) if is_json(text) => json(out, bytes),
            Ok(text) => {
                let head = out.len();
                out.extend_from_slice(br#","data":"#);
                let start = out.len();
                string(out, text);
                if text.len() > ONE_PIECE && out.len() - start - 2 > longest(text.len()) {
                    out.truncate(head);
                    base64(out, bytes);
                }
            }
            Err(_) => base64(out, bytes),
        },
    }
    out.extend_from_slice(if retained { RETAINED.as_bytes() } else { b"}" });
}

/// The number of messages of a topic that were dropped because the client reads too slowly.
pub(super) fn gap(out: &mut Vec<u8>, topic: &str, lost: u64) {
    out.extend_from_slice(br#"{"gap":"#);
    string(out, topic);
    print(out, format_args!(r#","lost":{lost}}}"#));
}

fn json(out: &mut Vec<u8>, text: &[u8]) {
    out.extend_from_slice(br#","data":"#);
    out.extend_from_slice(text);
}

fn base64(out: &mut Vec<u8>, bytes: &[u8]) {
    print(out, format_args!(r#","data64":"{}""#, Base64Display::new(bytes, &STANDARD)));
}

/// The longest string, without quotes, that a large text of `len` bytes is sent as; base64 is
/// shorter.
pub(super) const fn longest(len: usize) -> usize {
    2 * len
}

/// Checks the grammar only, without recursion: large numbers and deep nesting are fine.
fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// Appends `text` as a JSON string.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    let written = serde_json::to_writer(out, text);
    debug_assert!(written.is_ok(), "writing to a vector cannot fail");
}

pub(super) fn print(out: &mut Vec<u8>, what: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(what);
    debug_assert!(written.is_ok(), "writing to a vector cannot fail");
}
