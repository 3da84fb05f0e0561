//! What an application adds: a [`Handler`] for each core, called as messages arrive.

use super::outbound::{Errands, Output, Sink};
use super::reason::CloseReason;
use super::websocket::compression::Encoder;
use crate::base::{BufferPool, ConnectionId, Millis};
use crate::protocol::websocket::handshake::{Agreement, Refusal, Request};
use crate::protocol::websocket::{CloseCode, Opcode};

/// An accepted opening handshake.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Acceptance<'a> {
    /// The subprotocol to answer with; must be one of those offered (RFC 6455 section 4.2.2).
    pub protocol: Option<&'a str>,
    /// A number of the handler's own, up to [`MAX_TAG`](Self::MAX_TAG), which comes back with each
    /// message of the connection.
    pub tag: u8,
}

impl<'a> Acceptance<'a> {
    /// The highest tag that a handler may give; those above are the server's own.
    pub const MAX_TAG: u8 = 253;

    /// Accepts with the first subprotocol that the client offered, if it offered any: what clients
    /// that offer some expect of a server that knows none.
    #[must_use]
    pub fn first_protocol(request: &Request<'a>) -> Self {
        Self { protocol: request.subprotocols().next(), tag: 0 }
    }

    /// Accepts with this subprotocol, or none.
    #[must_use]
    pub const fn with_protocol(protocol: Option<&'a str>) -> Self {
        Self { protocol, tag: 0 }
    }

    /// The same, with this tag.
    #[must_use]
    pub const fn with_tag(self, tag: u8) -> Self {
        Self { tag, ..self }
    }
}

/// The application's part, one value on each core, never shared between threads.
pub trait Handler {
    /// A well-formed request to open a WebSocket. The default accepts every path, and the first
    /// subprotocol offered.
    ///
    /// # Errors
    /// A [`Refusal`] is sent to the client as its status, such as 404 for a path that is not
    /// served.
    fn open<'a>(
        &mut self,
        id: ConnectionId,
        request: &Request<'a>,
    ) -> Result<Acceptance<'a>, Refusal> {
        let _ = id;
        Ok(Acceptance::first_protocol(request))
    }

    /// A request to one of the server's own endpoints, `/topics/...` or `/pubsub`, for which
    /// [`open`](Self::open) is not asked: whether the client may connect there. The default lets
    /// everyone.
    ///
    /// # Errors
    /// As of [`open`](Self::open), such as
    /// [`Forbidden`](crate::protocol::websocket::handshake::Rejection::Forbidden) for one without a cookie.
    fn admit(&mut self, request: &Request<'_>) -> Result<(), Refusal> {
        let _ = request;
        Ok(())
    }

    /// The connection just accepted is open; `deflate` says whether and how messages to it may be
    /// compressed (RFC 7692).
    fn opened(&mut self, id: ConnectionId, deflate: Option<&Agreement>) {
        let _ = (id, deflate);
    }

    /// A whole message: checked, unmasked, decompressed.
    fn message<'a>(&mut self, id: ConnectionId, message: Message<'a>, replies: &mut Replies<'a>);

    /// The end of a connection that [`open`](Self::open) had accepted.
    fn closed(&mut self, id: ConnectionId, reason: CloseReason) {
        let _ = (id, reason);
    }

    /// A whole message of a connection whose tag is above [`Acceptance::MAX_TAG`], which only the
    /// server's own endpoints give.
    fn server_message<'a>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    ) {
        self.message(id, message, replies);
    }

    // What follows is for handlers that send to other connections than the one that speaks.

    /// Every event of a turn has been handled: the time to do what concerns other connections.
    fn turn(&mut self, now: Millis, errands: &mut Errands) {
        let _ = (now, errands);
    }

    /// Delivers up to about `most` times. Called once in each turn; what is left is asked for in
    /// the next, so that many deliveries do not keep those who speak waiting.
    fn deliver<S: Sink>(&mut self, most: usize, sink: &mut S) {
        let _ = (most, sink);
    }

    /// Whether [`turn`](Self::turn) or [`deliver`](Self::deliver) have something to do at once, so
    /// that the core must not sleep.
    fn is_busy(&self) -> bool {
        false
    }

    /// Whether messages of connections with a tag above [`Acceptance::MAX_TAG`] have to wait, as
    /// there is no room for what they would bring. They are handed over once there is.
    fn is_full(&self) -> bool {
        false
    }

    /// When [`turn`](Self::turn) is to be called at the latest.
    fn deadline(&self) -> Millis {
        Millis::NEVER
    }

    /// The core is about to sleep until something happens to one of its connections. `false` if
    /// another thread has left something to do, else that thread has to wake the core from now on.
    fn try_sleep(&mut self) -> bool {
        true
    }

    /// A turn begins; if the core has slept, it is awake again.
    fn begin_turn(&mut self) {}

    /// All that waited for `id` to read has been sent.
    fn drained(&mut self, id: ConnectionId) {
        let _ = id;
    }

    /// `lost` messages about `subject` were dropped because a connection with this tag reads too
    /// slowly. Appends to `out` the frame that says so, if there is one.
    fn gap(&mut self, tag: u8, subject: &str, lost: u64, out: &mut Vec<u8>) {
        let _ = (tag, subject, lost, out);
    }
}

