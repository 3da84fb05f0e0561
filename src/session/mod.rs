//! One WebSocket connection of a server, sans-IO: bytes and time go in, bytes come out.
//!
//! [`Connection`] knows no socket, no clock and no thread. Whoever drives it hands in what was
//! received ([`Connection::receive`], [`Connection::receive_eof`]) and the time
//! ([`Connection::handle_timeout`] once [`Connection::deadline`] has come), sends what it leaves in
//! an [`Output`], and looks at its [`Phase`] after that: the phase says whether to go on reading,
//! to half-close, or to close.

mod handler;
mod http;
mod outbound;
mod reason;
mod shared;
mod websocket;

pub use handler::{Acceptance, Handler, Message, Replies};
pub use outbound::{Errands, Frames, Offer, Output, Post, SendQueue, Sink};
pub use reason::CloseReason;
pub use shared::Shared;

use crate::base::{ConnectionId, Millis};
use crate::config::Config;
use crate::protocol::websocket::assembler::Assembler;
use crate::protocol::websocket::close_code::CloseCode;
use crate::protocol::websocket::close_frame::append_close;
use crate::protocol::websocket::frame::append_frame;
use crate::protocol::websocket::{Opcode, Violation};
use http::opening::Opening;
use websocket::compression::{Compression, Encoder};
use websocket::pending::Partial;

/// How far a connection is, and what its driver has to do once its output is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// The request head is not complete. Go on reading.
    Opening,
    /// Messages pass. Go on reading.
    Open,
    /// This side has sent a close frame and waits for the peer's. Go on reading.
    Closing,
    /// The last bytes are written. Once they are sent, send FIN and go on reading, until the peer
    /// has closed as well: closing with input unread would reset the connection, and the peer
    /// might lose the close frame.
    Lingering,
    /// Nothing more will come or go. Once the output is sent, close.
    Finished,
}

/// The state of one connection. An open and idle one owns no memory besides itself.
#[derive(Debug)]
pub struct Connection {
    id: ConnectionId,
    phase: Phase,
    /// Answer the request with 503: the server is full, or stopping.
    refuse: bool,
    /// The handler has accepted it, so it must hear of the end.
    accepted: bool,
    /// The handler's own mark.
    tag: u8,
    reason: Option<CloseReason>,
    deadline: Millis,
    /// When the answer to our ping must be there; never if none is owed.
    pong_due: Millis,
    last_received: Millis,
    last_message: Millis,
    /// The start of a request head, or a pong that is held back.
    aside: Option<Box<Aside>>,
    /// A frame of which only a part has been received.
    partial: Option<Box<Partial>>,
    /// A message of which only a part has been received.
    assembly: Option<Box<Assembler>>,
    compression: Option<Box<Compression>>,
}

/// What few connections have at any time, in one word for both.
#[derive(Debug)]
enum Aside {
    /// Before the handshake: a request head that did not come in one piece.
    Opening(Opening),
    /// Behind it: the payload of the latest ping that could not be answered because replies queue
    /// up.
    Pong(Vec<u8>),
}

impl Connection {
    /// A connection just accepted. With `refuse`, its request will be answered with 503.
    #[must_use]
    pub fn new(id: ConnectionId, now: Millis, config: &Config, refuse: bool) -> Self {
        Self {
            id,
            phase: Phase::Opening,
            refuse,
            accepted: false,
            tag: 0,
            reason: None,
            deadline: now.after(config.timeouts.handshake),
            pong_due: Millis::NEVER,
            last_received: now,
            last_message: now,
            aside: None,
            partial: None,
            assembly: None,
            compression: None,
        }
    }

