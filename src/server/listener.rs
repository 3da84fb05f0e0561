//! Listening sockets: one for each address on each loop, sharing the port.

use std::io;
use std::net::SocketAddr;
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

/// Binds every address once for each loop, so that the kernel spreads connections over the loops.
pub(super) fn bind(addresses: &[SocketAddr], loops: usize) -> Result<Bound, Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut bound = Vec::new();
    let mut listeners: Vec<Vec<OwnedFd>> = (0..loops).map(|_| Vec::new()).collect();
    for address in addresses {
        let fail = |source: io::Error| Error::Listen { address: *address, source };
        // SO_REUSEPORT would let this server share the port with any process of the same user that
        // set it as well. The first socket listens without, which the kernel refuses if any other
        // process listens there, and begins to share only then.
        let first = claim(*address, deadline).map_err(fail)?;
        let actual = local_address(&first).map_err(fail)?;
        if loops > 1 {
            sockopt::set_socket_reuseport(&first, true).map_err(|errno| fail(errno.into()))?;
        }
        let mut first = Some(first);
        for of_loop in &mut listeners {
            let socket = match first.take() {
                Some(first) => first,
                None => open(actual, true).map_err(fail)?,
            };
            of_loop.push(socket);
        }
        bound.push(actual);
    }
    Ok((bound, listeners))
}

/// The only socket that listens on `address`. Tries until the deadline while it is in use.
fn claim(address: SocketAddr, deadline: Instant) -> io::Result<OwnedFd> {
    let mut pause = FIRST_PAUSE;
    loop {
        match open(address, false) {
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
    listen(&socket, BACKLOG)?;
    Ok(socket)
}

fn local_address(socket: &OwnedFd) -> io::Result<SocketAddr> {
    let name = getsockname(socket)?;
    SocketAddr::try_from(name).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}
