//! A minimal streaming echo: client frames in, server frames out, in the same memory.
//!
//! A reply header is four bytes shorter than the request header (no masking key), so replies
//! always fit in front of the bytes still to be read and are compacted without a second buffer.

use crate::wire::put_header;

/// The result of one chunk of received bytes.
#[derive(Default)]
pub(crate) struct Step {
    /// A reply header that found no room in the chunk (its request header was split): send first.
    pub(crate) detached: Option<Box<[u8]>>,
    /// The reply bytes are `chunk[start..end]`.
    pub(crate) start: usize,
    /// End of the reply bytes.
    pub(crate) end: usize,
    /// Frames whose last byte was in this chunk.
    pub(crate) frames: u64,
}

/// Per-connection state between two chunks.
#[derive(Default)]
pub(crate) struct Echo {
    header: [u8; 14],
    have: usize,
    left: u64,
    key: u32,
}

/// A parsed request header.
struct Head {
    size: usize,
    payload: u64,
    key: u32,
}

fn parse(bytes: &[u8]) -> Option<Head> {
    let first = *bytes.get(1)? & 0x7f;
    let (payload, at) = match first {
        126 => (u64::from(u16::from_be_bytes([*bytes.get(2)?, *bytes.get(3)?])), 4),
        127 => (u64::from_be_bytes(bytes.get(2..10)?.try_into().ok()?), 10),
        n => (u64::from(n), 2),
    };
    let key = u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?);
    Some(Head { size: at + 4, payload, key })
}

/// Unmasks `bytes` and returns the key rotated to continue after them.
fn unmask(bytes: &mut [u8], key: u32) -> u32 {
    let wide = u64::from(key) << 32 | u64::from(key);
    let odd = bytes.len() % 4;
    let mut words = bytes.chunks_exact_mut(8);
    for word in &mut words {
        let mut value = [0; 8];
        value.copy_from_slice(word);
        word.copy_from_slice(&(u64::from_le_bytes(value) ^ wide).to_le_bytes());
    }
    for (byte, key) in words.into_remainder().iter_mut().zip(wide.to_le_bytes()) {
        *byte ^= key;
    }
    key.rotate_right(8 * u32::try_from(odd).unwrap_or(0))
}

impl Echo {
    /// Consumes one chunk in place.
    pub(crate) fn step(&mut self, chunk: &mut [u8]) -> Step {
        let mut step = Step::default();
        let mut read = 0;
        let mut placed = self.left > 0;
        if self.have > 0 {
            let Some(taken) = self.finish_header(chunk, &mut step) else {
                return step;
            };
            read = taken;
            step.start = taken;
            step.end = taken;
            placed = true;
        }
        loop {
            if self.left > 0 {
                read += self.payload(chunk, read, &mut step);
            }
            let rest = &chunk[read..];
            if rest.is_empty() {
                return step;
            }
            let Some(head) = parse(rest) else {
                self.header[..rest.len()].copy_from_slice(rest);
                self.have = rest.len();
                return step;
            };
            if !placed {
                (step.start, step.end, placed) = (read + 4, read + 4, true);
            }
            let mut header = [0; 10];
            let size = put_header(&mut header, head.payload);
            chunk[step.end..step.end + size].copy_from_slice(&header[..size]);
            step.end += size;
            read += head.size;
            self.begin(&head, &mut step);
        }
    }

    fn begin(&mut self, head: &Head, step: &mut Step) {
        (self.left, self.key) = (head.payload, head.key);
        step.frames += u64::from(head.payload == 0);
    }

    /// Unmasks what the chunk holds of the current payload and moves it after the replies.
    fn payload(&mut self, chunk: &mut [u8], read: usize, step: &mut Step) -> usize {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let n = left.min(chunk.len() - read);
        self.key = unmask(&mut chunk[read..read + n], self.key);
        if step.end != read {
            chunk.copy_within(read..read + n, step.end);
        }
        step.end += n;
        self.left -= n as u64;
        step.frames += u64::from(self.left == 0);
        n
    }

    /// Completes a header that began in an earlier chunk; `None` when it is still incomplete.
    fn finish_header(&mut self, chunk: &[u8], step: &mut Step) -> Option<usize> {
        for (i, byte) in chunk.iter().enumerate() {
            self.header[self.have] = *byte;
            self.have += 1;
            if let Some(head) = parse(&self.header[..self.have]) {
                let mut header = [0; 10];
                let size = put_header(&mut header, head.payload);
                step.detached = Some(header[..size].into());
                self.have = 0;
                self.begin(&head, step);
                return Some(i + 1);
            }
        }
        None
    }
}
