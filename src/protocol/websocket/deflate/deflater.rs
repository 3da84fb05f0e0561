//! The compressor: a message in, the payload of RFC 7692 section 7.2.1 out.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The end of every flushed message, which is not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];

/// One direction's compressor.
///
/// With context takeover give it every message of a connection in order, each of which must then
/// be sent as compressed, since the peer's window has to follow. Without, call
/// [`reset`](Self::reset) in between. Takes between 250 and 400 KiB whatever it compresses.
#[derive(Debug)]
pub struct Deflater {
    inner: Compress,
    bits: u8,
    /// Whether there is something to forget.
    used: bool,
}

impl Deflater {
    /// A compressor that refers at most `1 << window_bits` bytes back (8 to 15), at a `level`
    /// from 1, the fastest, to 9, the smallest. Both are clamped.
    #[must_use]
    pub fn new(window_bits: u8, level: u32) -> Self {
        // For 8 bits the compressor of 9 serves: it never refers further back than its window
        // less 262 bytes, which is 250. Tests prove it of every level.
        let bits = window_bits.clamp(MIN_WINDOW_BITS + 1, MAX_WINDOW_BITS);
        let level = Compression::new(level.clamp(1, 9));
        Self { inner: Compress::new_with_window_bits(level, false, bits), bits, used: false }
    }

    /// Window bits of the compressor, 9 to 15.
    pub(super) const fn bits(&self) -> u8 {
        self.bits
    }

    /// Compresses one whole message, appending the payload to `out`: the blocks up to an empty
    /// stored one, without its last four bytes. An empty message is the single byte 00 (section
    /// 7.2.3.6). The payload may be longer than the message, by a few bytes if that is short and
    /// by about an eighth at level 1.
    pub fn message(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            out.push(0);
            return;
        }
        self.used = true;
        let start = out.len();
        let mut rest = payload;
        // Each turn consumes input or fills what is reserved, or is the last.
        loop {
            // More than a block of fixed codes takes, so that one turn does for most messages.
            // Only so much is zeroed, not all that `out` may have room for.
            let filled = out.len();
            let room = rest.len().min(1 << 16) / 8 * 9 + 64;
            out.resize(filled + room, 0);
            let (read_before, written_before) = (self.inner.total_in(), self.inner.total_out());
            let status = self.inner.compress(rest, &mut out[filled..], FlushCompress::Sync);
            let count = |after: u64, before: u64| usize::try_from(after - before).unwrap_or(0);
            let read = count(self.inner.total_in(), read_before);
            let written = count(self.inner.total_out(), written_before);
            out.truncate(filled + written);
            rest = rest.get(read..).unwrap_or_default();
            let stuck = read == 0 && written == 0;
            // Room left over means that nothing is waiting to be written.
            let done = rest.is_empty() && written < room;
            if done || stuck || !matches!(status, Ok(Status::Ok | Status::BufError)) {
                break;
            }
        }
        let end = out.len().saturating_sub(TAIL.len()).max(start);
        if rest.is_empty() && out[end..] == TAIL {
            out.truncate(end);
        } else {
            self.store(payload, start, out);
        }
    }

    /// Forgets the window: the next message stands alone. Costs a fill of 128 KiB, unless there
    /// is nothing to forget.
    pub fn reset(&mut self) {
        if self.used {
            self.inner.reset();
            self.used = false;
        }
    }

    /// The message in stored blocks, if the compressor failed, which then starts afresh: what it
    /// refers to from here on is of later messages, and so in the peer's window too.
    #[cold]
    fn store(&mut self, payload: &[u8], start: usize, out: &mut Vec<u8>) {
        self.inner.reset();
        out.truncate(start);
        for chunk in payload.chunks(0xffff) {
            let len = u16::try_from(chunk.len()).unwrap_or(u16::MAX);
            out.push(0);
            out.extend_from_slice(&len.to_le_bytes());
            out.extend_from_slice(&(!len).to_le_bytes());
            out.extend_from_slice(chunk);
        }
        out.push(0);
    }
}
