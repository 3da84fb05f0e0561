//! Negotiation of `permessage-deflate` (RFC 7692 section 7.1).

use super::extensions::{Item, Items, Value};

/// Window sizes are powers of two; this is the exponent of the largest, 32 KiB.
const MAX_BITS: u8 = 15;
/// The exponent of the smallest window, 256 bytes.
const MIN_BITS: u8 = 8;

/// What the server wants of `permessage-deflate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflatePolicy {
    /// Whether compression is negotiated at all. Default false.
    pub enabled: bool,
    /// Largest window of the server's compressor, as a power of two: 8 to 15, default 15.
    /// Values outside are brought into the range.
    pub server_max_window_bits: u8,
    /// Largest window wanted of the client's compressor: 8 to 15, default 15. Only a client
    /// that offers `client_max_window_bits` can be held to it; others keep 15.
    pub client_max_window_bits: u8,
    /// Whether the server may keep its window from message to message. Default false.
    pub server_context_takeover: bool,
    /// Whether the client may keep its window from message to message. Default false.
    pub client_context_takeover: bool,
}

impl Default for DeflatePolicy {
    fn default() -> Self {
        Self {
            enabled: false,
            server_max_window_bits: MAX_BITS,
            client_max_window_bits: MAX_BITS,
            server_context_takeover: false,
            client_context_takeover: false,
        }
    }
}

/// The parameters of `permessage-deflate` that hold for one connection.
///
/// A `server_max_window_bits` of 8 binds the server to distances of at most 256 bytes, which
/// not every compressor can be set to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Agreement {
    /// The server empties its window before each message; in the answer when true.
    pub server_no_context_takeover: bool,
    /// The client empties its window before each message; in the answer when true.
    pub client_no_context_takeover: bool,
    /// Window of the server's compressor, as a power of two from 8 to 15.
    pub server_max_window_bits: u8,
    /// Window of the client's compressor, as a power of two from 8 to 15.
    pub client_max_window_bits: u8,
    /// Whether `server_max_window_bits` stands in the answer; if not, it is 15.
    pub answers_server_bits: bool,
    /// Whether `client_max_window_bits` stands in the answer; if not, it is 15.
    pub answers_client_bits: bool,
}

impl Agreement {
    /// Appends the value of the `Sec-WebSocket-Extensions` header of the answer.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(NAME.as_bytes());
        if self.server_no_context_takeover {
            out.extend_from_slice(b"; server_no_context_takeover");
        }
        if self.client_no_context_takeover {
            out.extend_from_slice(b"; client_no_context_takeover");
        }
        if self.answers_server_bits {
            out.extend_from_slice(b"; server_max_window_bits=");
            write_bits(out, self.server_max_window_bits);
        }
        if self.answers_client_bits {
            out.extend_from_slice(b"; client_max_window_bits=");
            write_bits(out, self.client_max_window_bits);
        }
    }
}

/// Appends a number below 100 in decimal.
fn write_bits(out: &mut Vec<u8>, bits: u8) {
    if bits >= 10 {
        out.push(b'0' + bits / 10 % 10);
    }
    out.push(b'0' + bits % 10);
}

const NAME: &str = "permessage-deflate";

/// Picks the first acceptable offer of `permessage-deflate`, in the client's order of preference.
///
/// `values` are the `Sec-WebSocket-Extensions` header values of a parsed request. An offer with
/// an unknown, repeated or malformed parameter is passed over (RFC 7692 section 7.1), as are
/// other extensions; `None` means that the connection goes on without compression. A request
/// whose header breaks the grammar never gets here, because [`parse`](super::parse) refuses it;
/// should such a value come from elsewhere, its offers up to the fault count, except the one
/// that the fault is next to.
///
/// The answer follows the offer and the policy:
/// * both `no_context_takeover` parameters: when offered, or when the policy forbids takeover
///   (sections 7.1.1.1 and 7.1.1.2 let the server add them unasked);
/// * `server_max_window_bits`: the smaller of offer and policy, when offered or below 15;
/// * `client_max_window_bits`: only if offered (section 7.1.2.2); the smaller of its value and
///   the policy, when it was offered with a value or the policy is below 15.
pub fn deflate<'a>(
    values: impl Iterator<Item = &'a str>,
    policy: &DeflatePolicy,
) -> Option<Agreement> {
    if !policy.enabled {
        return None;
    }
    for value in values {
        let mut offer: Option<Offer> = None;
        for item in Items::new(value) {
            match item {
                Ok(Item::Extension(_)) if offer.is_some() => break,
                Ok(Item::Extension(name)) => offer = (name == NAME).then(Offer::default),
                Ok(Item::Param(name, value)) => {
                    offer = offer.and_then(|offer| offer.with(name, value));
                }
                Err(_) => offer = None,
            }
        }
        if let Some(offer) = offer {
            return Some(offer.accept(policy));
        }
    }
    None
}

/// One offer of `permessage-deflate`, as far as it has been read.
#[derive(Default, Clone, Copy)]
struct Offer {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_bits: Option<u8>,
    /// The inner option is the value: the parameter may come without one.
    client_bits: Option<Option<u8>>,
}

impl Offer {
    /// The offer with one more parameter; `None` if it has to be declined for it.
    fn with(mut self, name: &str, value: Option<Value<'_>>) -> Option<Self> {
        let fresh = match (name, value) {
            ("server_no_context_takeover", None) => {
                !std::mem::replace(&mut self.server_no_context_takeover, true)
            }
            ("client_no_context_takeover", None) => {
                !std::mem::replace(&mut self.client_no_context_takeover, true)
            }
            ("server_max_window_bits", Some(value)) => {
                self.server_bits.replace(window_bits(value)?).is_none()
            }
            ("client_max_window_bits", None) => self.client_bits.replace(None).is_none(),
            ("client_max_window_bits", Some(value)) => {
                self.client_bits.replace(Some(window_bits(value)?)).is_none()
            }
            _ => false,
        };
        fresh.then_some(self)
    }

    fn accept(self, policy: &DeflatePolicy) -> Agreement {
        let wanted = |bits: u8| bits.clamp(MIN_BITS, MAX_BITS);
        let server =
            wanted(policy.server_max_window_bits).min(self.server_bits.unwrap_or(MAX_BITS));
        let client = self.client_bits.map_or(MAX_BITS, |value| {
            wanted(policy.client_max_window_bits).min(value.unwrap_or(MAX_BITS))
        });
        let client_value = self.client_bits.is_some_and(|value| value.is_some());
        Agreement {
            server_no_context_takeover: self.server_no_context_takeover
                || !policy.server_context_takeover,
            client_no_context_takeover: self.client_no_context_takeover
                || !policy.client_context_takeover,
            server_max_window_bits: server,
            client_max_window_bits: client,
            answers_server_bits: self.server_bits.is_some() || server < MAX_BITS,
            answers_client_bits: client_value || client < MAX_BITS,
        }
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
