//! The rules that a peer can break after the handshake, one variant for each.

use std::fmt;

use super::close_code::CloseCode;

/// A rule of RFC 6455 or RFC 7692, or a limit of this endpoint, that the peer broke. It ends the
/// connection: the close frame carries [`code`](Self::code) and [`reason`](Self::reason).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Violation {
    /// A client's frame without a mask (RFC 6455 section 5.1).
    Unmasked,
    /// A server's frame with a mask (RFC 6455 section 5.1).
    Masked,
    /// RSV2 or RSV3 set, RSV1 set without compression agreed, or RSV1 on a frame that does not
    /// begin a message (RFC 6455 section 5.2, RFC 7692 section 6).
    ReservedBit,
    /// An opcode of 3 to 7 or 11 to 15 (RFC 6455 section 5.2).
    ReservedOpcode,
    /// A length in more bytes than it needs (RFC 6455 section 5.2).
    LengthNotMinimal,
    /// A 64-bit length with the top bit set (RFC 6455 section 5.2).
    LengthTopBit,
    /// A control frame of more than 125 bytes (RFC 6455 section 5.5).
    ControlTooLong,
    /// A control frame without FIN (RFC 6455 section 5.5).
    ControlFragmented,
    /// A continuation frame outside of a fragmented message (RFC 6455 section 5.4).
    ContinuationWithoutStart,
    /// A new message before the end of a fragmented one (RFC 6455 section 5.4).
    MessageInterrupted,
    /// A close frame whose payload is a single byte (RFC 6455 section 5.5.1).
    ClosePayloadOfOneByte,
    /// A close code that no endpoint may send (RFC 6455 section 7.4).
    CloseCode,
    /// A close reason that is not UTF-8 (RFC 6455 section 5.5.1).
    CloseReasonUtf8,
    /// Text that is not UTF-8 (RFC 6455 section 8.1).
    TextUtf8,
    /// Compressed data that does not inflate (RFC 7692 section 7.2.2).
    Deflate,
    /// A message longer than the limit (RFC 6455 section 10.4).
    MessageTooBig,
    /// A message in more fragments than the limit (RFC 6455 section 10.4).
    TooManyFragments,
    /// Messages faster than the limit (RFC 6455 section 7.4.1).
    MessageRate,
    /// Bytes faster than the limit (RFC 6455 section 7.4.1).
    ByteRate,
    /// Pings and pongs faster than the limit (RFC 6455 section 7.4.1).
    ControlRate,
}

impl Violation {
    /// The close code to send (RFC 6455 section 7.4.1).
    #[must_use]
    pub const fn code(self) -> CloseCode {
        match self {
            Self::TextUtf8 | Self::CloseReasonUtf8 | Self::Deflate => CloseCode::INVALID_PAYLOAD,
            Self::MessageTooBig => CloseCode::MESSAGE_TOO_BIG,
            Self::TooManyFragments | Self::MessageRate | Self::ByteRate | Self::ControlRate => {
                CloseCode::POLICY_VIOLATION
            }
            Self::Unmasked
            | Self::Masked
            | Self::ReservedBit
            | Self::ReservedOpcode
            | Self::LengthNotMinimal
            | Self::LengthTopBit
            | Self::ControlTooLong
            | Self::ControlFragmented
            | Self::ContinuationWithoutStart
            | Self::MessageInterrupted
            | Self::ClosePayloadOfOneByte
            | Self::CloseCode => CloseCode::PROTOCOL_ERROR,
        }
    }

    /// One line for the close frame and the log, shorter than the 123 bytes that a close frame can
    /// hold.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::Unmasked => "client frame without a mask",
            Self::Masked => "server frame with a mask",
            Self::ReservedBit => "reserved bit set",
            Self::ReservedOpcode => "reserved opcode",
            Self::LengthNotMinimal => "length not in its shortest form",
            Self::LengthTopBit => "64-bit length with its top bit set",
            Self::ControlTooLong => "control frame above 125 bytes",
            Self::ControlFragmented => "fragmented control frame",
            Self::ContinuationWithoutStart => "continuation without a message",
            Self::MessageInterrupted => "new message inside a fragmented one",
            Self::ClosePayloadOfOneByte => "close payload of one byte",
            Self::CloseCode => "close code not allowed",
            Self::CloseReasonUtf8 => "close reason is not UTF-8",
            Self::TextUtf8 => "text is not UTF-8",
            Self::Deflate => "compressed data does not inflate",
            Self::MessageTooBig => "message above the size limit",
            Self::TooManyFragments => "message in too many fragments",
            Self::MessageRate => "too many messages in a short time",
            Self::ByteRate => "too many bytes in a short time",
            Self::ControlRate => "too many pings and pongs in a short time",
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (close code {})", self.reason(), self.code())
    }
}

impl std::error::Error for Violation {}
