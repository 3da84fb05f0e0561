//! The request target and the host it belongs to (RFC 9112 section 3.2).

use std::net::Ipv6Addr;

/// A request target, taken apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Target<'a> {
    /// Begins with `/`.
    pub(crate) path: &'a str,
    /// What stands behind the first `?`.
    pub(crate) query: Option<&'a str>,
    /// The authority of a target in absolute form.
    pub(crate) authority: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Splits a target in origin form (`/path?query`) or in absolute form with the scheme http,
    /// https, ws or wss. `None` for other forms, fragments and anything but visible ASCII.
    pub(crate) fn split(text: &'a str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return None;
        }
        if text.starts_with('/') {
            return Some(Self::local(text, None));
        }
        let (scheme, rest) = text.split_once("://")?;
        if !["http", "https", "ws", "wss"].iter().any(|known| scheme.eq_ignore_ascii_case(known)) {
            return None;
        }
        let end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, local) = rest.split_at_checked(end)?;
        Some(Self::local(local, Some(authority)))
    }

    fn local(text: &'a str, authority: Option<&'a str>) -> Self {
        let (path, query) = match text.split_once('?') {
            Some((path, query)) => (path, Some(query)),
            None => (text, None),
        };
        // RFC 9110 section 4.2.3: an empty path of an http URI stands for "/".
        Self { path: if path.is_empty() { "/" } else { path }, query, authority }
    }
}

/// A host and perhaps a port, as in Host (RFC 9110 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub(crate) host: &'a str,
    /// `None` if it is absent or empty.
    pub(crate) port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Splits `host` or `host:port`; `None` if `text` is neither, user information included.
    pub(crate) fn split(text: &'a str) -> Option<Self> {
        let host_len = if text.starts_with('[') {
            text.find(']')? + 1
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, port) = text.split_at_checked(host_len)?;
        let plausible = match host.strip_prefix('[').and_then(|host| host.strip_suffix(']')) {
            Some(address) => address.parse::<Ipv6Addr>().is_ok(),
            None => !host.is_empty() && host.bytes().all(is_name_byte),
        };
        let port = match port.strip_prefix(':') {
            None if port.is_empty() => None,
            Some("") => None,
            Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                Some(digits.parse().ok()?)
            }
            _ => return None,
        };
        plausible.then_some(Self { host, port })
    }
}

/// The bytes of `reg-name`, `%` included (RFC 3986 section 3.2.2), without the comma: a list of
/// hosts is what two Host lines look like once joined.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}
