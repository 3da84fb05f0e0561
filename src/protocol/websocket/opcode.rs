//! Frame opcodes (RFC 6455 section 5.2).

/// The kind of a frame. Only the six opcodes that RFC 6455 defines can be represented; a header
/// with one of the ten reserved values is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Opcode {
    /// A further fragment of a message that a text or binary frame began.
    Continuation = 0x0,
    /// A text message, or its first fragment. The payload is UTF-8.
    Text = 0x1,
    /// A binary message, or its first fragment.
    Binary = 0x2,
    /// The close handshake (RFC 6455 section 5.5.1).
    Close = 0x8,
    /// Asks for a pong with the same payload (RFC 6455 section 5.5.2).
    Ping = 0x9,
    /// Answers a ping, or is sent unsolicited as a heartbeat (RFC 6455 section 5.5.3).
    Pong = 0xA,
}

impl Opcode {
    /// The opcode of the low four bits of `nibble`, or `None` for a reserved one (3-7, 11-15).
    #[inline]
    #[must_use]
    pub const fn from_nibble(nibble: u8) -> Option<Self> {
        match nibble & 0x0F {
            0x0 => Some(Self::Continuation),
            0x1 => Some(Self::Text),
            0x2 => Some(Self::Binary),
            0x8 => Some(Self::Close),
            0x9 => Some(Self::Ping),
            0xA => Some(Self::Pong),
            _ => None,
        }
    }

    /// Whether this is a control frame: at most 125 bytes, never fragmented (RFC 6455 section 5.5).
    #[inline]
    #[must_use]
    pub const fn is_control(self) -> bool {
        self as u8 & 0x8 != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn six_nibbles_are_defined_and_ten_reserved() {
        let defined: Vec<u8> = (0..16).filter(|n| Opcode::from_nibble(*n).is_some()).collect();
        assert_eq!(defined, [0x0, 0x1, 0x2, 0x8, 0x9, 0xA]);
        for nibble in defined {
            let opcode = Opcode::from_nibble(nibble).unwrap();
            assert_eq!(opcode as u8, nibble);
            assert_eq!(opcode.is_control(), nibble >= 8);
        }
    }
}
