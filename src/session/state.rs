//! The state of one connection.

use std::time::Duration;

use bitflags::bitflags;

use super::assembly::Assembly;
use super::compression::Compression;
use super::counts::Counts;
use super::endpoint::EndpointId;
use super::head::{Deciding, PartialBody, PartialHead, Unanswered};
use super::pending::PendingFrame;
use super::pools::Pools;
use super::reason::CloseReason;
use super::service::Inbound;
use crate::base::{ConnectionId, Millis};
use crate::config::{Config, RouteId};
use crate::protocol::websocket::frame::begins_compressed;
use crate::protocol::websocket::handshake::Rejection;

/// How long a connection may take to send a request that is refused because of its address.
const REJECTED_GRACE: Duration = Duration::from_secs(1);

/// How far a connection is, and what its driver has to do once its output is sent. They are in
/// their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Phase {
    /// A request is awaited, or not complete. Read on.
    Request,
    /// The service has not decided about the handshake, or not answered the request yet. Nothing is
    /// read.
    Deciding,
    /// Messages pass. Read on.
    Open,
    /// This side has sent a close frame and waits for the peer's. Read on.
    Closing,
    /// The last bytes are written. Once they are sent, send FIN and read on until the peer has
    /// closed as well: closing with input unread would reset the connection, and the peer might
    /// lose the close frame.
    Lingering,
    /// Nothing more will be received or sent. Once the output is sent, close.
    Finished,
}

bitflags! {
    /// Facts about a session, in one byte.
    #[derive(Clone, Copy, Debug, PartialEq, Eq)]
    pub(super) struct Marks: u8 {
        /// The request is refused: as the reason says, or with 503, because the server is full or
        /// stopping.
        const REJECT = 1;
        /// The service has accepted the connection or answers its request later, so it must be told
        /// of its end.
        const ACCEPTED = 1 << 1;
        /// The peer has sent data after the close frame of this side.
        const SENDS_AFTER_CLOSE = 1 << 2;
        /// A plain request was answered, and the next one is awaited.
        const ANSWERED = 1 << 3;
        /// It came over TLS.
        const TLS = 1 << 4;
        /// It came to a listener for administration.
        const ADMIN = 1 << 5;
        /// It has become a WebSocket.
        const OPENED = 1 << 6;
        /// Its first request is answered, or the answer is settled. It is counted.
        const BEGUN = 1 << 7;
    }
}

/// The state of one connection. An open and idle one owns no memory besides itself.
#[derive(Debug)]
pub struct Session {
    pub(super) id: ConnectionId,
    pub(super) phase: Phase,
    pub(super) marks: Marks,
    pub(super) endpoint: EndpointId,
    /// The route that its handshake came by.
    pub(super) route: RouteId,
    pub(super) reason: Option<CloseReason>,
    pub(super) deadline: Millis,
    /// When the answer to our ping must be there; never if no ping was sent.
    pub(super) pong_due: Millis,
    pub(super) last_received: Millis,
    pub(super) last_message: Millis,
    pub(super) rare: Option<Box<RareState>>,
    /// A frame of which only a part has been received.
    pub(super) pending: Option<Box<PendingFrame>>,
    /// A message of which only a part has been received.
    pub(super) assembly: Option<Box<Assembly>>,
    pub(super) compression: Option<Box<Compression>>,
}

/// State that few connections have at any time, in one pointer for all kinds of it.
#[derive(Debug)]
pub(super) enum RareState {
    /// Before the handshake: a request head that did not come in one piece.
    Head(PartialHead),
    /// A plain request whose body has not come in full.
    Body(PartialBody),
    /// A handshake that the service has not decided about.
    Deciding(Deciding),
    /// A plain request that the service answers later.
    Unanswered(Unanswered),
    /// The payload of the latest ping, to be answered once there is less to send.
    HeldPong(Vec<u8>),
    /// The reason in the first close frame, for the application to be told.
    CloseText(Box<str>),
}

