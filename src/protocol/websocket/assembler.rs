//! Assembles messages that do not arrive in one piece: fragmented ones, frames larger than a
//! receive buffer, and compressed ones (RFC 6455 section 5.4).

use super::deflate::{InflateError, Inflater};
use super::frame::{FrameHeader, MAX_SERVER_HEADER};
use super::mask::{MaskKey, unmask};
use super::opcode::Opcode;
use super::utf8::{Validator, unmask_text};
use super::violation::Violation;

/// How much one call of [`Assembler::push`] decompresses, approximately.
const INFLATED_AT_ONCE: usize = 64 << 10;

/// The limits on one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLimits {
    /// The largest number of bytes, after decompression.
    pub bytes: usize,
    /// The largest number of frames.
    pub fragments: u32,
}

impl MessageLimits {
    /// The largest number of compressed bytes that a message within the limit can need, including
    /// the overhead of stored blocks and a few flushes. Without it a stream of empty blocks, which
    /// inflates to nothing, would never reach a limit.
    const fn compressed(self) -> u64 {
        let bytes = self.bytes as u64;
        bytes.saturating_add(bytes / 256).saturating_add(1024)
    }
}

/// One incomplete message. Its payload grows by bytes received, never by a declared length. It is
/// preceded by [`MAX_SERVER_HEADER`] bytes of room, so that a reply can be sent from the same
/// memory.
#[derive(Debug)]
pub struct Assembler {
    opcode: Opcode,
    inflater: Option<Box<Inflater>>,
    buffer: Vec<u8>,
    validator: Validator,
    fragments: u32,
    /// The payload bytes that the headers so far declared.
    declared: u64,
}

impl Assembler {
    /// Begins a message of `opcode` (text or binary) in `buffer`, whose contents are dropped. The
    /// message is compressed if there is an `inflater`.
    #[must_use]
    pub fn new(opcode: Opcode, mut buffer: Vec<u8>, inflater: Option<Box<Inflater>>) -> Self {
        buffer.clear();
        buffer.resize(MAX_SERVER_HEADER, 0);
        let validator = Validator::new();
        Self { opcode, inflater, buffer, validator, fragments: 0, declared: 0 }
    }

    /// Counts a frame of the message, before its payload arrives.
    ///
    /// # Errors
    /// [`Violation::MessageTooBig`] or [`Violation::TooManyFragments`], from the header alone.
    pub fn frame(&mut self, header: &FrameHeader, limits: MessageLimits) -> Result<(), Violation> {
        self.fragments += 1;
        if self.fragments > limits.fragments {
            return Err(Violation::TooManyFragments);
        }
        self.declared = self.declared.saturating_add(header.payload_len);
        let most = match self.inflater {
            Some(_) => limits.compressed(),
            None => limits.bytes as u64,
        };
        if self.declared > most { Err(Violation::MessageTooBig) } else { Ok(()) }
    }

    /// Adds payload bytes as received, masked with `mask`. Text is unmasked and validated in one
    /// pass. Returns how many were added: of a compressed message not all, if the first of them
    /// become more than about 64 KiB. The others are left as they were, to be passed again.
    ///
    /// # Errors
    /// Text that can no longer become UTF-8, data that does not inflate, or a message above the
    /// limit.
    pub fn push(
        &mut self,
        payload: &mut [u8],
        mask: MaskKey,
        limits: MessageLimits,
    ) -> Result<usize, Violation> {
        let Some(inflater) = &mut self.inflater else {
            if self.opcode == Opcode::Text {
                unmask_text(payload, mask, &mut self.validator).map_err(|_| Violation::TextUtf8)?;
            } else {
                unmask(payload, mask);
            }
            self.buffer.extend_from_slice(payload);
            return Ok(payload.len());
        };
        unmask(payload, mask);
        let before = self.buffer.len();
        let used = inflater
            .push(payload, &mut self.buffer, MAX_SERVER_HEADER, limits.bytes, INFLATED_AT_ONCE)
            .map_err(inflate_violation)?;
        unmask(payload.get_mut(used..).unwrap_or_default(), mask.advanced(used));
        self.validate_from(before)?;
        Ok(used)
    }

    /// Ends the message: the rest of the inflater's output is added, and text must not end inside a
    /// character.
    ///
    /// # Errors
    /// As [`push`](Self::push).
    pub fn finish(&mut self, limits: MessageLimits) -> Result<(), Violation> {
        if let Some(inflater) = &mut self.inflater {
            let before = self.buffer.len();
            inflater
                .finish(&mut self.buffer, MAX_SERVER_HEADER, limits.bytes)
                .map_err(inflate_violation)?;
            self.validate_from(before)?;
        }
        if self.opcode == Opcode::Text && !self.validator.is_complete() {
            return Err(Violation::TextUtf8);
        }
        Ok(())
    }

