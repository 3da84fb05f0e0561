//! The parts of RFC 6455 framing and of the opening handshake that the programs here need.

use std::io;
use std::net::SocketAddr;
use std::ops::Range;

use flate2::{Decompress, FlushDecompress};

use crate::wire::put_header;

/// Opcodes.
pub const TEXT: u8 = 1;
pub const BINARY: u8 = 2;
pub const CLOSE: u8 = 8;
pub const PING: u8 = 9;
pub const PONG: u8 = 10;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;

/// The masking key of every client frame.
const KEY: [u8; 4] = [0x37, 0xfa, 0x21, 0x3d];

/// A parsed frame header.
pub struct Head {
    first: u8,
    key: Option<[u8; 4]>,
    /// The offset of the payload.
    pub payload: Range<usize>,
}

impl Head {
    /// The header at the start of `bytes`; `None` while it is incomplete.
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let second = *bytes.get(1)?;
        let (len, mut at) = match second & 0x7f {
            126 => (u64::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
            127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
            n => (u64::from(n), 2),
        };
        let mut key = None;
        if second & 0x80 != 0 {
            key = Some(bytes.get(at..at + 4)?.try_into().ok()?);
            at += 4;
        }
        let end = at.saturating_add(usize::try_from(len).unwrap_or(usize::MAX));
        Some(Self { first: bytes[0], key, payload: at..end })
    }

    /// What kind of frame it is.
    pub fn opcode(&self) -> u8 {
        self.first & 0x0f
    }

    /// Appends the frame, of which `bytes` holds all, in the server's form: unmasked.
    pub fn relay(&self, bytes: &[u8], to: &mut Vec<u8>) {
        let mut header = [0; 10];
        let size = put_header(&mut header, self.payload.len() as u64);
        header[0] = self.first;
        to.extend_from_slice(&header[..size]);
        self.unmask(bytes, to);
    }

    /// Appends the unmasked payload.
    pub fn unmask(&self, bytes: &[u8], to: &mut Vec<u8>) {
        let key = self.key.unwrap_or_default();
        let payload = bytes[self.payload.clone()].iter();
        to.extend(payload.zip(key.iter().cycle()).map(|(byte, key)| byte ^ key));
    }
}

/// A client's frame.
pub fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut header = [0; 10];
    let size = put_header(&mut header, payload.len() as u64);
    header[0] = FIN | opcode;
    header[1] |= 0x80;
    let mut frame = header[..size].to_vec();
    frame.extend(KEY);
    frame.extend(payload.iter().zip(KEY.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

/// The payload of a server's whole message, and whether it was compressed.
pub fn message(frame: &[u8]) -> io::Result<(Vec<u8>, bool)> {
    let wrong = |what: &str| io::Error::other(format!("a delivery {what}: {frame:02x?}"));
    let head = Head::parse(frame).ok_or_else(|| wrong("is no frame"))?;
    if head.payload.end != frame.len() || head.key.is_some() || head.first & FIN == 0 {
        return Err(wrong("is not one unmasked frame"));
    }
    if head.opcode() != TEXT && head.opcode() != BINARY {
        return Err(wrong("is no message"));
    }
    let payload = frame[head.payload].to_vec();
    if head.first & RSV1 == 0 {
        return Ok((payload, false));
    }
    let plain = inflate(payload).ok_or_else(|| wrong("cannot be inflated"))?;
    Ok((plain, true))
}

/// Inflates one message of RFC 7692, which does not refer to others.
fn inflate(mut payload: Vec<u8>) -> Option<Vec<u8>> {
    payload.extend([0x00, 0x00, 0xff, 0xff]);
    let mut inflater = Decompress::new(false);
    let mut plain = Vec::with_capacity(1024);
    loop {
        let (before, room) = (inflater.total_in(), plain.capacity() - plain.len());
        let read = usize::try_from(before).ok()?;
        inflater.decompress_vec(&payload[read..], &mut plain, FlushDecompress::Sync).ok()?;
        if plain.len() < plain.capacity() {
            let all = usize::try_from(inflater.total_in()).is_ok_and(|n| n == payload.len());
            return all.then_some(plain);
        }
        if inflater.total_in() == before && room > 0 && plain.capacity() > 1 << 30 {
            return None;
        }
        plain.reserve(plain.len());
    }
}

/// A client's offer of permessage-deflate (RFC 7692) in its handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    Nothing,
    /// As browsers do: each side may keep its window.
    Takeover,
    /// The server may not keep its window, so that one compressed form fits all.
    NoTakeover,
}

/// A client's opening handshake for `path`.
pub fn request(path: &str, host: SocketAddr, key: &str, offer: Offer) -> String {
    const NAME: &str = "Sec-WebSocket-Extensions: permessage-deflate";
    let offer = match offer {
        Offer::Nothing => String::new(),
        Offer::Takeover => format!("{NAME}; client_max_window_bits\r\n"),
        Offer::NoTakeover => {
            format!("{NAME}; server_no_context_takeover; client_max_window_bits\r\n")
        }
    };
    format!(
        "GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\n\
         Connection: Upgrade\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Version: 13\r\n{offer}\r\n"
    )
}

/// The length of the head at the start of `bytes`, with the empty line.
pub fn head_end(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// The value of a header field of a head, if it is there.
pub fn field<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
    fields.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::DeflateEncoder;

    use super::*;

    #[test]
    fn masked_frames_are_relayed_unmasked() {
        for len in [0, 5, 125, 126, 65_535, 65_536] {
            let payload = vec![7; len];
            let frame = masked(BINARY, &payload);
            for cut in 0..frame.len().min(14) {
                let whole = Head::parse(&frame[..cut]).is_some_and(|h| h.payload.end <= cut);
                assert!(!whole, "{len} bytes, cut at {cut}");
            }
            let mut relayed = Vec::new();
            Head::parse(&frame).unwrap().relay(&frame, &mut relayed);
            assert_eq!(message(&relayed).unwrap(), (payload, false), "{len} bytes");
        }
    }

    #[test]
    fn a_compressed_message_is_read() {
        let text = b"abcdefgh".repeat(2000);
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        encoder.flush().unwrap();
        let mut payload = encoder.get_ref().clone();
        assert!(payload.ends_with(&[0, 0, 0xff, 0xff]));
        payload.truncate(payload.len() - 4);
        let mut header = [0; 10];
        let size = put_header(&mut header, payload.len() as u64);
        header[0] |= RSV1;
        let frame = [&header[..size], &payload].concat();
        assert_eq!(message(&frame).unwrap(), (text, true));
        assert!(message(&frame[..frame.len() - 1]).is_err());
    }

    #[test]
    fn fields_are_found_in_any_case() {
        let head = "GET / HTTP/1.1\r\nHost: a:1\r\nsec-websocket-key:  abc \r\n\r\n";
        assert_eq!(head_end(head.as_bytes()), Some(head.len()));
        assert_eq!(field(head, "Sec-WebSocket-Key"), Some("abc"));
        assert_eq!(field(head, "Origin"), None);
    }
}
