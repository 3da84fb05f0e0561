//! `TCP_INFO`: how far the peer of a socket is with what it was sent.
#![allow(unsafe_code, reason = "socket options without a safe wrapper")]

use std::os::fd::{AsRawFd, BorrowedFd};

use crate::base::SendProgress;

/// Where the fields of the kernel's `struct tcp_info` begin. The struct only grows at its end;
/// these are all there since Linux 5.4.
mod field {
    /// `tcpi_unacked`, u32: segments that are sent and not acknowledged.
    pub(super) const UNACKED: usize = 24;
    /// `tcpi_last_ack_recv`, u32: milliseconds since the last acknowledgement.
    pub(super) const LAST_ACK_RECV: usize = 56;
    /// `tcpi_bytes_acked`, u64.
    pub(super) const BYTES_ACKED: usize = 120;
    /// `tcpi_bytes_received`, u64.
    pub(super) const BYTES_RECEIVED: usize = 128;
    /// `tcpi_notsent_bytes`, u32.
    pub(super) const NOTSENT_BYTES: usize = 144;
    /// `tcpi_bytes_sent`, u64, retransmissions included.
    pub(super) const BYTES_SENT: usize = 200;
    /// `tcpi_bytes_retrans`, u64.
    pub(super) const BYTES_RETRANS: usize = 208;
    /// `tcpi_snd_wnd`, u32: the window that the peer has advertised, in bytes.
    pub(super) const SND_WND: usize = 228;
    /// The end of the last of them.
    pub(super) const END: usize = 232;
}

/// How far the peer of `socket` is. `None` if the kernel does not tell.
pub(super) fn progress(socket: BorrowedFd<'_>) -> Option<SendProgress> {
    let mut info = [0_u8; 256];
    #[allow(clippy::cast_possible_truncation, reason = "256")]
    let mut len = info.len() as libc::socklen_t;
    let (level, option) = (libc::IPPROTO_TCP, libc::TCP_INFO);
    let (fd, to, room) = (socket.as_raw_fd(), info.as_mut_ptr().cast(), &raw mut len);
    // SAFETY: the descriptor is open; the kernel writes at most `len` bytes to `info`, and how many
    // it wrote to `len`; both outlive the call.
    let result = unsafe { libc::getsockopt(fd, level, option, to, room) };
    let is_told = result == 0 && len as usize >= field::END;
    is_told.then(|| SendProgress { unread: unread(socket), ..parse(&info) })
}

/// The bytes in the receive buffer of a socket; 0 if the kernel does not tell.
fn unread(socket: BorrowedFd<'_>) -> u32 {
    let mut bytes: libc::c_int = 0;
    // SAFETY: the descriptor is open; the kernel writes one `int` to `bytes`, which outlives the
    // call.
    let result = unsafe { libc::ioctl(socket.as_raw_fd(), libc::FIONREAD, &raw mut bytes) };
    if result == 0 { u32::try_from(bytes).unwrap_or(0) } else { 0 }
}

fn parse(info: &[u8; 256]) -> SendProgress {
    let long = |at: usize| {
        let bytes = info.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u64::from_ne_bytes(*bytes))
    };
    let short = |at: usize| {
        let bytes = info.get(at..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |bytes| u32::from_ne_bytes(*bytes))
    };
    let acked = long(field::BYTES_ACKED);
    let sent = long(field::BYTES_SENT).saturating_sub(long(field::BYTES_RETRANS));
    SendProgress {
        written: sent.saturating_add(short(field::NOTSENT_BYTES).into()),
        acked,
        received: long(field::BYTES_RECEIVED),
        window_edge: acked.saturating_add(short(field::SND_WND).into()),
        in_flight: short(field::UNACKED) > 0,
        since_ack_ms: short(field::LAST_ACK_RECV),
        unread: 0,
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::fd::AsFd;
    use std::time::Duration;

    use super::*;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (listener.accept().unwrap().0, client)
    }

    /// What the kernel says of `socket` once it is as `expected`; an acknowledgement may take some
    /// time.
    fn wait_for(socket: &TcpStream, expected: impl Fn(&SendProgress) -> bool) -> SendProgress {
        for _ in 0..5_000 {
            let progress = progress(socket.as_fd()).unwrap();
            if expected(&progress) {
                return progress;
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{:?}", progress(socket.as_fd()));
    }

    #[test]
    fn bytes_are_counted_as_written_and_as_acknowledged() {
        let (mut server, mut client) = pair();
        assert_eq!(progress(server.as_fd()).unwrap().written, 0);
        server.write_all(&[1; 5_000]).unwrap();
        let progress = wait_for(&server, |progress| progress.acked >= 5_000);
        assert_eq!((progress.written, progress.acked, progress.in_flight), (5_000, 5_000, false));
        assert!(progress.window_edge > progress.acked, "a window is open: {progress:?}");
        client.read_exact(&mut [0; 5_000]).unwrap();
        assert_eq!(progress.unread, 0);
        client.write_all(&[1; 300]).unwrap();
        wait_for(&server, |progress| progress.unread == 300);
        // Nothing more is acknowledged, so the last time goes by.
        std::thread::sleep(Duration::from_millis(100));
        let later = wait_for(&server, |_| true);
        assert!(
            later.since_ack() >= Duration::from_millis(50) && later.acked == 5_000,
            "{later:?}"
        );
    }

    /// The edge stands while nobody reads, and moves on by what is read.
    #[test]
    fn the_edge_moves_when_the_peer_reads() {
        let (mut server, mut client) = pair();
        server.set_nonblocking(true).unwrap();
        let mut written = 0;
        while let Ok(sent) = server.write(&[1; 64 << 10]) {
            written += sent as u64;
        }
        let full = wait_for(&server, |progress| !progress.in_flight && progress.acked > 0);
        assert_eq!(full.written, written);
        assert!(full.acked < written, "more waits than the peer takes: {full:?}");
        client.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        #[allow(clippy::cast_possible_truncation, reason = "a receive buffer")]
        client.read_exact(&mut vec![0; full.acked as usize]).unwrap();
        let later = wait_for(&server, |progress| progress.window_edge > full.window_edge);
        assert!(
            later.acked > full.acked || later.window_edge > full.window_edge,
            "{full:?}, {later:?}"
        );
    }

    #[test]
    fn what_is_not_tcp_tells_nothing() {
        let (pipe, _other) = std::io::pipe().unwrap();
        assert_eq!(progress(pipe.as_fd()), None);
    }
}
