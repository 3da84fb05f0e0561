//! The output of connections: the same few requests repeatedly, with pongs in between.

use crate::frames::masked;

/// Copies of the requests in one piece, so that several are sent with one send. More than this
/// number of bytes would only displace the cache.
const PIECE: usize = 256 << 10;

const PONG: u8 = 10;

/// The bytes that all connections send: a cycle of frames, repeated.
pub(in crate::load) struct Requests {
    bytes: Vec<u8>,
    /// The bytes of the cycle, and the offset of each frame.
    cycle: usize,
    starts: Vec<usize>,
}

impl Requests {
    /// At most `depth` requests of a connection are ready to be sent at a time.
    pub(in crate::load) fn new(frames: &[Vec<u8>], depth: usize) -> Self {
        let mut starts = Vec::with_capacity(frames.len());
        let mut cycle = Vec::new();
        for frame in frames {
            starts.push(cycle.len());
            cycle.extend_from_slice(frame);
        }
        // One more, because a send may have stopped inside a frame.
        let copies = (PIECE / cycle.len()).clamp(1, depth.saturating_add(1));
        Self { bytes: cycle.repeat(copies), cycle: cycle.len(), starts }
    }

    /// The number of frames that begin before `at`, counted over all cycles.
    fn begun(&self, at: usize) -> usize {
        let inside = self.starts.partition_point(|start| *start < at % self.cycle);
        at / self.cycle * self.starts.len() + inside
    }

    /// The offset of frame `number`, counted over all cycles.
    fn start(&self, number: usize) -> usize {
        let frames = self.starts.len();
        number / frames * self.cycle + self.starts[number % frames]
    }

    /// The length of the first frame.
    pub(super) fn first(&self) -> usize {
        self.starts.get(1).copied().unwrap_or(self.cycle)
    }

    fn is_start(&self, offset: usize) -> bool {
        offset == 0 || self.starts.binary_search(&offset).is_ok()
    }
}

/// The position of one connection in the cycle.
#[derive(Default)]
pub(super) struct Output {
    /// The number of request bytes to be sent, to the end of a frame.
    owed: usize,
    /// Their offset in the cycle.
    offset: usize,
    /// The next frame of the cycle.
    next: usize,
    /// Pongs, which are sent between frames.
    pongs: Vec<u8>,
    pongs_sent: usize,
    /// The last send was of pongs.
    was_pongs: bool,
}

impl Output {
    pub(super) fn request(&mut self, requests: &Requests, count: usize) {
        let end = self.next + count;
        self.owed += requests.start(end) - requests.start(self.next);
        self.next = end % requests.starts.len();
    }

    pub(super) fn pong(&mut self, payload: &[u8]) {
        self.pongs.extend(masked(PONG, payload));
    }

    pub(super) fn pending<'a>(&'a self, requests: &'a Requests) -> &'a [u8] {
        if self.pongs_sent < self.pongs.len() && requests.is_start(self.offset) {
            return &self.pongs[self.pongs_sent..];
        }
        let end = (self.offset + self.owed).min(requests.bytes.len());
        &requests.bytes[self.offset..end]
    }

    pub(super) fn sent(&mut self, requests: &Requests, bytes: usize) {
        self.was_pongs = self.pongs_sent < self.pongs.len() && requests.is_start(self.offset);
        if self.was_pongs {
            self.pongs_sent += bytes;
            return;
        }
        // Only now is it certain that the earlier pongs are sent.
        if !self.pongs.is_empty() && self.pongs_sent == self.pongs.len() {
            self.pongs.clear();
            self.pongs_sent = 0;
        }
        self.owed -= bytes;
        self.offset = (self.offset + bytes) % requests.cycle;
    }

    pub(super) fn unsent(&mut self, requests: &Requests, bytes: usize) {
        if self.was_pongs {
            self.pongs_sent -= bytes;
            return;
        }
        self.owed += bytes;
        let back = bytes % requests.cycle;
        self.offset = (self.offset + requests.cycle - back) % requests.cycle;
    }

    /// The number of requests that are not sent completely.
    pub(super) fn waiting(&self, requests: &Requests) -> usize {
        if self.owed == 0 {
            return 0;
        }
        let begun = requests.begun(self.offset + self.owed) - requests.begun(self.offset);
        begun + usize::from(!requests.is_start(self.offset))
    }
}

#[cfg(test)]
mod tests {
    use fastrand::Rng;

    use super::*;
    use crate::frames::{BINARY, Head};

    /// Sends in random pieces, of which some are taken only partly, and returns the output.
    fn play(output: &mut Output, requests: &Requests, rng: &mut Rng, wire: &mut Vec<u8>) {
        loop {
            let pending = output.pending(requests);
            if pending.is_empty() {
                return;
            }
            let (len, taken) = (pending.len(), rng.usize(..=pending.len()));
            wire.extend_from_slice(&pending[..taken]);
            output.sent(requests, len);
            if rng.u8(..8) == 0 && taken < len {
                // Pongs that are queued in between wait for their turn.
                output.request(requests, 1);
            }
            output.unsent(requests, len - taken);
        }
    }

    #[test]
    fn frames_stay_whole_whatever_is_taken() {
        let mut rng = Rng::with_seed(5);
        for size in [0, 1, 20, 300, 70_000] {
            // Of different lengths, as compressed ones are.
            let frame = |n| masked(BINARY, &crate::load::Content::Binary.payload(size + n, 9));
            let frames: Vec<Vec<u8>> = (0..rng.usize(1..6)).map(frame).collect();
            let requests = Requests::new(&frames, 16);
            let (mut output, mut wire, mut pongs) = (Output::default(), Vec::new(), 0);
            for _ in 0..20 {
                output.request(&requests, rng.usize(..40));
                if rng.bool() {
                    output.pong(b"here");
                    pongs += 1;
                }
                play(&mut output, &requests, &mut rng, &mut wire);
            }
            assert_eq!(output.waiting(&requests), 0);
            let (mut rest, mut found, mut next) = (&wire[..], 0, frames.iter().cycle());
            while !rest.is_empty() {
                let end = Head::parse(rest).unwrap().payload.end;
                if rest[..end] == masked(PONG, b"here") {
                    found += 1;
                } else {
                    assert_eq!(&rest[..end], next.next().unwrap());
                }
                rest = &rest[end..];
            }
            assert_eq!(found, pongs, "{size} bytes");
        }
    }

    #[test]
    fn large_requests_are_not_repeated() {
        let frame = masked(BINARY, &vec![1; 1 << 20]);
        assert_eq!(Requests::new(std::slice::from_ref(&frame), 128).bytes.len(), frame.len());
        let frame = masked(BINARY, &[1; 20]);
        assert_eq!(Requests::new(std::slice::from_ref(&frame), 1).bytes.len(), 2 * frame.len());
        let mut output = Output::default();
        let requests = Requests::new(&[frame.clone(), masked(BINARY, &[1; 30])], 8);
        output.request(&requests, 3);
        output.sent(&requests, frame.len() + 5);
        assert_eq!(output.waiting(&requests), 2);
    }
}
