//! The input of connections: frames, of which the payload is skipped or compared.

use super::inflate::{Inflater, compare};
use crate::frames::CLOSE;
use crate::wire::put_header;

const CONTINUATION: u8 = 0;
const PING: u8 = 9;
const PONG: u8 = 10;

/// The expected replies: as many as there are different requests, in turn.
pub(in crate::load) struct Expected {
    replies: Vec<Reply>,
    opcode: u8,
    bare: bool,
    /// The number of replies of each connection that are compared in full.
    pub(super) compared: u64,
}

/// One of them.
struct Reply {
    payload: Vec<u8>,
    /// All of it as one plain frame, and the length of its header. For bare TCP: the request, and
    /// 0.
    frame: Vec<u8>,
    header: usize,
}

impl Expected {
    /// The expected replies of a WebSocket server.
    pub(super) fn messages(payloads: Vec<Vec<u8>>, opcode: u8, compared: u64) -> Self {
        let reply = |payload: Vec<u8>| {
            let mut header = [0; 10];
            let size = put_header(&mut header, payload.len() as u64);
            header[0] = 0x80 | opcode;
            Reply { frame: [&header[..size], &payload].concat(), header: size, payload }
        };
        let replies = payloads.into_iter().map(reply).collect();
        Self { replies, opcode, bare: false, compared }
    }

    /// The expected replies over bare TCP: the sent frames.
    pub(super) fn bytes(frames: Vec<Vec<u8>>, compared: u64) -> Self {
        let reply = |frame| Reply { payload: Vec::new(), frame, header: 0 };
        let replies = frames.into_iter().map(reply).collect();
        Self { replies, opcode: 0, bare: true, compared }
    }

    /// The expected reply `number`.
    fn reply(&self, number: u64) -> &Reply {
        match &self.replies[..] {
            [only] => only,
            // The remainder of a division by a length is a valid index.
            all => &all[(number % all.len() as u64) as usize],
        }
    }
}

/// The parsing state of one connection.
pub(super) struct Replies {
    /// Bytes of an incomplete header.
    head: Vec<u8>,
    /// The rest of the current frame's payload in bytes.
    left: u64,
    first: u8,
    /// A message is incomplete, also between its frames.
    message: bool,
    compressed: bool,
    /// Payload bytes of the message so far (bare TCP: bytes of the frame).
    at: usize,
    control: Vec<u8>,
    /// Replies so far.
    pub(super) done: u64,
    /// If deflate was negotiated: whether the server keeps no window.
    deflate: Option<bool>,
    inflater: Option<Inflater>,
}

impl Replies {
    pub(super) fn new(deflate: Option<bool>) -> Self {
        Self {
            head: Vec::new(),
            left: 0,
            first: 0,
            message: false,
            compressed: false,
            at: 0,
            control: Vec::new(),
            done: 0,
            deflate,
            inflater: None,
        }
    }

    /// Handles received bytes; returns the number of replies that are complete. Passes on the
    /// payloads of pings.
    pub(super) fn take(
        &mut self,
        expected: &Expected,
        mut bytes: &[u8],
        ping: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, String> {
        let before = self.done;
        while !bytes.is_empty() {
            if !self.message && self.left == 0 && self.head.is_empty() && self.at == 0 {
                bytes = &bytes[self.whole(expected, bytes)..];
                if bytes.is_empty() {
                    break;
                }
            }
            let used = if expected.bare {
                self.bare(expected, bytes)?
            } else if self.left == 0 {
                self.header(expected, bytes, ping)?
            } else {
                self.payload(expected, bytes, ping)?
            };
            bytes = &bytes[used..];
        }
        Ok(usize::try_from(self.done - before).unwrap_or(usize::MAX))
    }

    fn compares(&self, expected: &Expected) -> bool {
        self.done < expected.compared
    }

    /// The fast path: skips complete replies of the usual form, and stops at anything else.
    fn whole(&mut self, expected: &Expected, bytes: &[u8]) -> usize {
        let mut at = 0;
        loop {
            let reply = expected.reply(self.done);
            let size = reply.frame.len();
            let must = if self.compares(expected) { size } else { reply.header };
            if bytes.len() - at < size || bytes[at..at + must] != reply.frame[..must] {
                return at;
            }
            at += size;
            self.done += 1;
        }
    }

    fn bare(&mut self, expected: &Expected, bytes: &[u8]) -> Result<usize, String> {
        let frame = &expected.reply(self.done).frame;
        let size = bytes.len().min(frame.len() - self.at);
        if self.compares(expected) {
            compare(&bytes[..size], frame, self.at)?;
        }
        self.at += size;
        if self.at == frame.len() {
            self.at = 0;
            self.done += 1;
        }
        Ok(size)
    }

    /// Handles one byte of a header, or several.
    fn header(
        &mut self,
        expected: &Expected,
        bytes: &[u8],
        ping: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, String> {
        let second = self.head.get(1).or_else(|| bytes.get(1 - self.head.len().min(1)));
        let size = match second.map(|b| b & 0x7f) {
            Some(126) => 4,
            Some(127) => 10,
            _ => 2,
        };
        let used = (size - self.head.len()).min(bytes.len());
        self.head.extend_from_slice(&bytes[..used]);
        if self.head.len() < size {
            return Ok(used);
        }
        let length = match self.head[2..] {
            [] => u64::from(self.head[1] & 0x7f),
            [high, low] => u64::from(u16::from_be_bytes([high, low])),
            _ => self.head[2..].iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte)),
        };
        let (first, second) = (self.head[0], self.head[1]);
        self.head.clear();
        self.begin(expected, first, second, length)?;
        if length == 0 {
            self.end(expected, ping)?;
        }
        Ok(used)
    }

