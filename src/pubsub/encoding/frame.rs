//! The WebSocket frames of deliveries.

use super::form::Form;
use crate::base::Work;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::deflate::{COMPRESSIBLE, Pool};
use crate::protocol::websocket::frame::{MAX_SERVER_HEADER, append_frame, write_server_header};

/// The room in front of a payload in which any header fits.
pub(super) const ROOM: usize = MAX_SERVER_HEADER;

/// The window with which a payload of `len` bytes is compressed for subscribers of `form`; `None`
/// if it is not.
#[inline]
pub(super) fn window_bits(form: Form, len: usize) -> Option<u8> {
    form.window_bits().filter(|_| COMPRESSIBLE.contains(&len))
}

/// Compresses a payload. Returns whether it gets shorter by that.
pub(super) fn deflate(bits: u8, payload: &[u8], deflated: &mut Vec<u8>, pool: &mut Pool) -> bool {
    deflated.clear();
    let mut deflater = pool.deflater(bits);
    deflater.message(payload, deflated);
    pool.give_deflater(deflater);
    deflated.len() < payload.len()
}

/// Appends the frame of a payload for subscribers of `form`, compressed if it gets shorter by that.
/// Returns the work for its bytes.
#[inline]
pub(super) fn append(
    out: &mut Vec<u8>,
    form: Form,
    (opcode, payload): (Opcode, &[u8]),
    deflated: &mut Vec<u8>,
    pool: &mut Pool,
) -> u64 {
    let Some(bits) = window_bits(form, payload.len()) else {
        append_frame(out, opcode, false, payload);
        return Work::of_bytes(payload.len());
    };
    let compressed = deflate(bits, payload, deflated, pool);
    append_frame(out, opcode, compressed, if compressed { deflated } else { payload });
    Work::of_deflated(pool.level_for(payload.len()), bits, payload.len(), deflated.len())
}

/// Appends an uncompressed frame.
pub(super) fn append_plain(out: &mut Vec<u8>, opcode: Opcode, payload: &[u8]) {
    append_frame(out, opcode, false, payload);
}

/// The header of an uncompressed frame.
pub(crate) fn header(opcode: Opcode, len: usize) -> Vec<u8> {
    let mut room = vec![0; ROOM];
    let header = write_server_header(&mut room, opcode, false, len);
    room.split_off(ROOM - header)
}

/// A frame around a payload that is compressed already.
pub(super) fn of_deflated(opcode: Opcode, deflated: &[u8]) -> Vec<u8> {
    let mut frame = Vec::with_capacity(MAX_SERVER_HEADER + deflated.len());
    append_frame(&mut frame, opcode, true, deflated);
    frame
}

/// Writes the header of an uncompressed frame into the [`ROOM`] in front of a payload. Returns
/// where the frame begins.
pub(super) fn write_header(bytes: &mut [u8], opcode: Opcode) -> usize {
    let (room, payload) = bytes.split_at_mut(ROOM);
    ROOM - write_server_header(room, opcode, false, payload.len())
}
