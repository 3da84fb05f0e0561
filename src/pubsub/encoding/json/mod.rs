//! The payload in a JSON envelope that names the topic: the text of one message.

mod pieces;
#[cfg(test)]
mod tests;
mod text;

use super::encode::{Data, Encode, Framing};
use crate::protocol::websocket::Opcode;
use pieces::JsonPieces;
pub(crate) use text::string;

/// This encoding.
#[derive(Debug)]
pub(super) struct Json;

impl Encode for Json {
    const FRAMING: Framing = Framing::Frame(Opcode::Text);
    type Pieces = JsonPieces;

    fn message(out: &mut Vec<u8>, topic: &str, data: Data<'_>, retained: bool) {
        text::delivery(out, topic, data, retained);
    }

    fn gap(out: &mut Vec<u8>, topic: &str, lost: u64) {
        text::gap(out, topic, lost);
    }

    fn pieces(topic: &str, data: Data<'_>, room: usize, retained: bool) -> JsonPieces {
        JsonPieces::new(topic, data, room, retained)
    }
}
