//! A stream that collects writes, for a library that writes each frame at once.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The limit of collected bytes; a write of this size is passed through.
const CAPACITY: usize = 16 << 10;

/// Keeps written bytes until nothing more can be read, the limit is reached, or it is flushed: then
/// they are sent with one write. So a task that waits for input has sent all replies.
#[derive(Debug)]
pub struct Gather<S> {
    stream: S,
    /// `out[sent..]` is to be written. No memory before the first write.
    out: Vec<u8>,
    sent: usize,
}

impl<S: AsyncWrite + Unpin> Gather<S> {
    /// Whether nothing is collected.
    pub const fn new(stream: S) -> Self {
        Self { stream, out: Vec::new(), sent: 0 }
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while let Some(rest) = self.out.get(self.sent..).filter(|rest| !rest.is_empty()) {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, rest))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.sent += written;
        }
        self.out.clear();
        self.sent = 0;
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Gather<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Poll::Ready(done) = Pin::new(&mut self.stream).poll_read(cx, buffer) {
            return Poll::Ready(done);
        }
        // If it cannot be written now, the task is woken later and calls this again.
        if let Poll::Ready(Err(error)) = self.poll_drain(cx) {
            return Poll::Ready(Err(error));
        }
        Poll::Pending
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Gather<S> {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(bytes)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let len = slices.iter().map(|slice| slice.len()).sum::<usize>();
        if self.out.len() + len > CAPACITY {
            ready!(self.poll_drain(cx))?;
        }
        if len > CAPACITY / 2 && self.out.is_empty() {
            return Pin::new(&mut self.stream).poll_write_vectored(cx, slices);
        }
        for slice in slices {
            self.out.extend_from_slice(slice);
        }
        Poll::Ready(Ok(len))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[test]
    fn writes_leave_together_before_a_read_waits() {
        let (near, mut far) = duplex(1 << 20);
        let mut near = Gather::new(near);
        let mut buffer = [0; 64];
        for frame in [&b"ab"[..], b"cd", b"ef"] {
            near.write_all(frame).now_or_never().unwrap().unwrap();
        }
        assert!(far.read(&mut buffer).now_or_never().is_none());
        assert!(near.read(&mut [0; 8]).now_or_never().is_none());
        assert_eq!(far.read(&mut buffer).now_or_never().unwrap().unwrap(), 6);
        assert_eq!(&buffer[..6], b"abcdef");
    }

    #[test]
    fn nothing_is_lost_or_swapped_where_the_peer_reads_slowly() {
        let (near, mut far) = duplex(1000);
        let mut near = Gather::new(near);
        let sent: Vec<u8> = (0..200_000_u32).flat_map(u32::to_be_bytes).collect();
        let mut came: Vec<u8> = Vec::new();
        let (mut rest, mut size) = (sent.as_slice(), 1);
        while came.len() < sent.len() {
            size = (size * 7 + 3) % 40_000;
            let piece = &rest[..size.min(rest.len())];
            let written = near.write(piece).now_or_never().map_or(0, Result::unwrap);
            rest = &rest[written..];
            if rest.is_empty() {
                let _ = near.flush().now_or_never();
            }
            let mut buffer = [0; 777];
            if let Some(n) = far.read(&mut buffer).now_or_never() {
                came.extend(&buffer[..n.unwrap()]);
            }
        }
        assert!(came == sent);
    }
}
