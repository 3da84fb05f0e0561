//! What an encoding is: the bytes that its subscribers are sent of a message, at once or in pieces,
//! and how these are framed.

use crate::base::Work;
use crate::protocol::websocket::Opcode;

/// A longer payload is encoded in pieces. In the worst case one of this length takes some
/// milliseconds: six times as long in JSON, and compressed for three windows.
pub(crate) const ONE_PIECE: usize = 16 << 10;

/// The payload of a published message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Data<'a> {
    /// JSON that is known to be valid.
    Json(&'a [u8]),
    /// Any bytes. They may be JSON.
    Bytes(&'a [u8]),
}

impl<'a> Data<'a> {
    /// The bytes.
    #[inline]
    pub(crate) const fn bytes(self) -> &'a [u8] {
        match self {
            Data::Json(bytes) | Data::Bytes(bytes) => bytes,
        }
    }

    /// The work of finding out whether it is JSON.
    #[inline]
    pub(crate) const fn check_work(self) -> u64 {
        match self {
            Data::Json(_) => 0,
            Data::Bytes(bytes) => bytes.len() as u64 * Work::JSON_BYTE,
        }
    }
}

/// A message to be encoded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Content<'a> {
    /// Its topic.
    pub(crate) topic: &'a str,
    /// The opcode with which it was published.
    pub(crate) opcode: Opcode,
    /// Its payload.
    pub(crate) data: Data<'a>,
}

/// How the messages of an encoding are framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Framing {
    /// In a WebSocket frame, with the payload and the opcode as they were published: nothing is
    /// encoded.
    AsPublished,
    /// In a WebSocket frame of this opcode, around what the encoding writes.
    Frame(Opcode),
    /// What the encoding writes is sent as it is: without a WebSocket frame, and never compressed.
    Own,
}

/// An encoding of deliveries. Each implements this for a type of its own, and the list in
/// `codec.rs` names that type. Where nothing is said, the functions are those of what is framed.
pub(super) trait Encode {
    /// How its messages are framed.
    const FRAMING: Framing;
    /// The encoding of a message while it is made in pieces.
    type Pieces: Pieces;

    /// Appends a message, just published or `retained`. The default appends the payload.
    fn message(out: &mut Vec<u8>, topic: &str, data: Data<'_>, retained: bool) {
        let _ = (topic, retained);
        out.extend_from_slice(data.bytes());
    }

    /// Appends a notice that `lost` messages of a topic were dropped. The default appends nothing:
    /// subscribers are not told.
    fn gap(out: &mut Vec<u8>, topic: &str, lost: u64) {
        let _ = (out, topic, lost);
    }

    /// Begins to encode a message, just published or `retained`, in pieces, with `room` bytes free
    /// in front. It becomes what [`message`](Self::message) appends.
    fn pieces(topic: &str, data: Data<'_>, room: usize, retained: bool) -> Self::Pieces;
}

/// The encoding of a message while it is made in pieces, each of less than a millisecond of work.
pub(super) trait Pieces {
    /// Handles the next piece of `payload`, the whole of which is given each time. Returns the work
    /// that was done.
    fn step(&mut self, payload: &[u8]) -> u64;

    /// Whether nothing is left to do.
    fn is_done(&self) -> bool;

    /// Whether the payload is known to be JSON, by now or from the beginning.
    fn is_json(&self) -> bool {
        false
    }

    /// The bytes so far.
    fn len(&self) -> usize;

    /// The encoding, behind the room.
    fn into_bytes(self) -> Vec<u8>;
}
