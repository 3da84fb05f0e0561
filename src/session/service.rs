//! Where a loop and its service meet. The loop owns the connections and their sessions; the service
//! decides what their requests and messages mean. Neither knows the other's type.
//!
//! There are two traits for the service because of what is borrowed: while a session handles bytes,
//! [`Inbound`] may touch that session only, through the [`Replies`] it is given. At the end of a
//! turn [`Service::end_turn`] is given all connections of the core as an [`Outbound`].

use std::net::{IpAddr, SocketAddr};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::endpoint::EndpointId;
use super::outbound::Frames;
use super::outcomes::{Admitted, Delivered, Wakeup};
use super::reason::CloseReason;
use super::replies::{Message, Replies};
use super::stream::Stream;
use crate::base::{ConnectionId, Ledger, Millis};
use crate::config::{Config, RouteId};
use crate::protocol::http;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::{Agreement, ExtraHeaders, Refusal, Rejection, Request};

/// An accepted opening handshake.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Accept {
    /// The endpoint that the connection talks to from now on.
    pub endpoint: EndpointId,
    /// The subprotocol to answer with. Left out if the client did not offer it (RFC 6455 section
    /// 4.2.2).
    pub protocol: Option<Box<str>>,
    /// Further headers of the answer.
    pub headers: ExtraHeaders,
}

/// What is settled about a connection when its opening handshake is well-formed.
#[derive(Clone, Copy, Debug)]
pub struct Terms<'a> {
    /// The route of its path.
    pub route: RouteId,
    /// Whether and how messages to it may be compressed (RFC 7692).
    pub deflate: Option<&'a Agreement>,
}

/// What a service decides about an opening handshake.
#[derive(Debug)]
pub enum Verdict {
    /// The connection becomes a WebSocket.
    Accept(Accept),
    /// The request is answered with the status of the refusal.
    Refuse(Refusal),
    /// The decision follows: [`Outbound::respond`] gives it. What the client sends meanwhile waits.
    /// The handshake timeout goes on: when it is over, the request is answered with 503 and
    /// [`Service::undecided`] is called.
    Defer(Accept),
    /// The connection becomes a session of another kind, with this endpoint.
    Stream(EndpointId, Stream),
}

/// What a session asks of the service while it handles bytes of one connection.
pub trait Inbound {
    /// A well-formed opening handshake whose path has a route, and whose origin may connect.
    ///
    /// After any verdict but `Refuse`, [`closed`](Self::closed) follows in any case.
    fn upgrade(&mut self, id: ConnectionId, request: &Request<'_>, terms: Terms<'_>) -> Verdict;

    /// A well-formed request that is no opening handshake, with its body if
    /// [`wants_body`](Self::wants_body) says so. The response is sent as it is; whether another
    /// request follows is no matter of the service. The default serves WebSocket only.
    ///
    /// `None`: the response follows by [`Outbound::answer_request`]. What the client sends
    /// meanwhile waits. After the time of the handshake timeout the answer is 503, and
    /// [`Service::undecided`] is called. If the connection ends before the response was given,
    /// [`closed`](Self::closed) follows.
    fn request(&mut self, id: ConnectionId, request: &http::Request<'_>) -> Option<http::Response> {
        let _ = (id, request);
        Some(Rejection::UpgradeRequired.response())
    }

    /// The same for a request that came to a listener for administration; its body is always there.
    /// The default serves nothing.
    fn admin_request(
        &mut self,
        id: ConnectionId,
        request: &http::Request<'_>,
    ) -> Option<http::Response> {
        let _ = (id, request);
        Some(Rejection::NotFound.response())
    }

    /// Whether the body of such a request is wanted, which it is not of somebody who may not ask.
    fn wants_admin_body(&self, request: &http::Request<'_>) -> bool {
        let _ = request;
        false
    }

    /// Whether the body of a request of others is wanted. Otherwise it is read and discarded.
    /// Called once the head is there.
    fn wants_body(&self, request: &http::Request<'_>) -> bool {
        let _ = request;
        false
    }

    /// The handshake is answered with 101. What is sent here follows it. Not called for a deferred
    /// handshake, for which [`Outbound::respond`] is given a callback.
    fn open(&mut self, id: ConnectionId, endpoint: EndpointId, replies: &mut Replies<'_>) {
        let _ = (id, endpoint, replies);
    }

