//! Listening sockets: one for each address on each core, sharing the port.

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind as bind_socket, getsockname, ipproto, listen,
    socket_with, sockopt,
};

use crate::error::Error;

/// Connections that may wait to be accepted; the system may allow fewer.
const BACKLOG: i32 = 4096;

/// The listeners of each core, and the addresses with the ports that the system chose.
type Bound = (Vec<SocketAddr>, Vec<Vec<OwnedFd>>);

/// Binds every address once for each core, so that the kernel spreads connections over the cores.
pub(super) fn bind(addresses: &[SocketAddr], cores: usize) -> Result<Bound, Error> {
    let mut bound = Vec::new();
    let mut listeners: Vec<Vec<OwnedFd>> = (0..cores).map(|_| Vec::new()).collect();
    for address in addresses {
        let fail = |source: io::Error| Error::Listen { address: *address, source };
        // Sharing a port is open to other processes of the same user as well: first make sure
        // that nobody else has it.
        let claim = open(*address, false).map_err(fail)?;
        let actual = local_address(&claim).map_err(fail)?;
        drop(claim);
        for of_core in &mut listeners {
            of_core.push(open(actual, true).map_err(fail)?);
        }
        bound.push(actual);
    }
    Ok((bound, listeners))
}

/// A bound socket; with `shared` it listens, and shares its port with others that do.
fn open(address: SocketAddr, shared: bool) -> io::Result<OwnedFd> {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::STREAM, SocketFlags::CLOEXEC, Some(ipproto::TCP))?;
    sockopt::set_socket_reuseaddr(&socket, true)?;
    if shared {
        sockopt::set_socket_reuseport(&socket, true)?;
    }
    // Accepted sockets inherit this, so no connection needs a call of its own.
    sockopt::set_tcp_nodelay(&socket, true)?;
    bind_socket(&socket, &address)?;
    if shared {
        listen(&socket, BACKLOG)?;
    }
    Ok(socket)
}

fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let name = getsockname(socket)?;
    SocketAddr::try_from(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}
