//! Replies that the peer has not taken yet.

use std::collections::VecDeque;

/// Small replies are gathered into chunks of this size, so that many of them cost few sends.
const CHUNK: usize = 64 << 10;
/// Less than this is not worth a chunk of its own.
const SHORT: usize = 4 << 10;

/// What waits to be sent on one connection, in order. One chunk at a time is out with the kernel.
#[derive(Debug, Default)]
pub struct SendQueue {
    chunks: VecDeque<Chunk>,
    /// Bytes in `chunks`, and of the chunk that is out.
    bytes: usize,
    out: usize,
}

#[derive(Debug)]
struct Chunk {
    bytes: Vec<u8>,
    from: usize,
}

impl SendQueue {
    /// The bytes that wait, those out with the kernel included.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.bytes + self.out
    }

    /// Whether nothing waits.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether a chunk is out with the kernel.
    #[must_use]
    pub const fn is_sending(&self) -> bool {
        self.out > 0
    }

    /// Adds `bytes[from..]` at the end. What is short or lies in much more memory than it fills is
    /// copied, and the vector returned: what waits must not hold more than it seems to.
    pub fn push(&mut self, bytes: Vec<u8>, from: usize) -> Option<Vec<u8>> {
        let piece = bytes.get(from..).unwrap_or_default();
        if piece.len() < SHORT || wastes(&bytes, piece.len()) {
            self.append(piece);
            return Some(bytes);
        }
        self.bytes += piece.len();
        self.chunks.push_back(Chunk { bytes, from });
        None
    }

    /// Copies `bytes` to the end.
    pub fn append(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        match self.chunks.back_mut() {
            Some(chunk) if chunk.bytes.len() + bytes.len() <= CHUNK => {
                chunk.bytes.extend_from_slice(bytes);
            }
            _ if bytes.is_empty() => {}
            _ => self.chunks.push_back(Chunk { bytes: bytes.to_vec(), from: 0 }),
        }
    }

    /// Takes the first chunk out, to be sent: the memory, and where in it to begin. `None` if
    /// nothing waits or one is out already.
    pub fn begin(&mut self) -> Option<(Vec<u8>, usize)> {
        if self.is_sending() {
            return None;
        }
        let chunk = self.chunks.pop_front()?;
        self.out = chunk.bytes.len() - chunk.from;
        self.bytes -= self.out;
        Some((chunk.bytes, chunk.from))
    }

    /// The chunk that was out comes back with `sent` more bytes sent; the rest goes before all
    /// else. Returns the memory if nothing of it is left.
    pub fn end(&mut self, bytes: Vec<u8>, sent: usize) -> Option<Vec<u8>> {
        let left = std::mem::take(&mut self.out).saturating_sub(sent);
        let from = bytes.len() - left;
        self.put_back(bytes, from)
    }

    /// Puts `bytes[from..]` before all else that waits; copied, and the vector returned, where
    /// that frees more memory than it takes.
    pub fn put_back(&mut self, bytes: Vec<u8>, from: usize) -> Option<Vec<u8>> {
        let rest = bytes.get(from..).unwrap_or_default();
        self.bytes += rest.len();
        if rest.is_empty() {
            return Some(bytes);
        }
        if wastes(&bytes, rest.len()) {
            self.chunks.push_front(Chunk { bytes: rest.to_vec(), from: 0 });
            return Some(bytes);
        }
        self.chunks.push_front(Chunk { bytes, from });
        None
    }

    /// Drops all that is not out with the kernel.
    pub fn clear(&mut self) {
        self.chunks.clear();
        self.bytes = 0;
    }
}

/// Whether `bytes` holds much more memory than the `used` bytes need.
fn wastes(bytes: &Vec<u8>, used: usize) -> bool {
    bytes.capacity() > used + used / 4 + SHORT
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_leave_in_order_however_they_are_cut() {
        let mut queue = SendQueue::default();
        queue.push(b"..abc".to_vec(), 2);
        queue.append(b"def");
        queue.push(Vec::new(), 0);
        queue.append(b"");
        assert_eq!((queue.len(), queue.is_sending()), (6, false));
        let mut got = Vec::new();
        while let Some((bytes, from)) = queue.begin() {
            assert!(queue.begin().is_none(), "one chunk at a time");
            assert!(!queue.is_empty());
            got.push(bytes[from]);
            queue.end(bytes, 1);
        }
        assert_eq!((got.as_slice(), queue.is_empty()), (b"abcdef".as_slice(), true));
    }

    #[test]
    fn small_replies_share_chunks_and_large_ones_do_not_grow_them() {
        let mut queue = SendQueue::default();
        for _ in 0..1000 {
            queue.append(&[7; 100]);
        }
        assert_eq!(queue.chunks.len(), 2);
        queue.append(&[7; CHUNK]);
        assert_eq!((queue.chunks.len(), queue.len()), (3, 100_000 + CHUNK));
        queue.clear();
        assert!(queue.is_empty());
    }
}
