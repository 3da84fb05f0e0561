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

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// How long all addresses together may be in use before that is an error. The kernel closes the
/// sockets of a process that used io_uring some time after the process has ended: 5 to 30 ms were
/// measured, whatever the number of connections, and more on a busy machine.
const PATIENCE: Duration = Duration::from_secs(1);
/// The first pause between two tries; each further pause is twice as long, up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(1);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// The listeners of each loop, and the addresses with the ports that the system chose.
type Bound = (Vec<SocketAddr>, Vec<Vec<OwnedFd>>);

/// The protocols that a listener takes connections of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Family {
    V4,
    V6,
    /// An IPv6 socket that takes IPv4 as well: `[::]`.
    Both,
}

/// Binds every address once for each loop, so that the kernel spreads connections over the loops.
pub(super) fn bind(addresses: &[SocketAddr], loops: usize) -> Result<Bound, Error> {
    let addresses = plan(addresses)?;
    let deadline = Instant::now() + PATIENCE;
    let mut bound = Vec::new();
    let mut listeners: Vec<Vec<OwnedFd>> = (0..loops).map(|_| Vec::new()).collect();
    for (address, family) in addresses {
        let fail = |source: io::Error| Error::Listen { address, source };
        // SO_REUSEPORT would let this server share the port with any process of the same user that
        // set it as well. The first socket listens without, which the kernel refuses if any other
        // process listens there, and begins to share only then.
        let first = claim(address, family, deadline).map_err(fail)?;
        let actual = local_address(&first).map_err(fail)?;
        if loops > 1 {
            sockopt::set_socket_reuseport(&first, true).map_err(|errno| fail(errno.into()))?;
        }
        let mut first = Some(first);
        for of_loop in &mut listeners {
            let socket = match first.take() {
                Some(first) => first,
                None => open(actual, family, true).map_err(fail)?,
            };
            of_loop.push(socket);
        }
        bound.push(actual);
    }
    Ok((bound, listeners))
}

/// The family of each address, once no two of them overlap. `[::]` takes IPv4 as well, unless an
/// IPv4 address with the same port is given. An IPv4 address in IPv6 form counts as IPv4.
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

/// `[::ffff:127.0.0.1]` as `127.0.0.1`; all others as they are.
fn canonical(address: SocketAddr) -> SocketAddr {
    match address.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::from((ip, address.port())),
        IpAddr::V6(_) => address,
    }
}

/// Whether `one` is `other`, or all addresses of its protocol with the same port. With port 0 each
/// gets a port of its own.
fn covers(one: SocketAddr, other: SocketAddr) -> bool {
    let all = one.ip().is_unspecified() && one.is_ipv4() == other.is_ipv4();
    one.port() != 0 && one.port() == other.port() && (all || one == other)
}

/// The only socket that listens on `address`. Tries until the deadline while it is in use.
fn claim(address: SocketAddr, family: Family, deadline: Instant) -> io::Result<OwnedFd> {
    let mut pause = FIRST_PAUSE;
    loop {
        match open(address, family, false) {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() {
                    return Err(error);
                }
                thread::sleep(pause.min(left));
                pause = (pause * 2).min(LONGEST_PAUSE);
            }
            result => return result,
        }
    }
}

/// A socket that listens; with `shared` together with others that share the port.
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
    // Accepted sockets inherit this, so no connection needs a call of its own.
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
    fn ipv6_takes_ipv4_as_well_unless_that_is_given() {
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
