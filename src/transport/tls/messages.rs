//! Messages of the handshake protocol that come after the handshake (RFC 8446 section 4.6, RFC 5246
//! section 7.4): they may be split over records, and a record may have several.

use rustls::AlertDescription as Alert;

use super::fault::Fault;
use super::keys::Version;

const CLIENT_HELLO: u8 = 1;
const KEY_UPDATE: u8 = 24;
/// The longest `ClientHello`.
const LONGEST: u32 = 0xffff;
const HEADER: u8 = 4;

/// A message that was completed.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Message {
    /// The peer uses its next keys from here on.
    KeyUpdate {
        /// And asks for the same.
        is_requested: bool,
    },
    /// The client wants to begin anew.
    Renegotiation,
}

/// A message of which a part has come.
#[derive(Debug, Default)]
pub(super) struct Partial {
    header: [u8; HEADER as usize],
    /// The bytes of the header that have come.
    len: u8,
    /// The bytes behind the header that are still to come.
    left: u32,
}

impl Partial {
    /// Whether no part of a message has come.
    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Takes the next byte of a message, which is returned when it is complete. The content of a
    /// `ClientHello` is not looked at: it is refused.
    pub(super) fn take(&mut self, version: Version, byte: u8) -> Result<Option<Message>, Fault> {
        if self.len < HEADER {
            if let Some(place) = self.header.get_mut(usize::from(self.len)) {
                *place = byte;
            }
            self.len += 1;
            if self.len == 1 && byte != expected(version) {
                let what = "a message that is not allowed after the handshake";
                return Err(Fault::Records(Alert::UnexpectedMessage, what));
            }
            if self.len < HEADER {
                return Ok(None);
            }
            let [_, high, middle, low] = self.header;
            self.left = u32::from_be_bytes([0, high, middle, low]);
            let is_fine = match version {
                Version::Tls13 => self.left == 1,
                Version::Tls12 => self.left <= LONGEST,
            };
            if !is_fine {
                return Err(Fault::Records(Alert::DecodeError, "a message of a wrong length"));
            }
        } else {
            self.left = self.left.saturating_sub(1);
        }
        if self.left > 0 {
            return Ok(None);
        }
        *self = Self::default();
        match (version, byte) {
            (Version::Tls12, _) => Ok(Some(Message::Renegotiation)),
            (Version::Tls13, 0 | 1) => Ok(Some(Message::KeyUpdate { is_requested: byte == 1 })),
            (Version::Tls13, _) => {
                Err(Fault::Records(Alert::IllegalParameter, "an update of keys that is none"))
            }
        }
    }
}

const fn expected(version: Version) -> u8 {
    match version {
        Version::Tls13 => KEY_UPDATE,
        Version::Tls12 => CLIENT_HELLO,
    }
}
