//! The address of a client behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-For`.
//!
//! Anybody can send such headers. So an address in them counts only if all who have passed it on
//! are trusted: the list is read from its end, which the nearest proxy has written.

mod element;
mod network;
#[cfg(test)]
mod tests;

use std::net::IpAddr;

use super::headers::{Elements, Headers, Values};
use element::Hops;
pub use network::{Network, NetworkError};

/// The proxies whose `Forwarded` and `X-Forwarded-For` headers are believed. By default none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TrustedProxies {
    /// Their networks.
    pub networks: Vec<Network>,
    /// Whether peers on Unix-domain sockets, which have no address, are such proxies.
    pub unix: bool,
}

/// What is known after a part of the hops, in the order in which the proxies have added them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Found {
    Nothing,
    /// Of trusted addresses alone, the first: the client is a proxy itself.
    Trusted(IpAddr),
    /// The last address that is not trusted.
    Client(IpAddr),
    /// A hop that has no address, so what comes before it is not known to be true.
    Obscure,
}

impl Found {
    /// Adds the next hop; `None` has no address.
    fn add(&mut self, hop: Option<IpAddr>, proxies: &TrustedProxies) {
        *self = match (*self, hop.map(|address| address.to_canonical())) {
            (_, None) => Self::Obscure,
            (_, Some(address)) if !proxies.trusts(Some(address)) => Self::Client(address),
            (Self::Nothing, Some(address)) => Self::Trusted(address),
            (before, Some(_)) => before,
        };
    }

    const fn address(self) -> Option<IpAddr> {
        match self {
            Self::Trusted(address) | Self::Client(address) => Some(address),
            Self::Nothing | Self::Obscure => None,
        }
    }
}

impl TrustedProxies {
    /// Whether no proxy is trusted, so that the headers mean nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.networks.is_empty() && !self.unix
    }

    /// Whether a peer with this address is a trusted proxy; `None` is one on a Unix-domain socket.
    #[must_use]
    pub fn trusts(&self, peer: Option<IpAddr>) -> bool {
        match peer {
            Some(address) => self.networks.iter().any(|network| network.contains(address)),
            None => self.unix,
        }
    }

    /// Whether the proxy from which a request with these headers came says that its client has used
    /// https, by `Forwarded` or `X-Forwarded-Proto`. No, if it is not trusted, or if the headers
    /// differ.
    #[must_use]
    pub fn is_https(&self, peer: Option<IpAddr>, headers: &Headers<'_>) -> bool {
        if !self.trusts(peer) {
            return false;
        }
        let mut forwarded = None;
        for line in bytes_of(Values::new("forwarded", None, headers.clone())) {
            let mut hops = Hops::new(line);
            hops.by_ref().for_each(drop);
            forwarded = if hops.is_sound() { hops.is_https() } else { Some(false) };
        }
        let mut named = None;
        let mut protocols = Elements::new(Values::new("x-forwarded-proto", None, headers.clone()));
        while let Some(protocol) = protocols.next_bytes() {
            named = Some(protocol.eq_ignore_ascii_case(b"https"));
        }
        [forwarded, named].contains(&Some(true)) && ![forwarded, named].contains(&Some(false))
    }

    /// The address of the client whose request has these headers, and came from `peer`: the last
    /// hop that is no trusted proxy. It is that of the peer itself if the peer is not trusted, and
    /// also if the headers are malformed, hide the address, or say different things: a client can
    /// send the header that its proxy does not write.
    #[must_use]
    pub fn client(&self, peer: Option<IpAddr>, headers: &Headers<'_>) -> Option<IpAddr> {
        if !self.trusts(peer) {
            return peer;
        }
        let mut forwarded = Found::Nothing;
        for line in bytes_of(Values::new("forwarded", None, headers.clone())) {
            let mut hops = Hops::new(line);
            for hop in hops.by_ref() {
                forwarded.add(hop, self);
            }
            if !hops.is_sound() {
                forwarded = Found::Obscure;
            }
        }
        let mut listed = Found::Nothing;
        let mut addresses = Elements::new(Values::new("x-forwarded-for", None, headers.clone()));
        while let Some(address) = addresses.next_bytes() {
            let address = std::str::from_utf8(address).ok().and_then(loose_address);
            listed.add(address, self);
        }
        let found = match (forwarded, listed) {
            (found, Found::Nothing) | (Found::Nothing, found) => found.address(),
            (one, other) => one.address().filter(|address| other.address() == Some(*address)),
        };
        found.or(peer)
    }
}

/// All values of a field.
fn bytes_of(mut values: Values<'_>) -> impl Iterator<Item = &[u8]> {
    std::iter::from_fn(move || values.next_bytes())
}

/// An address of `X-Forwarded-For`, which no standard describes: IPv6 with and without brackets,
/// and both with a port or without.
fn loose_address(text: &str) -> Option<IpAddr> {
    text.parse().ok().or_else(|| element::node(text))
}
