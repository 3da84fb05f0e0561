//! The header lines of a request: the ones the handshake judges, and access to all of them.

use super::syntax::trim;

/// The lines of one header: the value of the first, and how many there are.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Line<'a> {
    pub(crate) first: Option<&'a [u8]>,
    pub(crate) count: usize,
}

impl<'a> Line<'a> {
    /// The value, or the fault of it being absent or repeated.
    pub(crate) fn only<E>(self, missing: E, repeated: E) -> Result<&'a [u8], E> {
        if self.count > 1 { Err(repeated) } else { self.first.ok_or(missing) }
    }
}

/// The lines that the handshake judges.
#[derive(Debug, Default)]
pub(crate) struct Fields<'a> {
    pub(crate) host: Line<'a>,
    pub(crate) origin: Line<'a>,
    pub(crate) upgrade: Line<'a>,
    pub(crate) connection: Line<'a>,
    pub(crate) content_length: Line<'a>,
    pub(crate) transfer_encoding: Line<'a>,
    pub(crate) key: Line<'a>,
    pub(crate) version: Line<'a>,
    pub(crate) protocol: Line<'a>,
    pub(crate) extensions: Line<'a>,
}

pub(crate) const UPGRADE: &str = "upgrade";
pub(crate) const CONNECTION: &str = "connection";
pub(crate) const PROTOCOL: &str = "sec-websocket-protocol";
pub(crate) const EXTENSIONS: &str = "sec-websocket-extensions";

impl<'a> Fields<'a> {
    pub(crate) fn collect(headers: &[httparse::Header<'a>]) -> Self {
        let mut fields = Self::default();
        for header in headers {
            // The length alone tells the names apart, but for one pair.
            let (line, name) = match header.name.len() {
                4 => (&mut fields.host, "host"),
                6 => (&mut fields.origin, "origin"),
                7 => (&mut fields.upgrade, UPGRADE),
                10 => (&mut fields.connection, CONNECTION),
                14 => (&mut fields.content_length, "content-length"),
                17 if header.name.starts_with(['t', 'T']) => {
                    (&mut fields.transfer_encoding, "transfer-encoding")
                }
                17 => (&mut fields.key, "sec-websocket-key"),
                21 => (&mut fields.version, "sec-websocket-version"),
                22 => (&mut fields.protocol, PROTOCOL),
                24 => (&mut fields.extensions, EXTENSIONS),
                _ => continue,
            };
            if header.name.eq_ignore_ascii_case(name) {
                line.first = line.first.or(Some(header.value));
                line.count += 1;
            }
        }
        fields
    }
}

/// All header lines of a request, in order: the name as sent, and the value without the white
/// space around it. A value is bytes, because HTTP allows more than ASCII in it.
#[derive(Debug, Clone)]
pub struct Headers<'a> {
    rest: &'a [u8],
}

impl<'a> Headers<'a> {
    /// `block` begins behind the request line of a head that was parsed without a fault.
    pub(crate) fn new(block: &'a [u8]) -> Self {
        Self { rest: block }
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = (&'a str, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let end = self.rest.iter().position(|&byte| byte == b'\n')?;
        let (line, rest) = self.rest.split_at_checked(end + 1)?;
        let line = line.strip_suffix(b"\r\n")?;
        let colon = line.iter().position(|&byte| byte == b':')?;
        let (name, value) = line.split_at_checked(colon)?;
        self.rest = rest;
        Some((std::str::from_utf8(name).ok()?, trim(value.get(1..)?)))
    }
}

/// The values of all lines of one header, in order.
#[derive(Debug, Clone)]
pub struct Values<'a> {
    name: &'static str,
    /// Set for a single line, which then needs no search.
    single: Option<&'a [u8]>,
    /// How many lines are still to be found in `headers`.
    left: usize,
    headers: Headers<'a>,
}

impl<'a> Values<'a> {
    pub(crate) fn new(name: &'static str, line: Line<'a>, headers: Headers<'a>) -> Self {
        let several = line.count > 1;
        Self {
            name,
            single: if several { None } else { line.first },
            left: if several { line.count } else { 0 },
            headers,
        }
    }

    /// The next value, whatever its bytes are.
    pub(crate) fn next_bytes(&mut self) -> Option<&'a [u8]> {
        if self.left == 0 {
            return self.single.take();
        }
        self.left -= 1;
        self.headers.find(|(name, _)| name.eq_ignore_ascii_case(self.name)).map(|(_, value)| value)
    }
}

impl<'a> Iterator for Values<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        // Only headers that were found to be ASCII are handed out this way.
        std::str::from_utf8(self.next_bytes()?).ok()
    }
}

/// The subprotocols a client offers, in its order of preference (RFC 6455 section 4.1).
#[derive(Debug, Clone)]
pub struct Protocols<'a> {
    lines: Values<'a>,
    /// The part of the current line that is still to be read.
    rest: &'a [u8],
}

impl<'a> Protocols<'a> {
    pub(crate) fn new(lines: Values<'a>) -> Self {
        Self { lines, rest: &[] }
    }

    /// The next element of the list, token or not.
    pub(crate) fn next_bytes(&mut self) -> Option<&'a [u8]> {
        loop {
            while !self.rest.is_empty() {
                let end = self.rest.iter().position(|&byte| byte == b',');
                let (element, rest) = self.rest.split_at_checked(end.unwrap_or(self.rest.len()))?;
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

impl<'a> Iterator for Protocols<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.next_bytes()?).ok()
    }
}
