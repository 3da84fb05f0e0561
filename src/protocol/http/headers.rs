//! The header lines of a parsed head.

use memchr::memchr;

use super::syntax::trim;

/// The header lines of a message, in order: the name as sent, and the value without the white
/// space around it. A value is bytes, because HTTP allows bytes outside of ASCII in it.
#[derive(Debug, Clone, Default)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// `block` begins after the first line of a head that was parsed without a fault.
    pub(super) const fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }

    /// The lines as received, with the empty one at the end.
    pub(crate) const fn as_bytes(&self) -> &'a [u8] {
        self.rest
    }

    /// The value of the first line with this name, compared without case.
    pub(crate) fn first(mut self, name: &str) -> Option<&'a [u8]> {
        self.find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = memchr(b'\n', self.rest)?;
        let (line, rest) = self.rest.split_at_checked(end + 1)?;
        let line = line.strip_suffix(b"\r\n")?;
        let (name, value) = line.split_at_checked(memchr(b':', line)?)?;
        self.rest = rest;
        Some((std::str::from_utf8(name).ok()?, trim(value.get(1..)?)))
    }
}

/// The values of all lines of one field, in order.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    name: &'static str,
    single: Option<&'a [u8]>,
    headers: Headers<'a>,
}

impl<'a> Values<'a> {
    /// First `single`, then the values of the lines of `headers` that have this name.
    pub(super) const fn new(
        name: &'static str,
        single: Option<&'a [u8]>,
        headers: Headers<'a>,
    ) -> Self {
        Self { name, single, headers }
    }

    /// The next value, of any bytes.
    pub(crate) fn next_bytes(&mut self) -> Option<&'a [u8]> {
        if let Some(value) = self.single.take() {
            return Some(value);
        }
        self.headers.find(|(name, _)| name.eq_ignore_ascii_case(self.name)).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    /// The next value that is UTF-8; others are skipped.
    fn next(&mut self) -> Option<&'a str> {
        loop {
            if let Ok(value) = std::str::from_utf8(self.next_bytes()?) {
                return Some(value);
            }
        }
    }
}

/// The elements of the comma-separated lists in all lines of one field, without empty ones
/// (RFC 9110 section 5.6.1). Quoted strings are not recognised: a comma always separates.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    lines: Values<'a>,
    /// The unread part of the current line.
    rest: &'a [u8],
}

impl<'a> Elements<'a> {
    pub(super) const fn new(lines: Values<'a>) -> Self {
        Self { lines, rest: &[] }
    }

    /// The next element, of any bytes.
    pub(crate) fn next_bytes(&mut self) -> Option<&'a [u8]> {
        loop {
            while !self.rest.is_empty() {
                let end = memchr(b',', self.rest).unwrap_or(self.rest.len());
                let (element, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest.get(1..).unwrap_or_default();
                let element = trim(element);
                if !element.is_empty() {
                    return Some(element);
                }
            }
            self.rest = self.lines.next_bytes()?;
        }
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a str;

    /// The next element that is UTF-8; others are skipped.
    fn next(&mut self) -> Option<&'a str> {
        loop {
            if let Ok(element) = std::str::from_utf8(self.next_bytes()?) {
                return Some(element);
            }
        }
    }
}
