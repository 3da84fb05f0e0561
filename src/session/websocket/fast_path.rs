//! The fast path: messages that come in one frame and in one piece.

use crate::protocol::websocket::frame::{append_frame, server_header_len, write_server_header};
use crate::protocol::websocket::mask::{MaskKey, unmask_shift};
use crate::protocol::websocket::utf8::{Validator, is_valid, unmask_text};
use crate::protocol::websocket::{Opcode, Violation};
use crate::session::context::ReceiveContext;
use crate::session::replies::{Message, Replies};
use crate::session::service::Inbound;
use crate::session::state::{Phase, Session};

/// Text of at least so many bytes that stays in its place is unmasked and validated in one pass.
/// For shorter text, and where text moves, unmasking also reports whether all bytes are ASCII; most
/// text is, and then needs no validation.
const ONE_PASS: usize = 128;
/// The longest payload with a length of one byte.
const SHORT: usize = 125;

/// Where a whole message stands in the receive buffer.
pub(in crate::session) struct FrameSpan {
    pub(in crate::session) opcode: Opcode,
    pub(in crate::session) mask: MaskKey,
    pub(in crate::session) at: usize,
    pub(in crate::session) len: usize,
}

impl Session {
    /// Takes short messages from `at` on, as long as there is nothing but them; returns where
    /// something else begins. Whatever is unusual in the least is left to the general way.
    ///
    /// For the server's own endpoints this is another function: a handler that does more than echo
    /// needs its replies in memory, and an echo does not.
    #[inline]
    pub(in crate::session) fn short_frames<S: Inbound>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        if self.endpoint.is_built_in() {
            self.short_built_in_frames(bytes, at, cx, service)
        } else {
            self.short_frames_of::<S, false>(bytes, at, cx, service)
        }
    }

    #[inline(never)]
    fn short_built_in_frames<S: Inbound>(
        &mut self,
        bytes: &mut [u8],
        at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        self.short_frames_of::<S, true>(bytes, at, cx, service)
    }

    #[inline(always)]
    fn short_frames_of<S: Inbound, const BUILT_IN: bool>(
        &mut self,
        bytes: &mut [u8],
        mut at: usize,
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<usize, Violation> {
        // Looked up only if some route has a limit that is less.
        let is_limited =
            cx.pools.least_message < SHORT && cx.pools.message_limits(self.route).bytes < SHORT;
        if is_limited || self.assembly.is_some() {
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
            let span = FrameSpan { opcode, mask, at: start, len };
            let hold = self.single_frame::<S, BUILT_IN>(span, bytes, cx, service)?;
            at = start + len;
            if hold {
                break;
            }
            if BUILT_IN && cx.pools.work.is_used_up() {
                self.pause(cx);
                break;
            }
        }
        Ok(at)
    }

    /// A message in one frame, all of it received: unmasked to where its echo would be, in one
    /// pass, and answered without a copy. Returns whether the service wants the rest of the input
    /// to wait.
    #[inline(always)]
    pub(super) fn single_frame<S: Inbound, const BUILT_IN: bool>(
        &mut self,
        span: FrameSpan,
        bytes: &mut [u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<bool, Violation> {
        match cx.out.in_place_offset(span.at, server_header_len(span.len)) {
            Some(to) => self.single_frame_at::<S, BUILT_IN, true>(span, to, bytes, cx, service),
            None => {
                let FrameSpan { opcode, mask, at, len } = span;
                self.single_frame_copied::<S, BUILT_IN>(opcode, mask, at, len, bytes, cx, service)
            }
        }
    }

    /// The same where an echo has to be copied.
    #[inline(never)]
    #[allow(clippy::too_many_arguments, reason = "a span in registers need not be in memory")]
    fn single_frame_copied<S: Inbound, const BUILT_IN: bool>(
        &mut self,
        opcode: Opcode,
        mask: MaskKey,
        at: usize,
        len: usize,
        bytes: &mut [u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<bool, Violation> {
        let span = FrameSpan { opcode, mask, at, len };
        self.single_frame_at::<S, BUILT_IN, false>(span, at, bytes, cx, service)
    }

    /// Unmasks the payload to `bytes[to..]` and calls the service. An echo is left there, with its
    /// header in front, if it can be done `IN_PLACE`.
    #[inline(always)]
    fn single_frame_at<S: Inbound, const BUILT_IN: bool, const IN_PLACE: bool>(
        &mut self,
        span: FrameSpan,
        to: usize,
        bytes: &mut [u8],
        cx: &mut ReceiveContext<'_>,
        service: &mut S,
    ) -> Result<bool, Violation> {
        let FrameSpan { opcode, len, .. } = span;
        unmask_span(&span, bytes, to)?;
        self.last_message = cx.now;
        let Some((before, rest)) = bytes.split_at_mut_checked(to) else { return Ok(false) };
        let Some(payload) = rest.get(..len) else { return Ok(false) };
        let mut replies = Replies::new(before, cx, self.compression.as_deref_mut());
        let message = Message { opcode, payload, compressed: false, endpoint: self.endpoint };
        service.message::<BUILT_IN>(self.id, message, &mut replies);
        let end = replies.end();
        if end.echo {
            if IN_PLACE {
                let head = server_header_len(len);
                write_server_header(before, opcode, false, len);
                cx.out.extend_in_place(to - head..to + len);
            } else {
                echo_copied(cx, before, opcode, payload);
            }
        }
        if BUILT_IN {
            count_work(cx, service);
        }
        let hold = end.hold;
        if end.close.is_some() || hold {
            self.apply(end, bytes, cx);
        }
        Ok(hold)
    }
}

/// Counts the work of a message to a built-in endpoint. Without room for more of them, the next one
/// has to wait.
#[inline(always)]
pub(super) fn count_work<S: Inbound>(cx: &mut ReceiveContext<'_>, service: &mut S) {
    cx.pools.work.charge(service.take_work());
    if !service.has_room() {
        cx.pools.work.stop();
    }
}

/// There is no room in front of the payload for the header of the reply, so both are copied.
#[cold]
fn echo_copied(cx: &mut ReceiveContext<'_>, before: &[u8], opcode: Opcode, payload: &[u8]) {
    cx.copy_out(before);
    append_frame(cx.out.appendable(Vec::new), opcode, false, payload);
}

/// Unmasks the payload to `bytes[to..]`; text must be UTF-8.
#[inline(always)]
fn unmask_span(span: &FrameSpan, bytes: &mut [u8], to: usize) -> Result<(), Violation> {
    let &FrameSpan { opcode, mask, at, len } = span;
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
