//! Selected fields of a head: the first value of each, and the number of its lines.

use super::headers::{Elements, Headers, Values};

/// The lines of one field: the value of the first, and their number.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct FieldLines<'a> {
    pub(crate) first: Option<&'a [u8]>,
    pub(crate) count: usize,
}

impl<'a> FieldLines<'a> {
    /// Counts one more line.
    pub(crate) fn add(&mut self, value: &'a [u8]) {
        self.first = self.first.or(Some(value));
        self.count += 1;
    }

    /// The value of a field that must have exactly one line, or one of the two errors.
    pub(crate) fn only<E>(self, missing: E, repeated: E) -> Result<&'a [u8], E> {
        if self.count > 1 { Err(repeated) } else { self.first.ok_or(missing) }
    }

    /// The value of each line. `headers` are those that were counted; `name` is the field's.
    pub(crate) fn values(self, name: &'static str, headers: &Headers<'a>) -> Values<'a> {
        // A single line needs no search.
        let single = if self.count == 1 { self.first } else { None };
        let rest = if self.count > 1 { headers.clone() } else { Headers::default() };
        Values::new(name, single, rest)
    }

    /// The elements of the comma-separated lists in all lines.
    pub(crate) fn elements(self, name: &'static str, headers: &Headers<'a>) -> Elements<'a> {
        Elements::new(self.values(name, headers))
    }
}

/// The fields that HTTP itself has rules for.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct HttpFields<'a> {
    pub(super) host: FieldLines<'a>,
    pub(super) expect: FieldLines<'a>,
    pub(super) upgrade: FieldLines<'a>,
    pub(super) connection: FieldLines<'a>,
    pub(super) content_length: FieldLines<'a>,
    pub(super) transfer_encoding: FieldLines<'a>,
}

impl<'a> HttpFields<'a> {
    pub(super) fn collect(headers: &[httparse::Header<'a>]) -> Self {
        let mut fields = Self::default();
        for header in headers {
            // The lengths of the names differ, so one comparison decides.
            let (lines, name) = match header.name.len() {
                4 => (&mut fields.host, "host"),
                6 => (&mut fields.expect, "expect"),
                7 => (&mut fields.upgrade, "upgrade"),
                10 => (&mut fields.connection, "connection"),
                14 => (&mut fields.content_length, "content-length"),
                17 => (&mut fields.transfer_encoding, "transfer-encoding"),
                _ => continue,
            };
            if header.name.eq_ignore_ascii_case(name) {
                lines.add(header.value);
            }
        }
        fields
    }
}
