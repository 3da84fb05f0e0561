//! Version 2: a binary header (section 2.2).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{Header, MAX_HEADER, ProxyError, begins_with};

const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// The bytes before the addresses.
const FIXED: usize = 16;
/// The bytes of the two paths of Unix-domain sockets.
const PATHS: usize = 216;

/// What the 13th byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Command {
    Local,
    Proxy,
}

/// What the 14th byte says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    Unspecified,
    V4,
    V6,
    Unix,
    /// A datagram, which is possible beside LOCAL only.
    Datagram,
}

/// Reads a header that begins as one of version 2.
pub(super) fn parse(bytes: &[u8]) -> Result<Option<(Header, usize)>, ProxyError> {
    if !begins_with(bytes, SIGNATURE)? {
        return Ok(None);
    }
    // Each byte is judged as soon as it is there.
    let Some(command) = bytes.get(12) else { return Ok(None) };
    let command = match command {
        0x20 => Command::Local,
        0x21 => Command::Proxy,
        0x22..=0x2f => return Err(ProxyError::Command),
        _ => return Err(ProxyError::Version),
    };
    let Some(family) = bytes.get(13) else { return Ok(None) };
    let family = match family {
        0x00 => Family::Unspecified,
        0x11 => Family::V4,
        0x21 => Family::V6,
        0x31 => Family::Unix,
        0x12 | 0x22 | 0x32 if command == Command::Local => Family::Datagram,
        _ => return Err(ProxyError::Family),
    };
    let Some(length) = bytes.get(14..).and_then(<[u8]>::first_chunk) else { return Ok(None) };
    let end = FIXED + usize::from(u16::from_be_bytes(*length));
    if end > MAX_HEADER {
        return Err(ProxyError::TooLong);
    }
    // The addresses beside LOCAL are to be ignored, and need not be there.
    let addresses = match (command, family) {
        (Command::Local, _) | (_, Family::Unspecified | Family::Datagram) => 0,
        (_, Family::V4) => 12,
        (_, Family::V6) => 36,
        (_, Family::Unix) => PATHS,
    };
    if end < FIXED + addresses {
        return Err(ProxyError::TooShort);
    }
    let Some(rest) = bytes.get(FIXED..end) else { return Ok(None) };
    if command == Command::Local {
        return Ok(Some((Header::Local, end)));
    }
    if family != Family::Unspecified {
        check_extensions(rest.get(addresses..).unwrap_or_default())?;
    }
    let header = match family {
        Family::V4 => tcp::<4, SocketAddr>(rest, |ip, port| (Ipv4Addr::from(ip), port).into()),
        Family::V6 => tcp::<16, SocketAddr>(rest, |ip, port| (Ipv6Addr::from(ip), port).into()),
        Family::Unix => Some(Header::Unix),
        Family::Unspecified | Family::Datagram => Some(Header::Unknown),
    };
    Ok(Some((header.ok_or(ProxyError::TooShort)?, end)))
}

/// Two addresses of `N` bytes, and two ports.
fn tcp<const N: usize, A: Into<SocketAddr>>(
    bytes: &[u8],
    address: impl Fn([u8; N], u16) -> A,
) -> Option<Header> {
    let (source, rest) = bytes.split_first_chunk::<N>()?;
    let (destination, rest) = rest.split_first_chunk::<N>()?;
    let (from, rest) = rest.split_first_chunk::<2>()?;
    let to = rest.first_chunk::<2>()?;
    Some(Header::Tcp {
        source: address(*source, u16::from_be_bytes(*from)).into(),
        destination: address(*destination, u16::from_be_bytes(*to)).into(),
    })
}

/// Each extension has a type, a length and so many bytes. Nothing of them is used.
fn check_extensions(mut rest: &[u8]) -> Result<(), ProxyError> {
    while !rest.is_empty() {
        let (_, after) = rest.split_first().ok_or(ProxyError::Extensions)?;
        let (length, after) = after.split_first_chunk::<2>().ok_or(ProxyError::Extensions)?;
        let length = usize::from(u16::from_be_bytes(*length));
        rest = after.get(length..).ok_or(ProxyError::Extensions)?;
    }
    Ok(())
}
