//! A client's offer of `permessage-deflate`, read by the server and written by the client
//! (RFC 7692 section 7.1).

use super::agreement::{Agreement, NAME, write_parameters};
use super::extensions::{Item, Items, Value};
use crate::protocol::websocket::deflate::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The parameters of one offer of `permessage-deflate`. The default offers none of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct DeflateOffer {
    /// Asks the server to reset its window before each message.
    pub server_no_context_takeover: bool,
    /// Tells the server that the client will reset its own window before each message.
    pub client_no_context_takeover: bool,
    /// The largest window of the server's compressor, as a power of two from 8 to 15.
    pub server_max_window_bits: Option<u8>,
    /// Lets the server limit the window of the client's compressor: to any size (`Some(None)`), or
    /// starting from a power of two from 8 to 15.
    pub client_max_window_bits: Option<Option<u8>>,
}

impl DeflateOffer {
    /// Appends the value of the request's `Sec-WebSocket-Extensions` header. Window sizes outside
    /// of 8 to 15 are clamped.
    pub fn write(&self, out: &mut Vec<u8>) {
        let clamp = |bits: u8| bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
        write_parameters(
            out,
            self.server_no_context_takeover,
            self.client_no_context_takeover,
            self.server_max_window_bits.map(|bits| Some(clamp(bits))),
            self.client_max_window_bits.map(|bits| bits.map(clamp)),
        );
    }

    /// The first acceptable list of `permessage-deflate` parameters in one header value. Lists with
    /// an unknown, repeated or malformed parameter are passed over, as are other extensions.
    pub(super) fn first_in(value: &str) -> Option<Self> {
        let mut offer: Option<Self> = None;
        for item in Items::new(value) {
            match item {
                Ok(Item::Extension(_)) if offer.is_some() => break,
                Ok(Item::Extension(name)) => offer = (name == NAME).then(Self::default),
                Ok(Item::Param(name, value)) => {
                    offer = offer.and_then(|offer| offer.with(name, value));
                }
                Err(_) => offer = None,
            }
        }
        offer
    }

    /// The offer with one more parameter; `None` if that makes it unacceptable.
    fn with(mut self, name: &str, value: Option<Value<'_>>) -> Option<Self> {
        let fresh = match (name, value) {
            ("server_no_context_takeover", None) => {
                !std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            ("client_no_context_takeover", None) => {
                !std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            ("server_max_window_bits", Some(value)) => {
                self.server_max_window_bits.replace(window_bits(value)?).is_none()
            }
            ("client_max_window_bits", None) => self.client_max_window_bits.replace(None).is_none(),
            ("client_max_window_bits", Some(value)) => {
                self.client_max_window_bits.replace(Some(window_bits(value)?)).is_none()
            }
            _ => false,
        };
        fresh.then_some(self)
    }

    /// The parameters in a server's response, or `None` if this offer does not allow them
    /// (RFC 7692 sections 7.1.1 and 7.1.2). `response` is the value of the response's
    /// `Sec-WebSocket-Extensions`.
    ///
    /// Without being asked, a server may limit its own window and the takeover of both sides. It
    /// may limit the client's window only if that was offered, and must keep to the offered limits.
    pub(super) fn agreed(&self, response: &str) -> Option<Agreement> {
        if Items::count(response) != Some(1) {
            return None;
        }
        let answer = Self::first_in(response)?;
        let client_limit = answer.client_max_window_bits.map(|bits| bits.ok_or(())).transpose();
        let client_limit = client_limit.ok()?;
        let agreement = Agreement {
            server_no_context_takeover: answer.server_no_context_takeover,
            client_no_context_takeover: answer.client_no_context_takeover,
            server_max_window_bits: answer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS),
            client_max_window_bits: client_limit.unwrap_or(MAX_WINDOW_BITS),
            answers_server_bits: answer.server_max_window_bits.is_some(),
            answers_client_bits: client_limit.is_some(),
        };
        let allowed = match (client_limit, self.client_max_window_bits) {
            (Some(limit), Some(offered)) => limit <= offered.unwrap_or(MAX_WINDOW_BITS),
            (Some(_), None) => false,
            (None, _) => true,
        };
        let server_limit = self.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS);
        let granted = agreement.server_max_window_bits <= server_limit
            && (agreement.server_no_context_takeover || !self.server_no_context_takeover);
        (allowed && granted).then_some(agreement)
    }
}

/// A number from 8 to 15 without leading zeros (RFC 7692 section 7.1.2.1).
fn window_bits(value: Value<'_>) -> Option<u8> {
    let mut digits = value.bytes();
    match (digits.next()?, digits.next(), digits.next()) {
        (digit @ b'8'..=b'9', None, None) => Some(digit - b'0'),
        (b'1', Some(digit @ b'0'..=b'5'), None) => Some(10 + digit - b'0'),
        _ => None,
    }
}
