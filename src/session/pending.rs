//! A frame of which only a part has been received, or another kind of session.

use super::stream::Stream;
use crate::protocol::websocket::frame::{FrameHeader, MAX_CLIENT_HEADER};
use crate::protocol::websocket::mask::MaskKey;
use crate::protocol::websocket::{Opcode, Violation};

/// What the bytes that are received next belong to, if not to a new frame.
#[derive(Debug)]
pub(super) enum PendingFrame {
    /// A frame. This is the start of its header.
    Header { bytes: [u8; MAX_CLIENT_HEADER], len: usize },
    /// A frame. Its header is known, and some of its payload may be.
    Payload(PendingPayload),
    /// They are not frames. The connection is no WebSocket.
    Stream(Stream),
}

/// A frame whose payload is still arriving.
#[derive(Debug)]
pub(super) struct PendingPayload {
    pub(super) opcode: Opcode,
    pub(super) fin: bool,
    /// The key as it stands for the next byte.
    pub(super) mask: MaskKey,
    /// The payload bytes still to come; never an amount to allocate by.
    pub(super) remaining: u64,
    /// What a control frame has brought so far, at most 125 bytes.
    pub(super) control: Vec<u8>,
}

impl PendingPayload {
    pub(super) fn new(header: &FrameHeader) -> Self {
        Self {
            opcode: header.opcode,
            fin: header.fin,
            mask: header.mask,
            remaining: header.payload_len,
            control: Vec::new(),
        }
    }
}

/// A header completed: the header, and how many bytes of the new ones it took.
pub(super) type Completed = (FrameHeader, usize);

/// Adds `fresh` bytes to the `len` bytes of a header in `bytes`. `None` while it is still
/// incomplete, in which case all of `fresh` was taken.
pub(super) fn continue_header(
    bytes: &mut [u8; MAX_CLIENT_HEADER],
    len: &mut usize,
    fresh: &[u8],
    rsv1_allowed: bool,
) -> Result<Option<Completed>, Violation> {
    let before = *len;
    let take = fresh.len().min(MAX_CLIENT_HEADER - before);
    bytes[before..before + take].copy_from_slice(&fresh[..take]);
    *len += take;
    let header = FrameHeader::parse(&bytes[..*len], rsv1_allowed)?;
    Ok(header.map(|header| (header, header.len - before)))
}