/// One message of a client.
#[derive(Clone, Copy, Debug)]
pub struct Message<'a> {
    pub(super) opcode: Opcode,
    pub(super) payload: &'a [u8],
    pub(super) compressed: bool,
    pub(super) tag: u8,
}

impl<'a> Message<'a> {
    /// The number that the handler gave the connection in its [`Acceptance`].
    #[inline]
    #[must_use]
    pub const fn tag(&self) -> u8 {
        self.tag
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

/// Answers to the sender of a message. They leave in the order of the calls, in one send together
/// with those to the other messages of the turn.
#[derive(Debug)]
pub struct Replies<'a> {
    /// The receive buffer up to where the message's reply would stand.
    pub(super) before: &'a [u8],
    pub(super) out: &'a mut Output,
    pub(super) buffers: &'a mut BufferPool,
    pub(super) encoder: Encoder<'a>,
    /// An echo that may still be done in place.
    pub(super) echo: Option<Message<'a>>,
    pub(super) close: Option<(CloseCode, &'static str)>,
}

impl<'a> Replies<'a> {
    /// Sends the message back, compressed if it came compressed. Without a copy where nothing else
    /// has been sent to this connection in the turn.
    #[inline(always)]
    pub fn echo(&mut self, message: Message<'a>) {
        if self.echo.is_none() && !self.out.is_owned() {
            self.echo = Some(message);
        } else {
            // Chunk by piece, so that the compiler need not keep `self` in memory for this.
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

    /// Sends a message of this payload; compressed where that was agreed and may pay.
    ///
    /// `opcode` is text or binary; any other is a mistake of the caller and sent as binary. The
    /// caller vouches that text is UTF-8.
    pub fn send(&mut self, opcode: Opcode, payload: &[u8]) {
        let opcode = if opcode == Opcode::Text { opcode } else { Opcode::Binary };
        let compress = self.encoder.pays(payload);
        let encoder = self.encoder.reborrow();
        let earlier = self.echo.take();
        append(self.before, self.out, self.buffers, encoder, earlier, opcode, payload, compress);
    }

    /// Closes the connection with this code, after what was sent before.
    pub fn close(&mut self, code: CloseCode, reason: &'static str) {
        self.close = Some((code, reason));
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
    out.spill(before, || buffers.take());
    let out = out.appendable(Vec::new);
    if let Some(echo) = earlier {
        encoder.append(out, echo.opcode, echo.payload, echo.compressed);
    }
    encoder.append(out, opcode, payload, compress);
}