impl Session {
    /// A connection just accepted. With `reject`, its request will be answered with 503.
    #[must_use]
    pub fn new(id: ConnectionId, now: Millis, config: &Config, reject: bool) -> Self {
        Self {
            id,
            phase: Phase::Request,
            marks: if reject { Marks::REJECT } else { Marks::empty() },
            endpoint: EndpointId::APPLICATION,
            route: RouteId::NONE,
            reason: None,
            deadline: now.after(config.timeouts.handshake),
            pong_due: Millis::NEVER,
            last_received: now,
            last_message: now,
            rare: None,
            pending: None,
            assembly: None,
            compression: None,
        }
    }

    /// Its first request is answered, so that it is no handshake in progress any more.
    pub fn note_begun(&mut self, counts: &mut Counts) {
        if !self.marks.contains(Marks::BEGUN) {
            self.marks.insert(Marks::BEGUN);
            counts.begun += 1;
        }
    }

    /// Its request is to be refused. It has a moment to send it.
    pub fn reject(&mut self, now: Millis, rejection: Rejection, counts: &mut Counts) {
        if self.phase != Phase::Request || self.is_rejected() {
            return;
        }
        self.marks.insert(Marks::REJECT);
        self.reason = Some(CloseReason::Refused(rejection));
        self.note_begun(counts);
        self.deadline = self.deadline.min(now.after(REJECTED_GRACE));
    }

    /// Whether its request is to be refused.
    #[must_use]
    pub const fn is_rejected(&self) -> bool {
        self.marks.contains(Marks::REJECT)
    }

    /// With what.
    #[must_use]
    pub const fn rejection(&self) -> Rejection {
        match self.reason {
            Some(CloseReason::Refused(rejection)) => rejection,
            _ => Rejection::Full,
        }
    }

    /// It came from a listener with TLS.
    pub fn mark_tls(&mut self) {
        self.marks.insert(Marks::TLS);
    }

    /// It came to a listener for administration: its requests are answered by
    /// [`Inbound::admin_request`], and nothing else is served.
    pub fn mark_admin(&mut self) {
        self.marks.insert(Marks::ADMIN | Marks::BEGUN);
    }

    /// Whether it came to a listener with TLS.
    #[must_use]
    pub const fn is_tls(&self) -> bool {
        self.marks.contains(Marks::TLS)
    }

    /// Whether it has become a WebSocket.
    #[must_use]
    pub const fn is_websocket(&self) -> bool {
        self.marks.contains(Marks::OPENED)
    }

    /// Whether it came to a listener for administration.
    #[must_use]
    pub const fn is_admin(&self) -> bool {
        self.marks.contains(Marks::ADMIN)
    }

    /// Whether nothing was answered yet, and its request is to be served.
    #[must_use]
    pub const fn is_before_first_answer(&self) -> bool {
        let is_over = self.marks.intersects(Marks::ANSWERED.union(Marks::REJECT));
        matches!(self.phase, Phase::Request | Phase::Deciding) && !is_over
    }

    /// How far it is.
    #[inline]
    #[must_use]
    pub const fn phase(&self) -> Phase {
        self.phase
    }

    /// Its id.
    #[inline]
    #[must_use]
    pub const fn id(&self) -> ConnectionId {
        self.id
    }

    /// The endpoint that it talks to.
    #[inline]
    #[must_use]
    pub const fn endpoint(&self) -> EndpointId {
        self.endpoint
    }

    /// The route that its handshake came by.
    #[inline]
    #[must_use]
    pub const fn route(&self) -> RouteId {
        self.route
    }

    /// When [`handle_timeout`](Self::handle_timeout) is due.
    #[inline]
    #[must_use]
    pub const fn deadline(&self) -> Millis {
        self.deadline
    }

    /// The bytes of the message of which a part has been received, after decompression.
    #[must_use]
    pub fn assembled(&self) -> usize {
        self.assembly.as_ref().map_or(0, |assembly| assembly.assembler.len())
    }

    /// How many bytes of a request it has received, of which a part is missing.
    #[must_use]
    pub fn partial_request(&self) -> usize {
        match self.rare.as_deref() {
            Some(RareState::Head(head)) => head.bytes.len(),
            Some(RareState::Body(body)) => body.head.len() + body.content.len(),
            _ => 0,
        }
    }

