//! The request target and the host it belongs to (RFC 9112 section 3.2).

use std::net::Ipv6Addr;

/// The parts of a request target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target<'a> {
    /// Begins with `/`, but for the asterisk form (`*`) and the authority form (empty).
    pub(super) path: &'a str,
    /// The part after the first `?`.
    pub(super) query: Option<&'a str>,
    /// The authority of a target in absolute form or authority form.
    pub(super) authority: Option<&'a str>,
}

impl<'a> Target<'a> {
    /// Splits a target in origin form (`/path?query`) or in absolute form with the scheme http,
    /// https, ws or wss; `*` is allowed for OPTIONS alone, `host:port` is required for CONNECT.
    /// `None` for anything else, for fragments and for anything but visible ASCII.
    pub(super) fn split(method: &str, text: &'a str) -> Option<Self> {
        if !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
            return None;
        }
        if method == "CONNECT" {
            Authority::split(text)?.port?;
            return Some(Self { path: "", query: None, authority: Some(text) });
        }
        if text == "*" && method == "OPTIONS" {
            return Some(Self { path: text, query: None, authority: None });
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

/// A host with an optional port, as in Host (RFC 9110 section 7.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Authority<'a> {
    /// A name, an IPv4 address, or an IPv6 address in brackets.
    pub host: &'a str,
    /// The port; `None` if it is absent or empty.
    pub port: Option<u16>,
}

impl<'a> Authority<'a> {
    /// Splits `host` or `host:port`. `None` if `text` is neither or contains user information.
    #[must_use]
    pub fn split(text: &'a str) -> Option<Self> {
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

/// The bytes of `reg-name`, including `%` (RFC 3986 section 3.2.2), except for the comma: two Host
/// lines that a proxy joined would look like one host with a comma.
fn is_name_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~%!$&'()*+;=".contains(&byte)
}
