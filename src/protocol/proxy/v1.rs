//! Version 1: one line of text (section 2.1).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, ProxyError, begins_with};

pub(super) const START: &[u8] = b"PROXY ";
/// The longest line, with its CR LF.
const MAX_LINE: usize = 107;

/// Reads a line that begins as one of version 1.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProxyError> {
    if !begins_with(bytes, START)? {
        return Ok(None);
    }
    let window = bytes.get(..MAX_LINE).unwrap_or(bytes);
    let Some(end) = window.iter().position(|byte| !(b' '..=b'~').contains(byte)) else {
        return if bytes.len() < MAX_LINE { Ok(None) } else { Err(ProxyError::LineTooLong) };
    };
    match window.get(end..end + 2) {
        Some(b"\r\n") => {}
        Some(_) => return Err(ProxyError::LineEnd),
        None if window.get(end) != Some(&b'\r') => return Err(ProxyError::LineEnd),
        None if window.len() == MAX_LINE => return Err(ProxyError::LineTooLong),
        None => return Ok(None),
    }
    let text = window.get(START.len()..end).unwrap_or_default();
    let text = std::str::from_utf8(text).map_err(|_| ProxyError::LineEnd)?;
    Ok(Some((header(text)?, end + 2)))
}

/// What the line says behind `PROXY `.
fn header(text: &str) -> Result<Header, ProxyError> {
    let (protocol, rest) = text.split_once(' ').unwrap_or((text, ""));
    let addresses = match protocol {
        "TCP4" => addresses(rest, |text| text.parse::<Ipv4Addr>().ok().map(IpAddr::V4)),
        "TCP6" => addresses(rest, |text| text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)),
        // Whatever follows is to be ignored.
        "UNKNOWN" => return Ok(Header::Unknown),
        _ => return Err(ProxyError::Protocol),
    };
    let (source, destination) = addresses.ok_or(ProxyError::Addresses)?;
    Ok(Header::Tcp { source, destination })
}

/// Two addresses and two ports.
fn addresses(
    text: &str,
    address: impl Fn(&str) -> Option<IpAddr>,
) -> Option<(SocketAddr, SocketAddr)> {
    let mut parts = text.split(' ');
    let (source, destination) = (address(parts.next()?)?, address(parts.next()?)?);
    let (from, to) = (port(parts.next()?)?, port(parts.next()?)?);
    let is_end = parts.next().is_none();
    is_end.then_some((SocketAddr::new(source, from), SocketAddr::new(destination, to)))
}

/// A decimal number without a sign or leading zeros.
fn port(text: &str) -> Option<u16> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
    let has_zeros = text.len() > 1 && text.starts_with('0');
    text.parse().ok().filter(|_| is_plain && !has_zeros)
}
