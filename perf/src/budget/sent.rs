//! The number of bytes that this process has sent, as counted by TCP.

use std::fs;
use std::io;
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};

use rustix::net::getpeername;

/// The offsets of the bytes sent and retransmitted in the kernel's `struct tcp_info`.
const SENT: usize = 200 / 8;
const AGAIN: usize = 208 / 8;

/// The bytes sent on all connections of this process to an address.
pub(super) fn to(address: SocketAddr) -> io::Result<u64> {
    let mut sum = 0;
    for entry in fs::read_dir("/proc/self/fd")? {
        let name = entry?.file_name();
        let Some(fd) = name.to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
        // SAFETY: the descriptor was open a moment ago; should another thread have closed it, the
        // call below fails or tells of another socket, and nothing is read, written or closed.
        let socket = unsafe { BorrowedFd::borrow_raw(fd) };
        let peer = getpeername(socket).ok().flatten();
        if peer.and_then(|peer| SocketAddr::try_from(peer).ok()) == Some(address) {
            sum += of(socket)?;
        }
    }
    Ok(sum)
}

/// The bytes sent on a connection, without retransmissions.
fn of(socket: BorrowedFd<'_>) -> io::Result<u64> {
    let mut info = MaybeUninit::<[u64; AGAIN + 1]>::zeroed();
    let mut size = libc::socklen_t::try_from(size_of_val(&info)).map_err(io::Error::other)?;
    let (fd, at) = (socket.as_raw_fd(), info.as_mut_ptr().cast());
    // SAFETY: `at` points at `size` live bytes; the kernel writes no more than that.
    let rc = unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, at, &raw mut size) };
    if rc != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: all of it was zeroed, and every value of a u64 is valid.
    let info = unsafe { info.assume_init() };
    Ok(info[SENT] - info[AGAIN])
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::net::{TcpListener, TcpStream};

    use super::*;

    #[test]
    fn bytes_to_one_address_are_counted() {
        let listeners = [0, 1].map(|_| TcpListener::bind("127.0.0.1:0").unwrap());
        let addresses = listeners.each_ref().map(|l| l.local_addr().unwrap());
        assert_eq!(to(addresses[0]).unwrap(), 0);
        let mut streams = [0, 0, 1].map(|n| TcpStream::connect(addresses[n]).unwrap());
        for (stream, size) in streams.iter_mut().zip([1000, 234, 50_000]) {
            stream.write_all(&vec![1; size]).unwrap();
        }
        assert_eq!(to(addresses[0]).unwrap(), 1234);
        assert_eq!(to(addresses[1]).unwrap(), 50_000);
    }
}
