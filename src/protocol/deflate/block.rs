//! The symbols of a compressed block (RFC 1951 section 3.2.3): the loop the time goes to.

use super::InflateError;
use super::codes::Codes;
use super::history::History;
use super::huffman::{self, BAD, END, LITERAL};
use super::input::Input;
use super::sink::repeat;

/// What may be referred to besides the message itself.
#[derive(Clone, Copy, Debug)]
pub(super) struct Past<'a> {
    pub(super) history: &'a History,
    /// The longest distance allowed.
    pub(super) window: usize,
}

/// Why the decoding of symbols paused.
#[derive(Clone, Copy, Debug)]
pub(super) enum Stop {
    Room,
    Input,
    End,
}

/// Decodes symbols into `message`, of which the first `at` bytes are there, until `at` reaches
/// `room` (behind which there is slack for a symbol), the input is used up or the block ends.
/// A symbol is used whole or not at all, so that nothing else need be remembered. Each turn of
/// the loop uses at least one bit or returns.
#[inline(never)]
pub(super) fn symbols(
    codes: &Codes,
    past: Past<'_>,
    input: &mut Input<'_>,
    message: &mut [u8],
    at: &mut usize,
    room: usize,
) -> Result<Stop, InflateError> {
    let (mut held, mut rest, mut pos) = (input.held, input.rest, *at);
    let stop = loop {
        if pos >= room {
            break Ok(Stop::Room);
        }
        held.refill(&mut rest);
        let mut entry = codes.litlen.lookup(held.bits);
        if entry & LITERAL != 0 {
            // A refill brings enough for two literals and the slack has room for them.
            let len = huffman::length(entry);
            if len > held.count {
                break Ok(Stop::Input);
            }
            held.drop(len);
            message[pos] = huffman::literal(entry);
            pos += 1;
            entry = codes.litlen.lookup(held.bits);
            let len = huffman::length(entry);
            if entry & LITERAL != 0 && len <= held.count {
                held.drop(len);
                message[pos] = huffman::literal(entry);
                pos += 1;
            }
            continue;
        }
        if entry & (END | BAD) != 0 {
            let len = huffman::length(entry);
            if len > held.count {
                break Ok(Stop::Input);
            }
            held.drop(len);
            break if entry & END != 0 { Ok(Stop::End) } else { Err(InflateError::Corrupt) };
        }
        let (len, used) = huffman::value(entry, held.bits);
        let bits = held.bits >> used;
        let entry = codes.distance.lookup(bits);
        let (dist, more) = huffman::value(entry, bits);
        if used + more > held.count {
            break Ok(Stop::Input);
        }
        held.drop(used + more);
        if entry & BAD != 0 || dist > past.window {
            break Err(InflateError::Corrupt);
        }
        if dist <= pos {
            repeat(message, pos, dist, len);
        } else if !past.repeat(message, pos, dist, len) {
            break Err(InflateError::Corrupt);
        }
        pos += len;
    };
    (input.held, input.rest, *at) = (held, rest, pos);
    stop
}

impl Past<'_> {
    /// Repeats `len` bytes from `dist` bytes back, more than there are of this message; false if
    /// nothing was ever there.
    #[cold]
    fn repeat(self, message: &mut [u8], pos: usize, dist: usize, len: usize) -> bool {
        let back = dist - pos;
        if back > self.history.len() {
            return false;
        }
        let old = back.min(len);
        self.history.copy(back, &mut message[pos..pos + old]);
        if old < len {
            repeat(message, pos + old, dist, len - old);
        }
        true
    }
}
