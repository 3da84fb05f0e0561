//! Frame headers of both roles (RFC 6455 section 5.2).
//!
//! A client masks its frames, a server does not. A server parses with [`FrameHeader::parse`] and
//! writes with [`write_server_header`]; a client parses with [`FrameHeader::parse_from_server`]
//! and writes with [`write_client_header`].

use bytes::BufMut;

use super::mask::{MaskKey, unmask};
use super::opcode::Opcode;
use super::violation::Violation;

/// The longest header of a client's frame, in bytes: 2, a 64-bit length and the masking key.
pub const MAX_CLIENT_HEADER: usize = MAX_SERVER_HEADER + MASK_KEY_LEN;
/// The longest header of a server's frame, in bytes: 2 and a 64-bit length.
pub const MAX_SERVER_HEADER: usize = 10;
/// The longest payload of a control frame (RFC 6455 section 5.5).
pub const MAX_CONTROL_PAYLOAD: usize = 125;

const MASK_KEY_LEN: usize = 4;

const FIN: u8 = 0x80;
const RSV1: u8 = 0x40;
const RSV2_RSV3: u8 = 0x30;
const MASKED: u8 = 0x80;

/// Whether a frame whose first byte this is begins a compressed message (RFC 7692 section 6).
#[must_use]
pub const fn begins_compressed(first: u8) -> bool {
    first & RSV1 != 0
}

/// The header of one received frame. Every rule that a header alone can break has been checked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether this frame ends its message.
    pub fin: bool,
    /// RSV1: this frame begins a compressed message (RFC 7692 section 6).
    pub rsv1: bool,
    /// The kind of the frame.
    pub opcode: Opcode,
    /// The key that the payload is masked with; zero, which changes nothing, in a server's frame.
    pub mask: MaskKey,
    /// The bytes of payload that follow, below 2^63. Declared by the peer: never allocate by it.
    pub payload_len: u64,
    /// The bytes of this header: 6, 8 or 14 from a client, 2, 4 or 10 from a server.
    pub len: usize,
}

impl FrameHeader {
    /// The header of a client's frame at the start of `bytes`, or `None` while it is incomplete.
    /// `rsv1_allowed` says whether permessage-deflate was negotiated.
    ///
    /// # Errors
    /// The first rule of RFC 6455 section 5.1, 5.2 or 5.5 that the bytes so far break, as soon as
    /// they break it: a bad first byte is refused without waiting for the second.
    #[inline]
    pub fn parse(bytes: &[u8], rsv1_allowed: bool) -> Result<Option<Self>, Violation> {
        // Nearly every frame is short. This path only accepts; parse_any reports the errors.
        if let [first, second, k0, k1, k2, k3, ..] = *bytes {
            let short = second & 0x7F;
            let plain = first & (RSV1 | RSV2_RSV3) == 0 && second & MASKED != 0 && short < 126;
            if plain && let Some(opcode) = Opcode::from_nibble(first) {
                let fin = first & FIN != 0;
                if fin || !opcode.is_control() {
                    return Ok(Some(Self {
                        fin,
                        rsv1: false,
                        opcode,
                        mask: MaskKey::new([k0, k1, k2, k3]),
                        payload_len: u64::from(short),
                        len: 6,
                    }));
                }
            }
        }
        Self::parse_any::<true>(bytes, rsv1_allowed)
    }

    /// As [`parse`](Self::parse), for the other direction: the header of a server's frame, which
    /// must not be masked.
    ///
    /// # Errors
    /// As of [`parse`](Self::parse).
    pub fn parse_from_server(bytes: &[u8], rsv1_allowed: bool) -> Result<Option<Self>, Violation> {
        Self::parse_any::<false>(bytes, rsv1_allowed)
    }

    fn parse_any<const MASK: bool>(
        bytes: &[u8],
        rsv1_allowed: bool,
    ) -> Result<Option<Self>, Violation> {
        let Some(&first) = bytes.first() else { return Ok(None) };
        let (fin, rsv1) = (first & FIN != 0, first & RSV1 != 0);
        if first & RSV2_RSV3 != 0 || (rsv1 && !rsv1_allowed) {
            return Err(Violation::ReservedBit);
        }
        let opcode = Opcode::from_nibble(first).ok_or(Violation::ReservedOpcode)?;
        if rsv1 && !matches!(opcode, Opcode::Text | Opcode::Binary) {
            return Err(Violation::ReservedBit);
        }
        if opcode.is_control() && !fin {
            return Err(Violation::ControlFragmented);
        }

        let Some(&second) = bytes.get(1) else { return Ok(None) };
        match (second & MASKED != 0, MASK) {
            (false, true) => return Err(Violation::Unmasked),
            (true, false) => return Err(Violation::Masked),
            _ => {}
        }
        if opcode.is_control() && second & 0x7F > 125 {
            return Err(Violation::ControlTooLong);
        }
        let (payload_len, mask_at) = match second & 0x7F {
            126 => {
                let Some(&[high, low]) = bytes.get(2..).and_then(<[u8]>::first_chunk) else {
                    return Ok(None);
                };
                let len = u16::from_be_bytes([high, low]);
                if len < 126 {
                    return Err(Violation::LengthNotMinimal);
                }
                (u64::from(len), 4)
            }
            127 => {
                let Some(&first_of_eight) = bytes.get(2) else { return Ok(None) };
                if first_of_eight & 0x80 != 0 {
                    return Err(Violation::LengthTopBit);
                }
                let Some(eight) = bytes.get(2..).and_then(<[u8]>::first_chunk::<8>) else {
                    return Ok(None);
                };
                let len = u64::from_be_bytes(*eight);
                if len <= u64::from(u16::MAX) {
                    return Err(Violation::LengthNotMinimal);
                }
                (len, 10)
            }
            short => (u64::from(short), 2),
        };
        if !MASK {
            let mask = MaskKey::default();
            return Ok(Some(Self { fin, rsv1, opcode, mask, payload_len, len: mask_at }));
        }
        let Some(key) = bytes.get(mask_at..).and_then(<[u8]>::first_chunk::<4>) else {
            return Ok(None);
        };
        let mask = MaskKey::new(*key);
        let len = mask_at + MASK_KEY_LEN;
        Ok(Some(Self { fin, rsv1, opcode, mask, payload_len, len }))
    }
}

