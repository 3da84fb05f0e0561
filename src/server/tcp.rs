//! TCP sockets that listen: one for each address on each loop, sharing the port.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::Instant;

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, getsockname, ipproto, listen,
    socket_with, sockopt,
};

use super::listen::{BACKLOG, Pauses};
use super::overlap::canonical;
use crate::error::Error;

/// The IP versions of which a listener accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// An IPv6 socket that accepts IPv4 as well (dual-stack): `[::]`.
    Both,
}

/// An address that overlaps no other one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Planned {
    address: SocketAddr,
    family: Family,
}

impl Planned {
    /// Binds the address once for each loop, so that the kernel spreads connections over the loops.
    /// Returns the address with the port that the system chose.
    pub(super) fn bind(
        self,
        loops: usize,
        deadline: Instant,
    ) -> Result<(SocketAddr, Vec<OwnedFd>), Error> {
        let Self { address, family } = self;
        let fail = |source: io::Error| Error::Listen { address, source };
        // With SO_REUSEPORT this server could share the port with another process of the same user
        // that set it as well. So the first socket binds without it, which the kernel refuses if
        // another process listens there, and sets it afterwards.
        let first = open_exclusive(address, family, deadline).map_err(fail)?;
        let actual = local_address(&first).map_err(fail)?;
        if loops > 1 {
            sockopt::set_socket_reuseport(&first, true).map_err(|errno| fail(errno.into()))?;
        }
        let mut sockets = vec![first];
        while sockets.len() < loops {
            sockets.push(open(actual, family, true).map_err(fail)?);
        }
        Ok((actual, sockets))
    }
}

/// The family of each address. `[::]` accepts IPv4 as well, unless an IPv4 address with the same
/// port is given. An IPv4-mapped IPv6 address counts as IPv4.
pub(super) fn plan(addresses: &[SocketAddr]) -> Vec<Planned> {
    let plain: Vec<SocketAddr> = addresses.iter().copied().map(canonical).collect();
    let ipv4_on = |port| port != 0 && plain.iter().any(|a| a.is_ipv4() && a.port() == port);
    let family = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(ip) if ip.is_unspecified() && !ipv4_on(address.port()) => Family::Both,
        IpAddr::V6(_) => Family::V6,
    };
    let planned = |address: &SocketAddr| Planned { address: *address, family: family(address) };
    plain.iter().map(planned).collect()
}

/// Opens a socket that alone listens on `address`. While that is in use, tries again until the
/// deadline.
fn open_exclusive(address: SocketAddr, family: Family, deadline: Instant) -> io::Result<OwnedFd> {
    let mut pauses = Pauses::until(deadline);
    loop {
        match open(address, family, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && pauses.pause() => {}
            result => return result,
        }
    }
}

/// Opens a listening socket, with SO_REUSEPORT if `shared`.
fn open(address: SocketAddr, family: Family, shared: bool) -> io::Result<OwnedFd> {
    let domain = if family == Family::V4 { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(domain, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    if family != Family::V4 {
        sockopt::set_ipv6_v6only(&socket, family == Family::V6)?;
    }
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if shared {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    // Accepted sockets inherit this option, so it costs no call per connection.
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind_socket(&socket, &address)?;
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let name = getsockname(socket)?;
    SocketAddr::try_from(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan_of(addresses: &[&str]) -> Vec<Family> {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|address| address.parse().unwrap()).collect();
        plan(&addresses).into_iter().map(|planned| planned.family).collect()
    }

    #[test]
    fn unspecified_ipv6_is_dual_stack_unless_ipv4_is_given() {
        use Family::{Both, V4, V6};
        for (addresses, families) in [
            (&["127.0.0.1:1"][..], &[V4][..]),
            (&["[::1]:1"], &[V6]),
            (&["[::]:1"], &[Both]),
            (&["0.0.0.0:1", "[::]:1"], &[V4, V6]),
            (&["[::]:1", "0.0.0.0:1"], &[V6, V4]),
            (&["[::]:1", "127.0.0.1:1"], &[V6, V4]),
            (&["[::]:1", "[::ffff:127.0.0.1]:1"], &[V6, V4]),
            (&["[::]:1", "127.0.0.1:2"], &[Both, V4]),
            (&["[::]:0", "0.0.0.0:0"], &[Both, V4]),
            (&["127.0.0.1:1", "127.0.0.2:1", "127.0.0.1:2", "[::1]:1"], &[V4, V4, V4, V6]),
            (&["127.0.0.1:0", "127.0.0.1:0"], &[V4, V4]),
            (&["[fe80::1%1]:1", "[fe80::1%2]:1"], &[V6, V6]),
        ] {
            assert_eq!(plan_of(addresses), families, "{addresses:?}");
        }
    }
}
