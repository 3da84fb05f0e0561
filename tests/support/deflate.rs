//! permessage-deflate for a client, in both directions (RFC 7692 section 7.2).

use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress};

use super::wire::{self, FIN, RSV1};

const TAIL: [u8; 4] = [0x00, 0x00, 0xFF, 0xFF];

/// Compresses messages; the window is kept between messages.
pub(crate) struct Deflater(Compress);

impl Deflater {
    pub(crate) fn new() -> Self {
        Self(Compress::new(Compression::best(), false))
    }

    /// The compressed payload of `message`: flushed, without the last four bytes.
    pub(crate) fn message(&mut self, message: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(message.len() + 64);
        let before = self.0.total_in();
        loop {
            out.reserve(64 + message.len() / 2);
            let done = usize::try_from(self.0.total_in() - before).unwrap();
            self.0.compress_vec(&message[done..], &mut out, FlushCompress::Sync).unwrap();
            let all_in = usize::try_from(self.0.total_in() - before).unwrap() == message.len();
            if all_in && out.len() < out.capacity() {
                break;
            }
        }
        assert!(out.ends_with(&TAIL));
        out.truncate(out.len() - TAIL.len());
        if out.is_empty() { vec![0] } else { out }
    }
}

/// The payload of a compressed message, with a new window.
pub(crate) fn deflated(message: &[u8]) -> Vec<u8> {
    Deflater::new().message(message)
}

/// Inflates the server's messages; the window is kept between messages.
pub(crate) struct Inflater(Decompress);

impl Inflater {
    pub(crate) fn new() -> Self {
        Self(Decompress::new(false))
    }

    /// The inflated payload of a compressed message.
    pub(crate) fn message(&mut self, payload: &[u8]) -> Result<Vec<u8>, String> {
        let input = [payload, &TAIL].concat();
        let mut out = Vec::with_capacity(payload.len() * 4 + 64);
        let before = self.0.total_in();
        loop {
            out.reserve(1024 + out.len());
            let done = usize::try_from(self.0.total_in() - before).unwrap();
            self.0
                .decompress_vec(&input[done..], &mut out, FlushDecompress::Sync)
                .map_err(|error| error.to_string())?;
            let all_in = usize::try_from(self.0.total_in() - before).unwrap() == input.len();
            if all_in && out.len() < out.capacity() {
                return Ok(out);
            }
        }
    }
}

/// The frames in `bytes` with compressed ones inflated, RSV1 cleared and new lengths, so that a
/// comparison does not depend on the compressor. An incomplete frame is not changed.
pub(crate) fn plain(bytes: &[u8], keeps_window: bool) -> Result<Vec<u8>, String> {
    let mut inflater = Inflater::new();
    let (frames, rest) = wire::server_frames(bytes);
    let mut out = Vec::new();
    for frame in frames {
        if frame.first & RSV1 == 0 {
            out.extend(wire::unmasked(frame.first, &frame.payload));
            continue;
        }
        if frame.first != FIN | RSV1 | wire::TEXT && frame.first != FIN | RSV1 | wire::BINARY {
            return Err(format!("RSV1 on a frame that starts with {:02x}", frame.first));
        }
        if !keeps_window {
            inflater = Inflater::new();
        }
        out.extend(wire::unmasked(frame.first & !RSV1, &inflater.message(&frame.payload)?));
    }
    out.extend(rest);
    Ok(out)
}