    /// A whole message: checked, unmasked, decompressed. `BUILT_IN` says whether the endpoint is
    /// one of the server's own, so that the application's path is compiled without the other.
    fn message<'a, const BUILT_IN: bool>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        replies: &mut Replies<'a>,
    );

    /// The same for a large message to a built-in endpoint. The payload is a part of `memory`,
    /// which may be kept instead of a copy.
    fn large_message<'a>(
        &mut self,
        id: ConnectionId,
        message: Message<'a>,
        memory: &Bytes,
        replies: &mut Replies<'a>,
    ) {
        let _ = memory;
        self.message::<true>(id, message, replies);
    }

    /// More of a message to a built-in endpoint has come: `so_far`, its beginning. Called while a
    /// message is assembled from pieces, so that the work on a large one is done piece by piece.
    /// Returns the bytes that the service holds for it until it is complete.
    fn assembling(&mut self, id: ConnectionId, opcode: Opcode, so_far: &[u8]) -> usize {
        let _ = (id, opcode, so_far);
        0
    }

    /// Whether there is room for what clients of the built-in endpoints may publish. If not, what
    /// was received from them is deferred.
    #[inline]
    fn has_room(&self) -> bool {
        true
    }

    /// The same for messages that are for few subscribers, as those of a client with so many
    /// [`usual_deliveries`](Self::usual_deliveries), for which a part of the room is kept.
    fn has_room_for_few(&self, deliveries: u32) -> bool {
        let _ = deliveries;
        self.has_room()
    }

    /// The deliveries of this turn that are still to be made. One message to many subscribers
    /// counts for many.
    fn undelivered(&self) -> usize {
        0
    }

    /// How many deliveries a message of this connection to such an endpoint has caused lately;
    /// `None` if it has sent none.
    fn usual_deliveries(&self, id: ConnectionId) -> Option<u32> {
        let _ = id;
        None
    }

    /// The work that was done since this was last called, in the units of
    /// [`Work`](crate::base::Work): for handshakes, for messages to built-in endpoints, and at the
    /// beginning and the end of a turn.
    fn take_work(&mut self) -> u64 {
        0
    }

    /// A ping or pong (`opcode`) was received. A ping has been answered already.
    fn control(
        &mut self,
        id: ConnectionId,
        endpoint: EndpointId,
        opcode: Opcode,
        payload: &[u8],
        replies: &mut Replies<'_>,
    ) {
        let _ = (id, endpoint, opcode, payload, replies);
    }

    /// A connection that [`upgrade`](Self::upgrade) had accepted has ended. `text` is the reason in
    /// the close frame of the side that closed first (RFC 6455 section 7.1.6); only of connections
    /// of the application.
    fn closed(&mut self, id: ConnectionId, endpoint: EndpointId, reason: CloseReason, text: &str) {
        let _ = (id, endpoint, reason, text);
    }

    /// `lost` messages about `subject` were dropped because a client of `endpoint` reads too
    /// slowly. Appends to `out` the frame that says so, if the endpoint has one.
    fn write_gap(&mut self, id: ConnectionId, subject: &str, lost: u64, out: &mut Vec<u8>) {
        let _ = (id, subject, lost, out);
    }
}

/// What a loop drives: one value on each core, never shared between threads.
pub trait Service: Inbound {
    /// Whether [`connected`](Self::connected) tells the addresses of peers. It costs an accept of
    /// its own for each connection, one for each listener and turn. Asked once.
    fn wants_peers(&self) -> bool {
        false
    }

    /// A connection was accepted, if [`wants_peers`](Self::wants_peers) says that its address is
    /// wanted. `None` if it has none, as on a Unix-domain socket. An IPv4 address is never in IPv6
    /// form. Called again, before the first request, if a proxy has told the address of the client
    /// in a header of the PROXY protocol.
    fn connected(&mut self, id: ConnectionId, peer: Option<SocketAddr>) {
        let _ = (id, peer);
    }

    /// The address of a new connection is known, if [`wants_peers`](Self::wants_peers) asks for it:
    /// whether it may begin. On a listener for the PROXY protocol that is once the header has told
    /// the client. Not called for connections that are refused or for administration.
    fn admit(&mut self, id: ConnectionId, now: Millis) -> Admitted {
        let _ = (id, now);
        Admitted::Yes
    }

    /// A connection has ended, whatever it was.
    fn left(&mut self, id: ConnectionId) {
        let _ = id;
    }

    /// The address of the client of a connection, for the log, if it is known.
    fn client_addr(&self, id: ConnectionId) -> Option<IpAddr> {
        let _ = id;
        None
    }

    /// From now on these settings hold.
    fn reconfigure(&mut self, config: &Arc<Config>) {
        let _ = config;
    }

    /// Called once, before anything else: what the service holds for its clients is to be charged
    /// at this ledger of the core.
    fn use_ledger(&mut self, ledger: &Ledger) {
        let _ = ledger;
    }

    /// The time of the turn that begins, by a clock that all cores share. Called before
    /// [`start_turn`](Self::start_turn).
    #[inline]
    fn clock(&mut self, now: Duration) {
        let _ = now;
    }

    /// Whether a delivery was completed in this turn whose time is taken, at the end of the turn.
    #[inline]
    fn has_written(&self) -> bool {
        false
    }

    /// The time at the end of the turn: what was delivered is on its way to the kernel.
    fn written(&mut self, now: Duration) {
        let _ = now;
    }

