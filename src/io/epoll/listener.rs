//! The listening sockets of a loop.

use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{SocketFlags, accept_with, acceptfrom_with};

use crate::io::Accepts;

/// A connection that was accepted, with its peer if that was asked for.
pub(super) type Accepted = Result<(OwnedFd, Option<SocketAddr>), Errno>;

/// One listening socket.
#[derive(Debug)]
pub(super) struct Listener {
    /// `None` once it is closed.
    pub(super) socket: Option<OwnedFd>,
    /// How the worker has armed its accept.
    pub(super) armed: Option<Accepts>,
    /// The kernel has said that connections wait, and no accept has found none since.
    pub(super) is_ready: bool,
}

impl Listener {
    pub(super) const fn new(socket: OwnedFd) -> Self {
        Self { socket: Some(socket), armed: None, is_ready: false }
    }

    /// Closes the socket, so that the kernel refuses new connections.
    pub(super) fn close(&mut self) {
        (self.socket, self.is_ready) = (None, false);
    }

    /// How the next connection is to be accepted, if it is and may be there.
    pub(super) fn wanted(&self) -> Option<Accepts> {
        self.armed.filter(|_| self.is_ready)
    }

    /// The next connection, and the address of its peer if that is wanted.
    pub(super) fn accept(&self, kind: Accepts) -> Accepted {
        let listener = self.socket.as_ref().ok_or(Errno::CANCELED)?;
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        if !kind.tells_peers() {
            return Ok((accept_with(listener, flags)?, None));
        }
        let (socket, peer) = acceptfrom_with(listener, flags)?;
        Ok((socket, peer.and_then(|peer| SocketAddr::try_from(peer).ok()).map(plain)))
    }
}

/// An IPv4 address in IPv6 form, as a listener on `[::]` is told it, becomes an IPv4 address.
fn plain(peer: SocketAddr) -> SocketAddr {
    match peer.ip().to_canonical() {
        ip if ip.is_ipv4() => SocketAddr::new(ip, peer.port()),
        _ => peer,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mapped_addresses_become_those_of_ipv4() {
        for (told, expected) in [
            ("192.0.2.1:80", "192.0.2.1:80"),
            ("[2001:db8::1]:443", "[2001:db8::1]:443"),
            ("[fe80::1%3]:443", "[fe80::1%3]:443"),
            ("[::ffff:192.0.2.1]:443", "192.0.2.1:443"),
        ] {
            assert_eq!(plain(told.parse().unwrap()), expected.parse().unwrap());
        }
    }
}
