//! The elements of one `Forwarded` line (RFC 7239 section 4).

use std::net::{IpAddr, Ipv6Addr};

use crate::protocol::http::syntax::is_token_byte;

/// The hops of a line, in order: the address of each, or `None` if it is unknown, obfuscated or
/// not given. Ends early if the line breaks the grammar.
#[derive(Debug)]
pub(super) struct Hops<'a> {
    rest: &'a [u8],
    is_sound: bool,
    /// Whether the element before says that its client has used https; `None`: it says nothing.
    is_https: Option<bool>,
}

/// What stands between two pairs of an element, or behind the last.
#[derive(Debug, PartialEq, Eq)]
enum After {
    Pair,
    Element,
}

impl<'a> Hops<'a> {
    pub(super) const fn new(line: &'a [u8]) -> Self {
        Self { rest: line, is_sound: true, is_https: None }
    }

    /// Whether the line has kept the grammar so far.
    pub(super) const fn is_sound(&self) -> bool {
        self.is_sound
    }

    /// Whether the last element says that its client has used https; `None`: it says nothing.
    pub(super) const fn is_https(&self) -> Option<bool> {
        self.is_https
    }

    /// The next element. Outer `None`: the line breaks the grammar.
    fn element(&mut self) -> Option<Option<IpAddr>> {
        let mut address = None;
        let mut has_for = false;
        self.is_https = None;
        loop {
            // A pair may be missing between two semicolons.
            if !matches!(self.rest.first(), None | Some(b';' | b',' | b' ' | b'\t')) {
                let (name, value) = self.pair()?;
                if name.eq_ignore_ascii_case(b"for") {
                    if std::mem::replace(&mut has_for, true) {
                        return None;
                    }
                    address = std::str::from_utf8(value).ok().and_then(node);
                } else if name.eq_ignore_ascii_case(b"proto") {
                    self.is_https = Some(value.eq_ignore_ascii_case(b"https"));
                }
            }
            if self.separator()? == After::Element {
                return Some(address);
            }
        }
    }

    /// A pair: its name, and its value without quotes. A value with escaped characters is returned
    /// as it is, since no address needs them.
    fn pair(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let name = self.token()?;
        self.rest = self.rest.strip_prefix(b"=")?;
        let Some(quoted) = self.rest.strip_prefix(b"\"") else {
            return Some((name, self.token()?));
        };
        let mut at = 0;
        loop {
            match quoted.get(at)? {
                b'"' => break,
                b'\\' => at += 2,
                b'\t' | b' '..=b'~' | 0x80.. => at += 1,
                _ => return None,
            }
        }
        let (value, rest) = quoted.split_at_checked(at)?;
        self.rest = rest.get(1..)?;
        Some((name, value))
    }

    fn token(&mut self) -> Option<&'a [u8]> {
        let len = self.rest.iter().take_while(|byte| is_token_byte(**byte)).count();
        let (token, rest) = self.rest.split_at_checked(len).filter(|_| len > 0)?;
        self.rest = rest;
        Some(token)
    }

    /// A semicolon, or a comma or the end with white space around it.
    fn separator(&mut self) -> Option<After> {
        if let Some(rest) = self.rest.strip_prefix(b";") {
            self.rest = rest;
            return Some(After::Pair);
        }
        self.rest = self.rest.trim_ascii_start();
        match self.rest.split_first() {
            None => Some(After::Element),
            Some((b',', rest)) => {
                self.rest = rest.trim_ascii_start();
                Some(After::Element)
            }
            Some(_) => None,
        }
    }
}

impl Iterator for Hops<'_> {
    type Item = Option<IpAddr>;

    fn next(&mut self) -> Option<Self::Item> {
        self.rest = self.rest.trim_ascii_start();
        // Elements of a list may be empty (RFC 9110 section 5.6.1).
        while let Some(rest) = self.rest.strip_prefix(b",") {
            self.rest = rest.trim_ascii_start();
        }
        if self.rest.is_empty() {
            return None;
        }
        let element = self.element();
        if element.is_none() {
            self.is_sound = false;
            self.rest = &[];
        }
        element
    }
}

/// The address of a node (RFC 7239 section 6): IPv4 or IPv6 in brackets, with a port or without.
pub(super) fn node(text: &str) -> Option<IpAddr> {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !text.ends_with(']') => (name, Some(port)),
        _ => (text, None),
    };
    if let Some(port) = port {
        let is_number = (1..=5).contains(&port.len()) && port.bytes().all(|it| it.is_ascii_digit());
        let hidden = port.strip_prefix('_').unwrap_or_default();
        let is_hidden = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        if !is_number && (hidden.is_empty() || !hidden.bytes().all(is_hidden)) {
            return None;
        }
    }
    match name.parse() {
        Ok(IpAddr::V4(address)) => Some(address.into()),
        _ => bracketed(name).map(IpAddr::V6),
    }
}

/// An address in brackets.
fn bracketed(text: &str) -> Option<Ipv6Addr> {
    text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()
}