    /// How far it is.
    #[inline]
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The number that the handler gave it in its [`Acceptance`].
    #[inline]
    #[must_use]
    pub const fn tag(&self) -> u8 {
        self.tag
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[inline]
    #[must_use]
    pub const fn deadline(&self) -> Millis {
        self.deadline
    }

    /// Takes `bytes` just received, which are changed in place, and leaves replies in `out`.
    ///
    /// What `out` holds in place refers to the very `bytes` of this call; spill it before another.
    /// `congested` says that earlier replies still wait to be sent, so that pings are answered
    /// later, with one pong for all of them (RFC 6455 section 5.5.3).
    pub fn receive<H: Handler>(
        &mut self,
        now: Millis,
        bytes: &mut [u8],
        congested: bool,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        self.last_received = now;
        self.pong_due = Millis::NEVER;
        match self.phase {
            Phase::Open | Phase::Closing => {
                self.receive_frames(now, bytes, congested, shared, out);
            }
            Phase::Opening => self.receive_opening(now, bytes, shared, out),
            Phase::Lingering | Phase::Finished => {}
        }
    }

    /// The peer will send no more. It has a while to take what is still queued.
    pub fn receive_eof(&mut self, now: Millis, config: &Config) {
        if self.phase != Phase::Finished {
            self.deadline = now.after(config.timeouts.stall);
        }
        self.end(Phase::Finished, CloseReason::Eof);
    }

    /// TCP broke, or the peer does not take what is sent: nothing more can be done.
    pub fn abort(&mut self, reason: CloseReason) {
        self.end(Phase::Finished, reason);
    }

    /// Sends a close frame and waits for the peer's, as when the server stops. What is not open is
    /// ended; what is closing already is left alone.
    pub fn close<H>(
        &mut self,
        now: Millis,
        code: CloseCode,
        reason: &str,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        match self.phase {
            Phase::Open => {
                append_close(self.output(shared, out), code, reason);
                self.drop_message(shared);
                self.end(Phase::Closing, CloseReason::Local(code));
                self.deadline = now.after(shared.config.timeouts.close);
            }
            Phase::Opening => self.end(Phase::Finished, CloseReason::Local(code)),
            Phase::Closing | Phase::Lingering | Phase::Finished => {}
        }
    }

    /// Between two pieces of what waits to be sent, the pong that was held back may leave.
    pub fn release_pong<H>(&mut self, shared: &mut Shared<H>, out: &mut Output) {
        if self.phase == Phase::Open
            && let Some(aside) = self.aside.take()
            && let Aside::Pong(payload) = *aside
        {
            append_frame(self.output(shared, out), Opcode::Pong, false, &payload);
        }
    }

    /// Gives back what the connection holds and tells the handler of its end.
    pub fn finish<H: Handler>(&mut self, shared: &mut Shared<H>) {
        self.free(shared);
        if let Some(compression) = self.compression.take() {
            compression.free(&mut shared.deflate);
        }
        if std::mem::take(&mut self.accepted) {
            shared.handler.closed(self.id, self.reason.unwrap_or(CloseReason::Broken));
        }
    }

    /// Why it ended, or why it is ending.
    #[must_use]
    pub const fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Goes on to `phase`; the first reason is the true one.
    fn end(&mut self, phase: Phase, reason: CloseReason) {
        debug_assert!(phase as u8 >= self.phase as u8, "a connection never goes back");
        self.phase = phase;
        self.reason.get_or_insert(reason);
    }

    /// Ends the connection by the peer's fault: close frame, FIN, and a while of patience.
    fn fail<H>(
        &mut self,
        now: Millis,
        violation: Violation,
        shared: &mut Shared<H>,
        out: &mut Output,
    ) {
        if self.phase == Phase::Open {
            append_close(self.output(shared, out), violation.code(), violation.reason());
        }
        self.end(Phase::Lingering, CloseReason::Violation(violation));
        self.deadline = now.after(shared.config.timeouts.linger);
        self.free(shared);
    }

    /// Drops what was gathered of frames and messages.
    fn free<H>(&mut self, shared: &mut Shared<H>) {
        if let Some(aside) = self.aside.take()
            && let Aside::Opening(opening) = *aside
        {
            shared.buffers.give(opening.into_buffer());
        }
        self.drop_message(shared);
        self.partial = None;
    }

    /// Drops what was gathered of a message.
    fn drop_message<H>(&mut self, shared: &mut Shared<H>) {
        if let Some(assembly) = self.assembly.take() {
            let (buffer, inflater) = assembly.into_parts();
            shared.buffers.give(buffer);
            if let Some(inflater) = inflater {
                shared.deflate.give_inflater(inflater);
            }
        }
    }

    /// The memory to append a reply to. Nothing may stand in place.
    fn output<'o, H>(&self, shared: &mut Shared<H>, out: &'o mut Output) -> &'o mut Vec<u8> {
        out.appendable(|| shared.buffers.take())
    }
}

#[cfg(test)]
mod tests;
