//! The payload of close frames: two bytes of close code, then a reason in UTF-8
//! (RFC 6455 section 5.5.1).

use bytes::BufMut;

use super::close_code::CloseCode;
use super::frame::{MAX_CONTROL_PAYLOAD, append_frame};
use super::opcode::Opcode;
use super::violation::Violation;

/// The bytes of the close code in front of the reason.
const CODE_LEN: usize = 2;

/// The longest reason of a close frame, in bytes.
pub const MAX_CLOSE_REASON: usize = MAX_CONTROL_PAYLOAD - CODE_LEN;

/// The code and reason in a received close frame: [`CloseCode::NO_STATUS`] and `""` if its payload
/// is empty.
///
/// # Errors
/// A payload of one byte, or a code that no endpoint may send, breaks RFC 6455 section 7.4; a
/// reason that is not UTF-8 breaks section 5.5.1.
pub fn parse_close(payload: &[u8]) -> Result<(CloseCode, &str), Violation> {
    match payload {
        [] => Ok((CloseCode::NO_STATUS, "")),
        [_] => Err(Violation::ClosePayloadOfOneByte),
        [high, low, reason @ ..] => {
            let code = CloseCode::from_wire(u16::from_be_bytes([*high, *low]))
                .ok_or(Violation::CloseCode)?;
            let reason = std::str::from_utf8(reason).map_err(|_| Violation::CloseReasonUtf8)?;
            Ok((code, reason))
        }
    }
}

/// The payload of a close frame to send: at most 125 bytes, stored inline.
#[derive(Clone, Copy, Debug)]
pub struct ClosePayload {
    bytes: [u8; MAX_CONTROL_PAYLOAD],
    len: usize,
}

impl ClosePayload {
    /// The payload for `code` and `reason`. A reason of more than [`MAX_CLOSE_REASON`] bytes is
    /// truncated at a character boundary.
    ///
    /// The codes that never appear on the wire, [`CloseCode::NO_STATUS`] and
    /// [`CloseCode::ABNORMAL`], give an empty payload (RFC 6455 section 7.4.1).
    #[must_use]
    pub fn new(code: CloseCode, reason: &str) -> Self {
        let mut payload = Self { bytes: [0; MAX_CONTROL_PAYLOAD], len: 0 };
        if CloseCode::from_wire(code.value()).is_none() {
            return payload;
        }
        let reason = &reason.as_bytes()[..reason.floor_char_boundary(MAX_CLOSE_REASON)];
        payload.len = CODE_LEN + reason.len();
        payload.bytes[..CODE_LEN].copy_from_slice(&code.value().to_be_bytes());
        payload.bytes[CODE_LEN..payload.len].copy_from_slice(reason);
        payload
    }

    /// The bytes to send, not masked.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The reason, as far as it is sent.
    #[must_use]
    pub fn reason(&self) -> &str {
        std::str::from_utf8(self.as_bytes().get(CODE_LEN..).unwrap_or_default()).unwrap_or_default()
    }
}

/// Appends a server's close frame with the payload of [`ClosePayload::new`].
pub fn append_close(out: &mut impl BufMut, code: CloseCode, reason: &str) {
    append_frame(out, Opcode::Close, false, ClosePayload::new(code, reason).as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_65536_codes() {
        for value in 0..=u16::MAX {
            let parsed = parse_close(&value.to_be_bytes()).map(|(code, _)| code.value());
            let allowed = CloseCode::from_wire(value).is_some();
            assert_eq!(parsed, if allowed { Ok(value) } else { Err(Violation::CloseCode) });
        }
    }

    #[test]
    fn payload_forms() {
        assert_eq!(parse_close(b""), Ok((CloseCode::NO_STATUS, "")));
        assert_eq!(parse_close(b"\x03"), Err(Violation::ClosePayloadOfOneByte));
        assert_eq!(parse_close(b"\x03\xE8bye"), Ok((CloseCode::NORMAL, "bye")));
        assert_eq!(parse_close(b"\x03\xE8\xFF"), Err(Violation::CloseReasonUtf8));
        assert_eq!(parse_close(b"\x03\xE8\xE2\x82"), Err(Violation::CloseReasonUtf8));
    }

    #[test]
    fn a_written_payload_parses_to_the_same_code_and_reason() {
        for reason in ["", "bye", &"r".repeat(MAX_CLOSE_REASON)] {
            let payload = ClosePayload::new(CloseCode::GOING_AWAY, reason);
            assert_eq!(parse_close(payload.as_bytes()), Ok((CloseCode::GOING_AWAY, reason)));
            assert_eq!(payload.reason(), reason);
        }
    }

    #[test]
    fn a_long_reason_is_truncated_at_a_character_boundary() {
        // 123 bytes end inside the 62nd character of two bytes, and after the 41st of three.
        for (text, kept) in [("\u{e9}", 61), ("\u{ac00}", 41), ("\u{1f600}", 30), ("x", 123)] {
            let payload = ClosePayload::new(CloseCode::NORMAL, &text.repeat(200));
            assert!(payload.as_bytes().len() <= MAX_CONTROL_PAYLOAD);
            let parsed = parse_close(payload.as_bytes());
            assert_eq!(parsed, Ok((CloseCode::NORMAL, &*text.repeat(kept))));
        }
    }

    #[test]
    fn codes_that_are_never_sent_give_an_empty_frame() {
        for code in [CloseCode::NO_STATUS, CloseCode::ABNORMAL] {
            let mut out = Vec::new();
            append_close(&mut out, code, "reason");
            assert_eq!(out, [0x88, 0]);
        }
        let mut out = Vec::new();
        append_close(&mut out, CloseCode::NORMAL, "ok");
        assert_eq!(out, [0x88, 4, 0x03, 0xE8, b'o', b'k']);
    }
}
