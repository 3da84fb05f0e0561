//! A payload that is copied in pieces.

use super::encode::Pieces;
use crate::base::Work;

/// The bytes that are copied at once.
const PIECE: usize = 64 << 10;

/// A copy of a payload, with bytes before it and behind it.
#[derive(Debug)]
pub(crate) struct Copied {
    out: Vec<u8>,
    /// How much of the payload is copied.
    at: usize,
    end: &'static [u8],
    is_done: bool,
}

impl Copied {
    /// Begins with `start`, before a payload of `len` bytes and `end`.
    pub(super) fn new(mut start: Vec<u8>, len: usize, end: &'static [u8]) -> Self {
        start.reserve_exact(len + end.len());
        Self { out: start, at: 0, end, is_done: false }
    }
}

impl Pieces for Copied {
    fn step(&mut self, payload: &[u8]) -> u64 {
        let until = (self.at + PIECE).min(payload.len());
        self.out.extend_from_slice(payload.get(self.at..until).unwrap_or_default());
        self.at = until;
        if until == payload.len() && !self.is_done {
            self.out.extend_from_slice(self.end);
            self.is_done = true;
        }
        Work::of_bytes(PIECE)
    }

    fn is_done(&self) -> bool {
        self.is_done
    }

    fn len(&self) -> usize {
        self.out.len()
    }

    fn into_bytes(self) -> Vec<u8> {
        self.out
    }
}
