//! The compressor: from a message to the payload of RFC 7692 section 7.2.1.

use flate2::{Compress, Compression, FlushCompress, Status};

use super::window::{MAX_WINDOW_BITS, MIN_WINDOW_BITS};

/// The last bytes of every flushed message, which are not sent.
const TAIL: [u8; 4] = [0, 0, 0xff, 0xff];
/// The memory of a compressor besides that for its window.
const TABLES: usize = 220 << 10;
/// The longest messages, each with the highest level for them. There are texts of which each byte
/// takes a microsecond at level 9, so that one of 256 KiB would take 300 ms; within these lengths
/// the worst take some three milliseconds.
const LONGEST: [(usize, u32); 5] =
    [(4 << 10, 9), (8 << 10, 8), (16 << 10, 7), (32 << 10, 6), (128 << 10, 5)];

/// The level for a message of `len` bytes, which is `most` at most.
pub(super) fn level_for(most: u32, len: usize) -> u32 {
    let highest = LONGEST.iter().find(|(longest, _)| len <= *longest);
    most.min(highest.map_or(1, |(_, level)| *level))
}

/// One direction's compressor.
///
/// With context takeover, pass it every message of a connection in order, and send each one as
/// compressed, because the peer's window must stay in step. Without context takeover, call
/// [`reset`](Self::reset) after each message. It occupies between 250 and 400 KiB.
///
/// Long messages are compressed at lower levels, so that none takes long.
#[derive(Debug)]
pub struct Deflater {
    inner: Compress,
    /// The highest level, and the one that is set.
    most: u32,
    level: u32,
    bits: u8,
    /// Whether the window is not empty.
    used: bool,
}

impl Deflater {
    /// A compressor that refers at most `1 << window_bits` bytes back (8 to 15), at a `level`
    /// from 1, the fastest, to 9, the smallest. Both are clamped.
    #[must_use]
    pub fn new(window_bits: u8, level: u32) -> Self {
        // For 8 bits a compressor of 9 is used: it never refers further back than its window less
        // 262 bytes, which is 250. Tests check this for every level.
        let bits = window_bits.clamp(MIN_WINDOW_BITS + 1, MAX_WINDOW_BITS);
        let level = level.clamp(1, 9);
        let inner = Compress::new_with_window_bits(Compression::new(level), false, bits);
        Self { inner, most: level, level, bits, used: false }
    }

    /// The memory that it holds, in bytes, approximately: tables that do not depend on the window,
    /// and the window, which is held twice, with a table of links.
    #[must_use]
    pub const fn memory(&self) -> usize {
        TABLES + (6 << self.bits)
    }

    /// Window bits of the compressor, 9 to 15.
    #[must_use]
    pub const fn bits(&self) -> u8 {
        self.bits
    }

    /// Compresses one whole message and appends the payload to `out`: all blocks including an empty
    /// stored one at the end, without its last four bytes. The payload of an empty message is the
    /// byte 00 (section 7.2.3.6). The payload can be longer than the message: by a few bytes if the
    /// message is short, by about an eighth at level 1.
    pub fn message(&mut self, payload: &[u8], out: &mut Vec<u8>) {
        if payload.is_empty() {
            out.push(0);
            return;
        }
        self.used = true;
        self.set_level(level_for(self.most, payload.len()));
        let start = out.len();
        let mut rest = payload;
        // Each iteration consumes input or fills the space reserved for it, or is the last.
        loop {
            // More than a block of fixed codes needs, so that one iteration is enough for most
            // messages. Only this much is zeroed, not the whole capacity of `out`.
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
            // With room left over, the compressor has no output left.
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

    /// Clears the window, so that the next message does not refer to earlier ones. This fills
    /// 128 KiB, unless the window is empty.
    pub fn reset(&mut self) {
        if self.used {
            self.inner.reset();
            self.used = false;
        }
    }

    /// Writes the message in stored blocks, if the compressor failed, and resets the compressor:
    /// from then on it refers to later messages only, which are in the peer's window too.
    fn set_level(&mut self, level: u32) {
        // Nothing waits to be written between two messages, so it does not fail.
        if self.level != level && self.inner.set_level(Compression::new(level)).is_ok() {
            self.level = level;
        }
    }

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