    fn validate_from(&mut self, before: usize) -> Result<(), Violation> {
        if self.opcode != Opcode::Text {
            return Ok(());
        }
        let added = self.buffer.get(before..).unwrap_or_default();
        self.validator.push(added).map_err(|_| Violation::TextUtf8)
    }

    /// The memory that it holds, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let inflater = self.inflater.as_ref().map_or(0, |inflater| inflater.memory());
        self.buffer.capacity() + inflater + size_of::<Self>()
    }

    /// The bytes for which there is room. When that grows, the message so far is copied.
    #[must_use]
    pub const fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// The bytes of the message so far, after decompression.
    #[must_use]
    #[allow(clippy::len_without_is_empty, reason = "a length in bytes, not of a collection")]
    pub const fn len(&self) -> usize {
        self.buffer.len() - MAX_SERVER_HEADER
    }

    /// The message so far, after decompression.
    #[must_use]
    pub fn payload(&self) -> &[u8] {
        self.buffer.get(MAX_SERVER_HEADER..).unwrap_or_default()
    }

    /// [`Opcode::Text`] or [`Opcode::Binary`].
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// Whether the message is compressed.
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.inflater.is_some()
    }

    /// The memory, with the payload after [`MAX_SERVER_HEADER`] bytes of room, and the inflater.
    #[must_use]
    pub fn into_parts(self) -> (Vec<u8>, Option<Box<Inflater>>) {
        (self.buffer, self.inflater)
    }
}

const fn inflate_violation(error: InflateError) -> Violation {
    match error {
        InflateError::TooLarge => Violation::MessageTooBig,
        _ => Violation::Deflate,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLAIN: MaskKey = MaskKey::new([0; 4]);
    const LIMITS: MessageLimits = MessageLimits { bytes: 10, fragments: 3 };

    fn header(payload_len: u64) -> FrameHeader {
        let mask = MaskKey::new([0; 4]);
        FrameHeader { fin: false, rsv1: false, opcode: Opcode::Text, mask, payload_len, len: 6 }
    }

    fn text() -> Assembler {
        Assembler::new(Opcode::Text, vec![9; 99], None)
    }

    #[test]
    fn pieces_become_one_message_behind_room_for_a_header() {
        let mut message = text();
        for piece in ["he", "", "llo \u{ac00}"] {
            message.frame(&header(piece.len() as u64), LIMITS).unwrap();
            for byte in piece.as_bytes() {
                let mask = MaskKey::new([7, 8, 9, 10]);
                message.push(&mut [*byte ^ 7], mask, LIMITS).unwrap();
            }
        }
        message.finish(LIMITS).unwrap();
        let (buffer, _) = message.into_parts();
        assert_eq!(&buffer[MAX_SERVER_HEADER..], "hello \u{ac00}".as_bytes());
    }

    #[test]
    fn bytes_are_capped_by_what_headers_declare_before_any_arrive() {
        let mut message = text();
        assert_eq!(message.frame(&header(10), LIMITS), Ok(()));
        assert_eq!(message.frame(&header(0), LIMITS), Ok(()));
        assert_eq!(message.frame(&header(1), LIMITS), Err(Violation::MessageTooBig));
        let mut message = text();
        assert_eq!(message.frame(&header(1 << 62), LIMITS), Err(Violation::MessageTooBig));
        assert_eq!(message.frame(&header(u64::MAX), LIMITS), Err(Violation::MessageTooBig));
        assert!(message.into_parts().0.capacity() < 200);
    }

    #[test]
    fn fragments_are_counted() {
        let mut message = text();
        for _ in 0..3 {
            assert_eq!(message.frame(&header(0), LIMITS), Ok(()));
        }
        assert_eq!(message.frame(&header(0), LIMITS), Err(Violation::TooManyFragments));
    }

    #[test]
    fn text_fails_with_its_first_bad_byte_and_when_it_ends_inside_a_character() {
        let mut message = text();
        assert_eq!(message.push(&mut b"ok\xE2".to_vec(), PLAIN, LIMITS), Ok(3));
        assert_eq!(message.finish(LIMITS), Err(Violation::TextUtf8));
        assert_eq!(message.push(&mut [0x28], PLAIN, LIMITS), Err(Violation::TextUtf8));
        let mut binary = Assembler::new(Opcode::Binary, Vec::new(), None);
        assert_eq!(binary.push(&mut [0xFF, 0xE2], PLAIN, LIMITS), Ok(2));
        assert_eq!(binary.finish(LIMITS), Ok(()));
    }
}
