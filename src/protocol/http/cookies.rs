//! Cookies in a request (RFC 6265 section 4.2.1).

use memchr::memchr;

use super::headers::{Headers, Values};
use super::syntax::trim;

/// The cookies of a request, in the order sent: name and value of each.
///
/// A client sends one Cookie line with pairs separated by `;` (RFC 6265 section 5.4). Several
/// lines, as gateways from HTTP/2 may leave them, are read as one list. White space around names
/// and values is dropped, the first `=` ends the name, and quotes around a value are a part of it.
/// Characters that section 4.1.1 forbids are passed on, since browsers send them. Only a pair
/// without `=`, with an empty name or with bytes that are not UTF-8 is skipped.
///
/// Nothing is copied or decoded. A name may be repeated: the first one has the longest path
/// (section 5.4). The limit on the head bounds the number of cookies.
#[derive(Debug, Clone)]
pub struct Cookies<'a> {
    lines: Values<'a>,
    /// The unread part of the current line.
    rest: &'a [u8],
}

impl<'a> Cookies<'a> {
    pub(crate) const fn new(headers: Headers<'a>) -> Self {
        Self { lines: Values::new("cookie", None, headers), rest: &[] }
    }
}

impl<'a> Iterator for Cookies<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            while !self.rest.is_empty() {
                let end = memchr(b';', self.rest).unwrap_or(self.rest.len());
                let (pair, rest) = self.rest.split_at_checked(end)?;
                self.rest = rest.get(1..).unwrap_or_default();
                if let Some(cookie) = cookie(pair) {
                    return Some(cookie);
                }
            }
            self.rest = self.lines.next_bytes()?;
        }
    }
}

fn cookie(pair: &[u8]) -> Option<(&str, &str)> {
    let (name, value) = pair.split_at_checked(memchr(b'=', pair)?)?;
    let name = std::str::from_utf8(trim(name)).ok().filter(|name| !name.is_empty())?;
    Some((name, std::str::from_utf8(trim(value.get(1..)?)).ok()?))
}