    /// A turn begins, before any event of it is handled. If the core has slept, it is awake again.
    /// `now` is the time of the turn. `input_waits` says whether input waits until
    /// [`has_room`](Inbound::has_room) is true. The service lets it have its turn with whatever
    /// else takes room.
    fn start_turn(&mut self, now: Millis, input_waits: bool) {
        let _ = (now, input_waits);
    }

    /// All events of the turn are handled. The service does what concerns other connections, with
    /// about `deliveries` deliveries at most, so that many deliveries do not delay the next events.
    fn end_turn<O: Outbound>(&mut self, now: Millis, deliveries: usize, out: &mut O) {
        let _ = (now, deliveries, out);
    }

    /// When [`end_turn`](Self::end_turn) has to be called again.
    fn wakeup(&self) -> Wakeup {
        Wakeup::At(Millis::NEVER)
    }

    /// The same for a message to such an endpoint of which `bytes` have come: whether the rest is
    /// handled now.
    fn has_room_for(&self, bytes: usize) -> bool {
        let _ = bytes;
        true
    }

    /// Whether this connection to such an endpoint may publish. What it sends is lost if it never
    /// reads, so it must learn soon that it is not read from.
    fn may_publish(&mut self, id: ConnectionId) -> bool {
        let _ = id;
        true
    }

    /// Whether a request of a newcomer may cause much work, such as to verify a signature. Those
    /// who are there already do not wait for many of these.
    fn newcomers_cost_much(&self) -> bool {
        false
    }

    /// The time of a deferred handshake or request is over, or its connection was closed, as by a
    /// server that stops. It was answered with 503; [`closed`](Inbound::closed) follows.
    fn undecided(&mut self, id: ConnectionId) {
        let _ = id;
    }

    /// All that was queued for `id` has been sent.
    fn drained(&mut self, id: ConnectionId) {
        let _ = id;
    }

    /// The core is about to sleep until something happens to one of its connections. `false` if
    /// another thread has left work; otherwise that thread has to wake the core from now on.
    fn may_sleep(&mut self) -> bool {
        true
    }
}

/// All connections of a core, as its service sees them at the end of a turn.
pub trait Outbound {
    /// Sends `frames` to `to` at the end of the turn, together with what else goes there. What the
    /// socket does not take is queued; beyond the limit of the queue its policy decides.
    #[must_use = "a delivery for the next turn is not made yet"]
    fn deliver(&mut self, to: ConnectionId, frames: &Rc<Frames>) -> Delivered;

    /// Sends whole frames that must not be dropped, such as answers. What the peer has not taken
    /// counts against its limit for replies, beyond which it is not read from.
    ///
    /// A frame may be given in two parts, here and right after that to
    /// [`answer_shared`](Self::answer_shared), with no other call in between.
    ///
    /// Returns whether the connection is open, so that they are sent.
    fn answer(&mut self, to: ConnectionId, frames: &[u8]) -> bool;

    /// The same with frames that other connections may be sent as well: they are not copied if
    /// they are long.
    fn answer_shared(&mut self, to: ConnectionId, frames: &Rc<Frames>);

    /// Lets `act` send to a connection as in a callback of [`Inbound`], outside of what it
    /// receives. Returns whether the connection is open; otherwise `act` is not called. Nothing is
    /// held by [`Replies::hold`] here.
    fn with_replies(&mut self, to: ConnectionId, act: impl FnOnce(&mut Replies<'_>)) -> bool;

    /// Decides about a handshake that was deferred. `Ok(None)` accepts it as [`Verdict::Defer`]
    /// said, `Ok(Some(_))` with this endpoint, subprotocol and headers instead. Once the handshake
    /// is answered with 101, `open` is called, and what it sends follows the 101. Returns whether
    /// `open` was called: not if the handshake is refused, was decided before, or its client left.
    fn respond(
        &mut self,
        to: ConnectionId,
        decision: Result<Option<Accept>, Refusal>,
        open: impl FnOnce(&mut Replies<'_>),
    ) -> bool;

    /// Whether a deferred handshake or request still waits for its answer.
    fn is_deciding(&mut self, id: ConnectionId) -> bool;

    /// Answers a plain request that [`Inbound::request`] had left for later; does nothing if the
    /// connection waits for no answer.
    fn answer_request(&mut self, to: ConnectionId, response: &http::Response);

    /// Stops or resumes handling what a connection sends. While it is stopped, everything received,
    /// the end included, waits in order.
    fn set_reading(&mut self, id: ConnectionId, on: bool);

    /// Sends a close frame with the code of `reason` and this text, and waits for the peer's.
    fn close(&mut self, id: ConnectionId, reason: CloseReason, text: &str);

    /// Whether earlier bytes wait for `id` to read, so that more would only queue.
    fn has_backlog(&mut self, id: ConnectionId) -> bool;

    /// Wakes another core.
    fn wake(&mut self, core: usize);
}