    fn begin(
        &mut self,
        expected: &Expected,
        first: u8,
        second: u8,
        length: u64,
    ) -> Result<(), String> {
        let (opcode, compressed) = (first & 0x0f, first & 0x40 != 0);
        let allowed = if self.deflate.is_some() && !self.message { 0x40 } else { 0 };
        if first & 0x70 & !allowed != 0 || (opcode >= CLOSE && compressed) {
            return Err(format!("has reserved bits that mean nothing: first byte {first:#04x}"));
        }
        if second & 0x80 != 0 {
            return Err("is masked, which only clients do".into());
        }
        (self.first, self.left) = (first, length);
        match opcode {
            CLOSE | PING | PONG if first & 0x80 == 0 || length > 125 => {
                return Err(format!("is a control frame of {length} bytes or in fragments"));
            }
            CLOSE | PING | PONG => {
                self.control.clear();
                return Ok(());
            }
            CONTINUATION if self.message => {}
            CONTINUATION => return Err("continues no message".into()),
            _ if self.message => return Err("begins inside of another message".into()),
            _ if opcode == expected.opcode => (self.message, self.compressed) = (true, compressed),
            _ => return Err(format!("has opcode {opcode}, not {}", expected.opcode)),
        }
        let size = (self.at as u64).saturating_add(length);
        let must = expected.reply(self.done).payload.len();
        if !self.compressed && size > must as u64 {
            return Err(format!("has {size} bytes or more, not {must}"));
        }
        Ok(())
    }

    fn payload(
        &mut self,
        expected: &Expected,
        bytes: &[u8],
        ping: &mut dyn FnMut(&[u8]),
    ) -> Result<usize, String> {
        let size = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
        let bytes = &bytes[..size];
        let must = &expected.reply(self.done).payload;
        if self.first & 0x0f >= CLOSE {
            self.control.extend_from_slice(bytes);
        } else if self.compressed {
            if self.compares(expected) {
                self.inflater().piece(bytes, must)?;
            }
        } else {
            if self.compares(expected) {
                compare(bytes, must, self.at)?;
            }
            self.at += size;
        }
        self.left -= size as u64;
        if self.left == 0 {
            self.end(expected, ping)?;
        }
        Ok(size)
    }

    fn inflater(&mut self) -> &mut Inflater {
        let forgets = self.deflate.unwrap_or(true);
        self.inflater.get_or_insert_with(|| Inflater::new(forgets))
    }

    /// Handles the end of a frame.
    fn end(&mut self, expected: &Expected, ping: &mut dyn FnMut(&[u8])) -> Result<(), String> {
        match self.first & 0x0f {
            CLOSE => return Err(closed(&self.control)),
            PING => ping(&self.control),
            PONG => {}
            _ if self.first & 0x80 != 0 => self.message_over(expected)?,
            _ => {}
        }
        Ok(())
    }

    fn message_over(&mut self, expected: &Expected) -> Result<(), String> {
        let must = &expected.reply(self.done).payload;
        if !self.compressed && self.at != must.len() {
            return Err(format!("has {} bytes, not {}", self.at, must.len()));
        }
        if self.compressed && self.compares(expected) {
            self.inflater().end(must)?;
        }
        (self.at, self.message) = (0, false);
        self.done += 1;
        if !self.compares(expected) {
            // The decompressor has missed messages that are not compared, and is not needed again.
            self.inflater = None;
        }
        Ok(())
    }
}

/// The code and reason of a close frame.
fn closed(payload: &[u8]) -> String {
    match payload {
        [high, low, reason @ ..] => {
            let code = u16::from_be_bytes([*high, *low]);
            let reason = String::from_utf8_lossy(reason);
            format!("is the end: the server closed with code {code} and the reason \"{reason}\"")
        }
        _ => "is the end: the server closed without a code".into(),
    }
}

#[cfg(test)]
#[path = "replies_tests.rs"]
mod tests;
