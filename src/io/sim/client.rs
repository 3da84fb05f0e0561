//! Names of the client's side of a connection.

use std::net::SocketAddr;

/// A simulated client: its connection, from the client's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub(super) usize);

impl ClientId {
    /// The address that the client connects from: IPv4 and IPv6 in turn, each another.
    #[must_use]
    pub fn address(self) -> SocketAddr {
        #[allow(clippy::cast_possible_truncation, reason = "not so many clients")]
        let number = self.0 as u32;
        let [_, a, b, c] = number.to_be_bytes();
        match number % 2 {
            0 => SocketAddr::from(([10, a, b, c], 40_000)),
            _ => SocketAddr::from((
                [0xfd00, 0, 0, 0, 0, 0, u16::from(a), u16::from_be_bytes([b, c])],
                40_000,
            )),
        }
    }
}

/// How the server ended its direction of a connection, as the client sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerEnd {
    /// The end of the stream: all that was sent has arrived.
    Fin,
    /// Reset: bytes may be lost in both directions.
    Reset,
}

impl ServerEnd {
    pub(super) const RESET: Option<Self> = Some(Self::Reset);
}