    /// Whether short input causes little work in any case: messages of the application that are not
    /// compressed, of which none is large.
    #[must_use]
    pub fn takes_little(&self) -> bool {
        self.phase == Phase::Open
            && !self.endpoint.is_built_in()
            && self.compression.is_none()
            && self.assembly.is_none()
    }

    /// Whether input that begins with the byte `first` may be a compressed message, if a frame
    /// begins there.
    #[must_use]
    pub fn may_inflate(&self, first: u8) -> bool {
        self.phase == Phase::Open && self.compression.is_some() && begins_compressed(first)
    }

    /// Whether its messages may be compressed.
    #[must_use]
    pub const fn compresses(&self) -> bool {
        self.compression.is_some()
    }

    /// Whether its next message is likely to cause much work: a compressor is made for the reply.
    #[must_use]
    pub fn lacks_compressor(&self) -> bool {
        self.compression.as_ref().is_some_and(|compression| compression.lacks_deflater())
    }

    /// The memory that is charged for what it has received, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let assembly = self.assembly.as_ref().map_or(0, |assembly| assembly.charge.bytes());
        let compression = self.compression.as_ref().map_or(0, |compression| compression.memory());
        let request = match self.rare.as_deref() {
            Some(RareState::Head(head)) => head.charge.bytes(),
            Some(RareState::Body(body)) => body.charge.bytes(),
            Some(RareState::Deciding(deciding)) => deciding.charge.bytes(),
            Some(RareState::Unanswered(request)) => request.charge.bytes(),
            _ => 0,
        };
        assembly + compression + request
    }

    /// Why it ended, or why it is ending.
    #[must_use]
    pub const fn reason(&self) -> Option<CloseReason> {
        self.reason
    }

    /// Returns its memory to the pools and tells the service of its end.
    pub fn finish<S: Inbound>(&mut self, pools: &mut Pools, service: &mut S) {
        let rare = self.rare.take_if(|rare| matches!(**rare, RareState::CloseText(_)));
        let text = match rare.map(|rare| *rare) {
            Some(RareState::CloseText(text)) => text,
            _ => Box::default(),
        };
        self.free(pools);
        self.note_begun(&mut pools.counts);
        if self.marks.contains(Marks::OPENED) {
            self.marks.remove(Marks::OPENED);
            pools.counts.count_ended(self.endpoint);
            pools.by_route.count_ended(self.route, self.endpoint);
        }
        if let Some(compression) = self.compression.take() {
            compression.free(&mut pools.deflate);
        }
        if self.marks.contains(Marks::ACCEPTED) {
            self.marks.remove(Marks::ACCEPTED);
            let reason = self.reason.unwrap_or(CloseReason::Broken);
            service.closed(self.id, self.endpoint, reason, &text);
        }
    }

    /// Goes on to `phase`. The first reason is kept.
    pub(super) fn end(&mut self, phase: Phase, reason: CloseReason) {
        debug_assert!(phase as u8 >= self.phase as u8, "a connection never goes back");
        self.phase = phase;
        self.reason.get_or_insert(reason);
    }

    /// Keeps the reason of the first close frame of an application's connection.
    pub(super) fn note_close(&mut self, text: &str) {
        if !text.is_empty() && self.reason.is_none() && !self.endpoint.is_built_in() {
            self.rare = Some(Box::new(RareState::CloseText(text.into())));
        }
    }

    /// Drops what was gathered of heads, frames and messages.
    pub(super) fn free(&mut self, pools: &mut Pools) {
        let rare = self.rare.take_if(|rare| !matches!(**rare, RareState::CloseText(_)));
        if let Some(RareState::Head(head)) = rare.map(|rare| *rare) {
            pools.buffers.give(head.into_buffer());
        }
        self.drop_message(pools);
        self.pending = None;
    }

    /// Drops what was gathered of a message.
    pub(super) fn drop_message(&mut self, pools: &mut Pools) {
        if let Some(assembly) = self.assembly.take() {
            let (buffer, inflater) = assembly.assembler.into_parts();
            pools.give(buffer);
            if let Some(inflater) = inflater {
                pools.deflate.give_inflater(inflater);
            }
        }
    }
}
