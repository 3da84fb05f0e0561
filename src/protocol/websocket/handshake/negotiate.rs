//! The server's choice of `permessage-deflate` parameters (RFC 7692 section 7.1).

use super::agreement::Agreement;
use super::offer::DeflateOffer;
use crate::protocol::websocket::deflate::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The parameters of `permessage-deflate` that a server agrees to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeflatePolicy {
    /// Whether compression is negotiated at all. Default false.
    pub enabled: bool,
    /// The largest window of the server's compressor, as a power of two: 8 to 15, default 15.
    /// Other values are clamped.
    pub server_max_window_bits: u8,
    /// The largest window of the client's compressor: 8 to 15, default 15. It applies only to
    /// clients that offer `client_max_window_bits`; others use 15.
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
            server_max_window_bits: MAX_WINDOW_BITS,
            client_max_window_bits: MAX_WINDOW_BITS,
            server_context_takeover: false,
            client_context_takeover: false,
        }
    }
}

/// Accepts the first acceptable offer of `permessage-deflate`, in the client's order of
/// preference. `None` means that the connection is not compressed.
///
/// `values` are the `Sec-WebSocket-Extensions` values of a parsed request. An offer with an
/// unknown, repeated or malformed parameter is passed over (RFC 7692 section 7.1), as are other
/// extensions. [`parse`](super::request::parse) refuses a request whose header is off the grammar;
/// in such a value from another source, the offers before the error count, except for the one next
/// to it.
///
/// The response follows from offer and policy:
/// * both `no_context_takeover` parameters: if offered, or if the policy forbids takeover
///   (sections 7.1.1.1 and 7.1.1.2 let the server add them unasked);
/// * `server_max_window_bits`: the smaller of offer and policy, if offered or below 15;
/// * `client_max_window_bits`: only if offered (section 7.1.2.2); the smaller of its value and the
///   policy, if it was offered with a value or the policy is below 15.
pub fn negotiate_deflate<'a>(
    mut values: impl Iterator<Item = &'a str>,
    policy: &DeflatePolicy,
) -> Option<Agreement> {
    if !policy.enabled {
        return None;
    }
    values.find_map(DeflateOffer::first_in).map(|offer| accept(&offer, policy))
}

fn accept(offer: &DeflateOffer, policy: &DeflatePolicy) -> Agreement {
    let clamp = |bits: u8| bits.clamp(MIN_WINDOW_BITS, MAX_WINDOW_BITS);
    let server = clamp(policy.server_max_window_bits)
        .min(offer.server_max_window_bits.unwrap_or(MAX_WINDOW_BITS));
    let client = offer.client_max_window_bits.map_or(MAX_WINDOW_BITS, |value| {
        clamp(policy.client_max_window_bits).min(value.unwrap_or(MAX_WINDOW_BITS))
    });
    let client_value = offer.client_max_window_bits.is_some_and(|value| value.is_some());
    Agreement {
        server_no_context_takeover: offer.server_no_context_takeover
            || !policy.server_context_takeover,
        client_no_context_takeover: offer.client_no_context_takeover
            || !policy.client_context_takeover,
        server_max_window_bits: server,
        client_max_window_bits: client,
        answers_server_bits: offer.server_max_window_bits.is_some() || server < MAX_WINDOW_BITS,
        answers_client_bits: client_value || client < MAX_WINDOW_BITS,
    }
}
