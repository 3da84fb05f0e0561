//! Listening sockets: one for each address on each loop, sharing the port.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, getsockname, ipproto, listen,
    socket_with, sockopt,
};

use crate::error::Error;

/// The accept queue of a listener, in connections; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// The time for which addresses in use are tried again before that is an error, for all addresses
/// together. The kernel closes the sockets of a process that used io_uring some time after the
/// process has ended: 5 to 30 ms were measured, independent of the number of connections, and more
/// on a busy machine.
const IN_USE_WAIT: Duration = Duration::from_secs(1);
/// The first pause between two attempts. It doubles with each attempt, up to `MAX_PAUSE`.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const MAX_PAUSE: Duration = Duration::from_millis(50);

/// The listeners of each loop, and the addresses with the ports that the system chose.
type Bound = (Vec<SocketAddr>, Vec<Vec<OwnedFd>>);

/// The IP versions of which a listener accepts connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// An IPv6 socket that accepts IPv4 as well (dual-stack): `[::]`.
    Both,
}

/// Binds every address once for each loop, so that the kernel spreads connections over the loops.
pub(super) fn bind(addresses: &[SocketAddr], loops: usize) -> Result<Bound, Error> {
    let addresses = plan(addresses)?;
    let deadline = Instant::now() + IN_USE_WAIT;
    let mut bound = Vec::new();
    let mut listeners: Vec<Vec<OwnedFd>> = (0..loops).map(|_| Vec::new()).collect();
    for (address, family) in addresses {
        let fail = |source: io::Error| Error::Listen { address, source };
        // With SO_REUSEPORT this server could share the port with another process of the same user
        // that set it as well. So the first socket binds without it, which the kernel refuses if
        // another process listens there, and sets it afterwards.
        let first = open_exclusive(address, family, deadline).map_err(fail)?;
        let actual = local_address(&first).map_err(fail)?;
        if loops > 1 {
            sockopt::set_socket_reuseport(&first, true).map_err(|errno| fail(errno.into()))?;
        }
        let mut first = Some(first);
        for loop_listeners in &mut listeners {
            let socket = match first.take() {
                Some(first) => first,
                None => open(actual, family, true).map_err(fail)?,
            };
            loop_listeners.push(socket);
        }
        bound.push(actual);
    }
    Ok((bound, listeners))
}

/// Checks that no two addresses overlap, and returns the family of each. `[::]` accepts IPv4 as
/// well, unless an IPv4 address with the same port is given. An IPv4-mapped IPv6 address counts as
/// IPv4.
fn plan(addresses: &[SocketAddr]) -> Result<Vec<(SocketAddr, Family)>, Error> {
    let plain: Vec<SocketAddr> = addresses.iter().copied().map(canonical).collect();
    for (index, address) in plain.iter().enumerate() {
        for earlier in plain.iter().take(index) {
            if covers(*earlier, *address) {
                return Err(Error::Overlap { address: *address, by: *earlier });
            }
            if covers(*address, *earlier) {
                return Err(Error::Overlap { address: *earlier, by: *address });
            }
        }
    }
    let ipv4_on = |port| port != 0 && plain.iter().any(|a| a.is_ipv4() && a.port() == port);
    let family = |address: &SocketAddr| match address.ip() {
        IpAddr::V4(_) => Family::V4,
        IpAddr::V6(ip) if ip.is_unspecified() && !ipv4_on(address.port()) => Family::Both,
        IpAddr::V6(_) => Family::V6,
    };
    Ok(plain.iter().map(|address| (*address, family(address))).collect())
}

/// Converts `[::ffff:127.0.0.1]` to `127.0.0.1`; other addresses stay the same.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Whether `one` is `other` or the unspecified address of the same family, with the same port. Port
/// 0 never overlaps, since each such address gets a port of its own.
fn covers(one: SocketAddr, other: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() && one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && (all || one == other)
}

/// Opens a socket that alone listens on `address`. While that is in use, tries again until the
/// deadline.
fn open_exclusive(address: SocketAddr, family: Family, deadline: Instant) -> io::Result<OwnedFd> {
    let mut pause = FIRST_PAUSE;
    loop {
        match open(address, family, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(error);
                }
                thread::sleep(pause.min(left));
                pause = (pause * 2).min(MAX_PAUSE);
            }
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

    fn plan_of(addresses: &[&str]) -> Result<Vec<Family>, String> {
        let addresses: Vec<SocketAddr> =
            addresses.iter().map(|address| address.parse().unwrap()).collect();
        let families = plan(&addresses).map_err(|error| error.to_string())?;
        Ok(families.into_iter().map(|(_, family)| family).collect())
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
            assert_eq!(plan_of(addresses).as_deref(), Ok(families), "{addresses:?}");
        }
    }

    #[test]
    fn addresses_that_overlap_are_named() {
        let twice = "is given twice";
        for (addresses, parts) in [
            (&["127.0.0.1:1", "127.0.0.1:1"][..], ["127.0.0.1:1", twice]),
            (&["[::1]:1", "127.0.0.1:1", "[::1]:1"], ["[::1]:1", twice]),
            (&["[::]:1", "[::]:1"], ["[::]:1", twice]),
            (&["127.0.0.1:1", "[::ffff:127.0.0.1]:1"], ["127.0.0.1:1", twice]),
            (&["0.0.0.0:1", "127.0.0.1:1"], ["0.0.0.0:1 covers", "127.0.0.1:1"]),
            (&["127.0.0.1:1", "0.0.0.0:1"], ["0.0.0.0:1 covers", "127.0.0.1:1"]),
            (&["[::ffff:0.0.0.0]:1", "127.0.0.1:1"], ["0.0.0.0:1 covers", "127.0.0.1:1"]),
            (&["[::1]:1", "[::]:1"], ["[::]:1 covers", "[::1]:1"]),
        ] {
            let error = plan_of(addresses).unwrap_err();
            for part in parts {
                assert!(error.contains(part), "{addresses:?}: {part} is not in {error}");
            }
        }
    }
}
