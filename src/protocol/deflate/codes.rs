//! The codes of a block: the fixed ones, and how a block describes its own (RFC 1951 sections
//! 3.2.6 and 3.2.7).

use std::sync::LazyLock;

use super::InflateError;
use super::huffman::{self, BAD, CodeLength, Distance, LitLen};
use super::input::{Input, low};

/// The order in which the lengths of the code length code are sent.
const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];

/// The two codes of a block.
#[derive(Debug)]
pub(super) struct Codes {
    pub(super) litlen: LitLen,
    pub(super) distance: Distance,
}

/// The fixed codes.
pub(super) static FIXED: LazyLock<Codes> = LazyLock::new(|| {
    let mut lens = [8; 288];
    lens[144..256].fill(9);
    lens[256..280].fill(7);
    let mut codes = Codes { litlen: LitLen::new(), distance: Distance::new() };
    let built = codes.litlen.literals(&lens) && codes.distance.distances(&[5; 32]);
    debug_assert!(built, "the fixed codes are complete");
    codes
});

/// What of a block's description comes next.
#[derive(Clone, Copy, Debug)]
enum Part {
    Counts,
    /// Lengths of the code length code, from this one in `ORDER`.
    CodeLengths(usize),
    /// Lengths of the two codes, from this one.
    Lengths(usize),
}

/// The codes of a block with dynamic Huffman codes, and the reading of them.
#[derive(Debug)]
pub(super) struct Dynamic {
    pub(super) codes: Codes,
    part: Part,
    /// How many lengths there are of literals and of all.
    literals: usize,
    total: usize,
    code_lengths: usize,
    code: CodeLength,
    lens: [u8; 320],
}

impl Dynamic {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self {
            codes: Codes { litlen: LitLen::new(), distance: Distance::new() },
            part: Part::Counts,
            literals: 0,
            total: 0,
            code_lengths: 0,
            code: CodeLength::new(),
            lens: [0; 320],
        })
    }

    /// Begins another block's description, wherever the last one was left.
    pub(super) const fn restart(&mut self) {
        self.part = Part::Counts;
    }

    /// Reads on; true when the codes are there, false when the input is used up before.
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<bool, InflateError> {
        loop {
            let done = match self.part {
                Part::Counts => self.counts(input)?,
                Part::CodeLengths(from) => self.code_lengths(from, input)?,
                Part::Lengths(from) => {
                    let done = self.lengths(from, input)?;
                    if done {
                        self.build()?;
                        self.restart();
                        return Ok(true);
                    }
                    done
                }
            };
            if !done {
                return Ok(false);
            }
        }
    }

    /// HLIT, HDIST and HCLEN.
    fn counts(&mut self, input: &mut Input<'_>) -> Result<bool, InflateError> {
        let Some(bits) = input.take(14) else { return Ok(false) };
        let distances = (bits >> 5 & 31) + 1;
        self.literals = (bits & 31) + 257;
        self.total = self.literals + distances;
        self.code_lengths = (bits >> 10) + 4;
        if self.literals > 286 || distances > 30 {
            return Err(InflateError::Corrupt);
        }
        self.lens[..ORDER.len()].fill(0);
        self.part = Part::CodeLengths(0);
        Ok(true)
    }

    fn code_lengths(&mut self, from: usize, input: &mut Input<'_>) -> Result<bool, InflateError> {
        for (i, &symbol) in ORDER.iter().enumerate().take(self.code_lengths).skip(from) {
            let Some(len) = input.take(3) else {
                self.part = Part::CodeLengths(i);
                return Ok(false);
            };
            self.lens[symbol] = u8::try_from(len).unwrap_or(0);
        }
        if !self.code.code_lengths(&self.lens[..ORDER.len()]) {
            return Err(InflateError::Corrupt);
        }
        self.part = Part::Lengths(0);
        Ok(true)
    }

    /// The run-length coded code lengths.
    fn lengths(&mut self, from: usize, input: &mut Input<'_>) -> Result<bool, InflateError> {
        let mut at = from;
        while at < self.total {
            if input.held.count < 14 {
                input.held.refill(&mut input.rest);
            }
            let bits = input.held.bits;
            let entry = self.code.lookup(bits);
            let used = huffman::length(entry);
            let (base, extra) = match entry >> 16 {
                16 => (3, 2),
                17 => (3, 3),
                18 => (11, 7),
                _ => (1, 0),
            };
            if used + extra > input.held.count {
                self.part = Part::Lengths(at);
                return Ok(false);
            }
            if entry & BAD != 0 {
                return Err(InflateError::Corrupt);
            }
            input.held.drop(used + extra);
            let run = base + (low(bits >> used) & ((1 << extra) - 1));
            let len = match entry >> 16 {
                0..16 => huffman::literal(entry),
                16 if at > 0 => self.lens[at - 1],
                16 => return Err(InflateError::Corrupt),
                _ => 0,
            };
            if run > self.total - at {
                return Err(InflateError::Corrupt);
            }
            self.lens[at..at + run].fill(len);
            at += run;
        }
        Ok(true)
    }

    fn build(&mut self) -> Result<(), InflateError> {
        let (literals, distances) = self.lens[..self.total].split_at(self.literals);
        if self.codes.litlen.literals(literals) && self.codes.distance.distances(distances) {
            Ok(())
        } else {
            Err(InflateError::Corrupt)
        }
    }
}