/// The length of a server's frame header before `payload_len` bytes of payload: 2, 4 or 10.
#[inline]
#[must_use]
pub const fn server_header_len(payload_len: usize) -> usize {
    match payload_len {
        0..=125 => 2,
        126..=0xFFFF => 4,
        _ => 10,
    }
}

/// Writes the header of an unfragmented server frame at the end of `room`, so that the payload can
/// follow directly after it. Returns the length of the header, [`server_header_len`].
///
/// # Panics
/// If `room` is shorter than the header.
#[inline]
pub fn write_server_header(
    room: &mut [u8],
    opcode: Opcode,
    rsv1: bool,
    payload_len: usize,
) -> usize {
    write_header::<0>(room, first_byte(true, rsv1, opcode), payload_len)
}

/// Appends one whole unfragmented server frame to `out`.
pub fn append_frame(out: &mut impl BufMut, opcode: Opcode, rsv1: bool, payload: &[u8]) {
    let mut header = [0; MAX_SERVER_HEADER];
    let len = write_server_header(&mut header, opcode, rsv1, payload.len());
    out.put_slice(&header[MAX_SERVER_HEADER - len..]);
    out.put_slice(payload);
}

/// Writes the header of a client's frame at the end of `room`; the payload that follows must be
/// masked with `key`. Returns the length of the header: 6, 8 or 14.
///
/// `fin` is false for every frame of a fragmented message but the last. RFC 6455 section 5.3 asks
/// for a fresh, unpredictable `key` for each frame.
///
/// # Panics
/// If `room` is shorter than the header.
pub fn write_client_header(
    room: &mut [u8],
    opcode: Opcode,
    fin: bool,
    rsv1: bool,
    payload_len: usize,
    key: MaskKey,
) -> usize {
    let key_at = room.len() - MASK_KEY_LEN;
    room[key_at..].copy_from_slice(&key.bytes());
    let first = first_byte(fin, rsv1, opcode);
    write_header::<MASKED>(&mut room[..key_at], first, payload_len) + MASK_KEY_LEN
}

/// Appends one whole unfragmented client frame to `out`, the payload masked with `key`.
pub fn append_client_frame(
    out: &mut Vec<u8>,
    opcode: Opcode,
    rsv1: bool,
    payload: &[u8],
    key: MaskKey,
) {
    let mut header = [0; MAX_CLIENT_HEADER];
    let len = write_client_header(&mut header, opcode, true, rsv1, payload.len(), key);
    out.extend_from_slice(&header[MAX_CLIENT_HEADER - len..]);
    let payload_at = out.len();
    out.extend_from_slice(payload);
    unmask(&mut out[payload_at..], key);
}

#[inline]
const fn first_byte(fin: bool, rsv1: bool, opcode: Opcode) -> u8 {
    (if fin { FIN } else { 0 }) | (if rsv1 { RSV1 } else { 0 }) | opcode as u8
}

/// Writes the first byte and the length, in its shortest form, at the end of `room`; `MASK` is the
/// mask bit of the second byte.
#[inline]
fn write_header<const MASK: u8>(room: &mut [u8], first: u8, payload_len: usize) -> usize {
    let at = room.len();
    match payload_len {
        #[allow(clippy::cast_possible_truncation, reason = "at most 125 by the pattern")]
        0..=125 => room[at - 2..].copy_from_slice(&[first, MASK | payload_len as u8]),
        #[allow(clippy::cast_possible_truncation, reason = "at most 65,535 by the pattern")]
        126..=0xFFFF => {
            let [high, low] = (payload_len as u16).to_be_bytes();
            room[at - 4..].copy_from_slice(&[first, MASK | 126, high, low]);
        }
        _ => {
            room[at - 10..at - 8].copy_from_slice(&[first, MASK | 127]);
            room[at - 8..].copy_from_slice(&(payload_len as u64).to_be_bytes());
        }
    }
    server_header_len(payload_len)
}

#[cfg(test)]
mod tests;
