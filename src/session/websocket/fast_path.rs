//! Messages that come in one frame and one piece: the fast path.

use super::reader::Turn;
use crate::protocol::websocket::frame::{server_header_len, write_server_header};
use crate::protocol::websocket::mask::{MaskKey, unmask_shift};
use crate::protocol::websocket::utf8::{Validator, is_valid, unmask_text};
use crate::protocol::websocket::{CloseCode, Opcode, Violation};
use crate::session::{
    CloseReason, Connection, Encoder, Handler, Message, Output, Phase, Replies, append_close,
};

/// From here on, text that stays in its place is unmasked and validated in one pass; below, and
/// where it moves, unmasking tells ASCII by the way, which is all that most text is.
const ONE_PASS: usize = 128;
/// The longest payload with a length of one byte.
const SHORT: usize = 125;

/// Where a whole message stands in the receive buffer.
pub(in crate::session) struct Place {
    pub(in crate::session) opcode: Opcode,
    pub(in crate::session) mask: MaskKey,
    pub(in crate::session) at: usize,
    pub(in crate::session) len: usize,
}

impl Connection {
    /// Takes short messages from `at` on, as long as there is nothing but them; returns where
    /// something else begins. Whatever is unusual in the least is left to the general way.
    ///
    /// For the server's own endpoints this is another function: a handler that does more than echo
    /// needs its replies in memory, and an echo does not.
    #[inline]
    pub(in crate::session) fn short_messages<H: Handler>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        if self.is_endpoint() {
            self.short_server_messages(bytes, at, turn)
        } else {
            self.short_messages_of::<H, false>(bytes, at, turn)
        }
    }

    #[inline(never)]
    fn short_server_messages<H: Handler>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        self.short_messages_of::<H, true>(bytes, at, turn)
    }

    #[inline(always)]
    fn short_messages_of<H: Handler, const SERVER: bool>(
        &mut self,
        bytes: &mut [u8],
        mut at: usize,
        turn: &mut Turn<'_, H>,
    ) -> Result<usize, Violation> {
        if turn.shared.config.limits.max_message < SHORT || self.assembly.is_some() {
            return Ok(at);
        }
        while self.phase == Phase::Open {
            let Some([first, second, key @ ..]) =
                bytes.get(at..).and_then(<[u8]>::first_chunk::<6>)
            else {
                break;
            };
            // Both of FIN and no reserved bit; masked and short.
            let opcode = match first {
                0x81 => Opcode::Text,
                0x82 => Opcode::Binary,
                _ => break,
            };
            let len = usize::from(second ^ 0x80);
            let (mask, start) = (MaskKey::new(*key), at + 6);
            if len > SHORT || len > bytes.len() - start {
                break;
            }
            let place = Place { opcode, mask, at: start, len };
            self.whole_message::<H, SERVER>(place, bytes, turn)?;
            at = start + len;
        }
        Ok(at)
    }

    /// A message in one frame, all of it received: unmasked to where its echo would stand, in one
    /// pass, and answered without a copy.
    #[inline(always)]
    pub(in crate::session) fn whole_message<H: Handler, const SERVER: bool>(
        &mut self,
        place: Place,
        bytes: &mut [u8],
        turn: &mut Turn<'_, H>,
    ) -> Result<(), Violation> {
        let Place { opcode, len, .. } = place;
        let head = server_header_len(len);
        let room = turn.out.place(place.at, head);
        let to = room.unwrap_or(place.at);
        unmask_whole(&place, bytes, to)?;
        self.last_message = turn.now;
        let (before, rest) = bytes.split_at_mut(to);
        let payload = rest.get(..len).unwrap_or_default();
        let shared = &mut *turn.shared;
        let mut replies = Replies {
            before,
            out: turn.out,
            buffers: &mut shared.buffers,
            encoder: Encoder {
                compression: self.compression.as_deref_mut(),
                pool: &mut shared.deflate,
            },
            echo: None,
            close: None,
        };
        let message = Message { opcode, payload, compressed: false, tag: self.tag };
        if SERVER {
            shared.handler.server_message(self.id, message, &mut replies);
        } else {
            shared.handler.message(self.id, message, &mut replies);
        }
        let (echo, close) = (replies.echo.is_some(), replies.close);
        if echo {
            if room.is_some() {
                write_server_header(before, opcode, false, len);
                turn.out.placed(to - head..to + len);
            } else {
                echo_copied(turn, before, opcode, payload);
            }
        }
        if let Some((code, reason)) = close {
            self.close_as_asked(code, reason, bytes, turn);
        }
        Ok(())
    }

    /// The handler wants the connection closed after its replies.
    #[cold]
    pub(in crate::session) fn close_as_asked<H>(
        &mut self,
        code: CloseCode,
        reason: &'static str,
        bytes: &[u8],
        turn: &mut Turn<'_, H>,
    ) {
        turn.out.spill(bytes, || turn.shared.buffers.take());
        append_close(self.output(turn.shared, turn.out), code, reason);
        self.end(Phase::Closing, CloseReason::Local(code));
        self.deadline = turn.now.after(turn.shared.config.timeouts.close);
    }
}

/// The first message of a receive, whose header lies in the one before: no room in front of it.
#[cold]
fn echo_copied<H>(turn: &mut Turn<'_, H>, before: &[u8], opcode: Opcode, payload: &[u8]) {
    let out: &mut Output = turn.out;
    out.spill(before, || turn.shared.buffers.take());
    crate::protocol::websocket::frame::append_frame(
        out.appendable(Vec::new),
        opcode,
        false,
        payload,
    );
}

/// Unmasks the payload to `bytes[to..]`; text must be UTF-8.
#[inline(always)]
fn unmask_whole(place: &Place, bytes: &mut [u8], to: usize) -> Result<(), Violation> {
    let &Place { opcode, mask, at, len } = place;
    let text = opcode == Opcode::Text;
    if text && to == at && len >= ONE_PASS {
        let mut validator = Validator::new();
        let payload = bytes.get_mut(at..at + len).unwrap_or_default();
        return match unmask_text(payload, mask, &mut validator) {
            Ok(()) if validator.is_complete() => Ok(()),
            _ => Err(Violation::TextUtf8),
        };
    }
    let ascii = unmask_shift(bytes, at, to, len, mask);
    if text && !ascii && !is_valid(bytes.get(to..to + len).unwrap_or_default()) {
        return Err(Violation::TextUtf8);
    }
    Ok(())
}
