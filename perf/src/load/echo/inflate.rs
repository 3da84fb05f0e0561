//! Inflates compressed replies piece by piece and compares them with the expected messages.

use flate2::{Decompress, FlushDecompress, Status};

/// The bytes that a sender removes at the end of each message.
const TAIL: [u8; 4] = [0x00, 0x00, 0xff, 0xff];

/// The size of an inflated piece.
const ROOM: usize = 16 << 10;

/// One connection's decompressor.
pub(super) struct Inflater {
    inner: Decompress,
    room: Box<[u8; ROOM]>,
    /// The server agreed to keep no window between messages.
    forgets: bool,
    /// Plain bytes of the current message so far.
    at: usize,
}

impl Inflater {
    pub(super) fn new(forgets: bool) -> Self {
        Self { inner: Decompress::new(false), room: Box::new([0; ROOM]), forgets, at: 0 }
    }

    /// The next bytes of a message.
    pub(super) fn piece(&mut self, mut bytes: &[u8], expected: &[u8]) -> Result<(), String> {
        loop {
            let (read, written) = (self.inner.total_in(), self.inner.total_out());
            let status = self
                .inner
                .decompress(bytes, &mut self.room[..], FlushDecompress::Sync)
                .map_err(|e| format!("cannot be inflated: {e}"))?;
            let progress = |now: u64, before: u64| usize::try_from(now - before).unwrap_or(0);
            let used = progress(self.inner.total_in(), read);
            let plain = progress(self.inner.total_out(), written);
            compare(&self.room[..plain], expected, self.at)?;
            self.at += plain;
            bytes = &bytes[used..];
            match status {
                // A final block ends the stream; further data begins a new one.
                Status::StreamEnd => self.inner.reset(false),
                _ if plain == ROOM || (!bytes.is_empty() && used + plain > 0) => {}
                _ if bytes.is_empty() => return Ok(()),
                _ => return Err("cannot be inflated to its end".into()),
            }
        }
    }

    /// The message is over.
    pub(super) fn end(&mut self, expected: &[u8]) -> Result<(), String> {
        self.piece(&TAIL, expected)?;
        let size = std::mem::take(&mut self.at);
        if self.forgets {
            self.inner.reset(false);
        }
        if size == expected.len() {
            Ok(())
        } else {
            Err(format!("has {size} bytes, not {}", expected.len()))
        }
    }
}

/// Compares a piece at offset `at` with the expected payload.
pub(super) fn compare(bytes: &[u8], expected: &[u8], at: usize) -> Result<(), String> {
    let must = expected.get(at..).unwrap_or_default();
    let Some(must) = must.get(..bytes.len()) else {
        return Err(format!("is longer than its {} bytes", expected.len()));
    };
    if bytes == must {
        return Ok(());
    }
    let wrong = bytes.iter().zip(must).position(|(is, must)| is != must).unwrap_or(0);
    let (is, must) = (bytes[wrong], must[wrong]);
    Err(format!("differs at byte {}: {is:#04x}, not {must:#04x}", at + wrong))
}

#[cfg(test)]
mod tests {
    use flate2::{Compress, Compression, FlushCompress};

    use super::*;
    use crate::load::Content;

    fn deflated(compress: &mut Compress, payload: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(payload.len() + 100);
        compress.compress_vec(payload, &mut out, FlushCompress::Sync).unwrap();
        if payload.is_empty() {
            return vec![0x00];
        }
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        out
    }

    #[test]
    fn messages_are_compared_in_any_pieces() {
        for size in [0, 1, 1000, ROOM - 1, ROOM, ROOM + 1, 100_000] {
            let payload = Content::Json.payload(size, 2);
            let mut compress = Compress::new(Compression::new(6), false);
            let mut inflater = Inflater::new(false);
            for step in [1, 7, 1 << 20] {
                for piece in deflated(&mut compress, &payload).chunks(step) {
                    inflater.piece(piece, &payload).unwrap();
                }
                inflater.end(&payload).unwrap();
            }
        }
    }

    #[test]
    fn references_to_earlier_messages_are_refused_if_not_allowed() {
        let payload = Content::Ascii.payload(1000, 2);
        let mut compress = Compress::new(Compression::new(6), false);
        let mut inflater = Inflater::new(true);
        let mut take = |bytes: &[u8]| {
            inflater.piece(bytes, &payload)?;
            inflater.end(&payload)
        };
        take(&deflated(&mut compress, &payload)).unwrap();
        assert!(take(&deflated(&mut compress, &payload)).is_err());
    }

    #[test]
    fn wrong_and_short_messages_are_found() {
        let payload = Content::Ascii.payload(5000, 2);
        let mut wrong = payload.clone();
        wrong[4321] ^= 1;
        let cases = [(wrong, "byte 4321"), (payload[..4999].to_vec(), "4999 bytes")];
        for (bytes, what) in cases {
            let mut compress = Compress::new(Compression::new(6), false);
            let mut inflater = Inflater::new(true);
            let got = inflater
                .piece(&deflated(&mut compress, &bytes), &payload)
                .and_then(|()| inflater.end(&payload));
            assert!(got.unwrap_err().contains(what), "{what}");
        }
        assert!(Inflater::new(true).piece(&[0xff; 20], &payload).is_err());
    }
}
