//! What a service is given with a message: the [`Message`], and the [`Replies`] to it.

use bytes::Bytes;

use super::compression::{Compression, Encoder};
use super::context::ReceiveContext;
use super::endpoint::EndpointId;
use super::outbound::Output;
use super::reason::CloseReason;
use crate::base::BufferPool;
use crate::protocol::websocket::frame::MAX_CONTROL_PAYLOAD;
use crate::protocol::websocket::{CloseCode, Opcode};

/// One message of a client.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub(super) opcode: Opcode,
    pub(super) payload: &'a [u8],
    pub(super) compressed: bool,
    pub(super) endpoint: EndpointId,
}

impl<'a> Message<'a> {
    /// The endpoint that it was sent to.
    #[inline]
    #[must_use]
    pub const fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// [`Opcode::Text`] or [`Opcode::Binary`].
    #[must_use]
    pub const fn opcode(&self) -> Opcode {
        self.opcode
    }

    /// The bytes; valid UTF-8 for text.
    #[must_use]
    pub const fn payload(&self) -> &'a [u8] {
        self.payload
    }

    /// The text, or `None` for a binary message that is not UTF-8.
    #[must_use]
    pub fn text(&self) -> Option<&'a str> {
        simdutf8::basic::from_utf8(self.payload).ok()
    }

    /// Whether the client sent it compressed.
    #[must_use]
    pub const fn is_compressed(&self) -> bool {
        self.compressed
    }
}

/// Answers to the sender of a message. They are sent in the order of the calls, in one send
/// together with the answers to the other messages of the turn.
#[derive(Debug)]
pub struct Replies<'a> {
    /// The receive buffer up to where the message's reply would stand.
    before: &'a [u8],
    out: &'a mut Output,
    buffers: &'a mut BufferPool,
    encoder: Encoder<'a>,
    backlog: usize,
    /// An echo that may still be done in place.
    echo: Option<Message<'a>>,
    /// There was an echo that could not be done in place.
    has_copied_echo: bool,
    close: Option<(CloseReason, &'static str)>,
    hold: bool,
}

/// What a service asked for besides its replies.
pub(super) struct RepliesEnd {
    /// Echo the message in place.
    pub(super) echo: bool,
    pub(super) close: Option<(CloseReason, &'static str)>,
    pub(super) hold: bool,
}

impl<'a> Replies<'a> {
    /// Replies behind those in `cx`. `before` is the receive buffer up to where the reply to the
    /// message would stand.
    #[inline(always)]
    pub(super) fn new(
        before: &'a [u8],
        cx: &'a mut ReceiveContext<'_>,
        compression: Option<&'a mut Compression>,
    ) -> Self {
        let pools = &mut *cx.pools;
        Self {
            before,
            out: cx.out,
            buffers: &mut pools.buffers,
            encoder: Encoder {
                compression,
                pool: &mut pools.deflate,
                written: &mut pools.counts.written,
            },
            backlog: cx.backlog,
            echo: None,
            has_copied_echo: false,
            close: None,
            hold: false,
        }
    }

    #[inline(always)]
    pub(super) fn end(self) -> RepliesEnd {
        RepliesEnd { echo: self.echo.is_some(), close: self.close, hold: self.hold }
    }

    /// Sends the message back, compressed if it came compressed. Without a copy where nothing else
    /// has been sent to this connection in the turn.
    #[inline(always)]
    pub fn echo(&mut self, message: Message<'a>) {
        if self.echo.is_none() && !self.out.is_owned() {
            self.echo = Some(message);
        } else {
            self.has_copied_echo = true;
            // Passed as separate fields, so that `self` can stay in registers.
            let encoder = self.encoder.reborrow();
            let earlier = self.echo.take();
            let Message { opcode, payload, compressed, .. } = message;
            append(
                self.before,
                self.out,
                self.buffers,
                encoder,
                earlier,
                opcode,
                payload,
                compressed,
            );
        }
    }

    /// Whether [`echo`](Self::echo) was called.
    #[inline(always)]
    #[must_use]
    pub const fn has_echo(&self) -> bool {
        self.echo.is_some() || self.has_copied_echo
    }

    /// Sends a message of this payload; compressed where that was agreed and may pay.
    ///
    /// `opcode` is text or binary; any other is a mistake of the caller and sent as binary. The
    /// caller vouches that text is UTF-8.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let opcode = if opcode == Opcode::Text { opcode } else { Opcode::Binary };
        let compress = self.encoder.is_compressible(payload);
        let encoder = self.encoder.reborrow();
        let earlier = self.echo.take();
        append(self.before, self.out, self.buffers, encoder, earlier, opcode, payload, compress);
    }

    /// Sends a ping with this payload, which is cut to the 125 bytes that a control frame may have
    /// (RFC 6455 section 5.5).
    pub fn ping(&mut self, payload: &[u8]) {
        let payload = &payload[..payload.len().min(MAX_CONTROL_PAYLOAD)];
        let encoder = self.encoder.reborrow();
        let earlier = self.echo.take();
        append(self.before, self.out, self.buffers, encoder, earlier, Opcode::Ping, payload, false);
    }

    /// The bytes that wait to be sent to this connection, those of this turn included.
    #[must_use]
    pub fn queued(&self) -> usize {
        let echo = self.echo.as_ref().map_or(0, |message| message.payload.len());
        self.backlog + self.out.len() + echo
    }

    /// Whether [`close`](Self::close) was called.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.close.is_some()
    }

    /// Appends a message that is framed, as it is. Many bytes are not copied, but shared with all
    /// others that hold them.
    pub fn append_frames(&mut self, frames: &Bytes) {
        if let Some(earlier) = self.echo.take() {
            let Message { opcode, payload, compressed, .. } = earlier;
            self.out.copy_out(self.before, || self.buffers.take());
            let out = self.out.appendable(Vec::new);
            self.encoder.reborrow().append(out, opcode, payload, compressed);
        }
        self.out.copy_out(self.before, || self.buffers.take());
        *self.encoder.written += 1;
        self.out.append_shared(frames, Vec::new);
    }

    /// Lets everything that the client has sent behind this message wait, until
    /// [`Outbound::set_reading`](crate::session::Outbound::set_reading) is called with `true`.
    pub fn hold(&mut self) {
        self.hold = true;
    }

    /// Closes the connection with this code, after what was sent before.
    pub fn close(&mut self, code: CloseCode, text: &'static str) {
        self.close_for(CloseReason::Local(code), text);
    }

    /// Closes the connection as [`close`](Self::close) does, with the code of this reason.
    pub fn close_for(&mut self, reason: CloseReason, text: &'static str) {
        self.close = Some((reason, text));
    }
}

/// Adds a reply behind those in place and an echo that was to be done there: all of it is copied.
#[cold]
#[allow(clippy::too_many_arguments, reason = "the parts of a `Replies`, to keep that in registers")]
fn append(
    before: &[u8],
    out: &mut Output,
    buffers: &mut BufferPool,
    mut encoder: Encoder<'_>,
    earlier: Option<Message<'_>>,
    opcode: Opcode,
    payload: &[u8],
    compress: bool,
) {
    out.copy_out(before, || buffers.take());
    let out = out.appendable(Vec::new);
    if let Some(echo) = earlier {
        encoder.append(out, echo.opcode, echo.payload, echo.compressed);
    }
    encoder.append(out, opcode, payload, compress);
}
