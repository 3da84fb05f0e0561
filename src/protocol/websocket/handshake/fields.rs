//! The fields of a request that the WebSocket handshake has rules for.

use crate::protocol::http::{FieldLines, Headers};

pub(super) const PROTOCOL: &str = "sec-websocket-protocol";
pub(super) const EXTENSIONS: &str = "sec-websocket-extensions";

#[derive(Debug, Default)]
pub(super) struct HandshakeFields<'a> {
    pub(super) origin: FieldLines<'a>,
    pub(super) key: FieldLines<'a>,
    pub(super) version: FieldLines<'a>,
    pub(super) protocol: FieldLines<'a>,
    pub(super) extensions: FieldLines<'a>,
}

impl<'a> HandshakeFields<'a> {
    pub(super) fn collect(headers: Headers<'a>) -> Self {
        let mut fields = Self::default();
        for (known, value) in headers {
            // The lengths of the names differ, so one comparison decides.
            let (lines, name) = match known.len() {
                6 => (&mut fields.origin, "origin"),
                17 => (&mut fields.key, "sec-websocket-key"),
                21 => (&mut fields.version, "sec-websocket-version"),
                22 => (&mut fields.protocol, PROTOCOL),
                24 => (&mut fields.extensions, EXTENSIONS),
                _ => continue,
            };
            if known.eq_ignore_ascii_case(name) {
                lines.add(value);
            }
        }
        fields
    }
}
