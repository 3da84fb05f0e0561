//! What an endpoint of the server is: the paths that belong to it, the requests that it accepts,
//! and what it does with the messages of a client.

use bytes::Bytes;

use super::target::Foreign;
use crate::app::{Action, Denied};
use crate::authority::is_bearer;
use crate::base::ConnectionId;
use crate::config::Pattern;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::pubsub::{Broker, Filter, RetainLimit, Topic};
use crate::session::{Message, Outbound, Replies};

/// One connection to an endpoint. Each endpoint implements this for its own type, and the list in
/// `client.rs` names that type.
pub(super) trait Endpoint: Sized {
    /// The subprotocol that is spoken at this endpoint only, if it has one. No other endpoint
    /// answers with it, and no application does: a client would not learn that its path is wrong.
    const PROTOCOL: Option<&'static str> = None;

    /// Whether the path belongs to this endpoint, however wrong the rest of it is. It is as in the
    /// request target: not decoded, without the query. No path belongs to two endpoints. With
    /// routes, those decide instead.
    fn owns(path: &str) -> bool;

    /// The client of a request with such a path.
    ///
    /// # Errors
    /// If the path, the query or the offered subprotocols are wrong.
    fn open(request: &Request<'_>, rules: Rules<'_>) -> Result<Opening<Self>, Refusal>;

    /// Whether the client may publish. One that may, and that goes on sending while it does not
    /// read, is reset within seconds, so that it learns that its messages are not accepted.
    fn may_publish(&self) -> bool {
        true
    }

    /// What the client subscribes to by connecting; the application is asked about it first.
    fn subscribes_to(&self) -> Option<Filter> {
        None
    }

    /// The one topic that the client publishes to, if it is settled by connecting.
    fn publishes_to(&self) -> Option<&Topic> {
        None
    }

    /// Makes a new connection known to the broker, if it is to be sent messages. `window_bits` is
    /// the window for compressed frames, `None` for no compression. Returns whether the handshake
    /// is answered later, by [`confirm`](Self::confirm) or [`give_up`](Self::give_up).
    ///
    /// # Errors
    /// If a limit of subscriptions is reached.
    fn attach(
        &self,
        id: ConnectionId,
        window_bits: Option<u8>,
        broker: &mut Broker,
    ) -> Result<bool, Refusal>;

    /// Handles a message, as far as `guard` allows it.
    fn message<G: Guard>(
        &mut self,
        id: ConnectionId,
        message: Incoming<'_>,
        max_topic: usize,
        broker: &mut Broker,
        replies: &mut Replies<'_>,
        guard: G,
    );

    /// More of a message has come, of which all that has come so far is given. Returns the bytes
    /// that are held for it besides these. The default does nothing.
    fn assembling(&mut self, opcode: Opcode, so_far: &[u8], broker: &mut Broker) -> usize {
        let _ = (opcode, so_far, broker);
        0
    }

    /// A subscription of the client is in force on every core, or has ended: what waits for that is
    /// answered. The default accepts its handshake.
    fn confirm<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) {
        out.respond(id, Ok(None), |_| {});
    }

    /// A message of the client is accepted after it had waited. The result says whether it is
    /// retained, if it had to be. The client has to be read from again: the default does that.
    fn accepted<O: Outbound>(
        &mut self,
        id: ConnectionId,
        result: Result<(), RetainLimit>,
        out: &mut O,
    ) {
        let _ = result;
        out.set_reading(id, true);
    }

    /// The token of the client expires in so many seconds. The default says nothing.
    fn expiring<O: Outbound>(&self, id: ConnectionId, seconds: u64, out: &mut O) {
        let _ = (id, seconds, out);
    }

    /// A subscription of the client is not confirmed in time. The default refuses its handshake
    /// with 503.
    fn give_up<O: Outbound>(&self, id: ConnectionId, why: &'static str, out: &mut O) {
        out.respond(id, Err(Refusal::saying(Rejection::Undecided, why)), |_| {});
    }
}

/// What decides about a request for an endpoint besides its own rules.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rules<'r> {
    /// The most bytes of a topic.
    pub(super) max_topic: usize,
    /// Parameters that are not for the endpoint.
    pub(super) foreign: Foreign,
    /// The subprotocols that belong to one endpoint each.
    pub(super) reserved: Reserved,
    /// The pattern of the route of the path, if the server has routes.
    pub(super) route: Option<&'r Pattern>,
}

impl Rules<'_> {
    /// The subprotocols that a client offers, without those that carry its token; and the first of
    /// these if it offers no other.
    ///
    /// A browser fails a connection if it has offered some and none is answered. So the one with
    /// the token has to be answered if there is no other.
    pub(super) fn offered<'r>(
        &self,
        request: &Request<'r>,
    ) -> (impl Iterator<Item = &'r str>, Option<&'r str>) {
        let has_tokens = self.foreign.has_tokens;
        let carries = move |name: &&str| has_tokens && is_bearer(name);
        let others = request.subprotocols().filter(move |name| !carries(name));
        let mut bearer = request.subprotocols().filter(carries);
        let bearer = if others.clone().next().is_none() { bearer.next() } else { None };
        (others, bearer)
    }
}

#[cfg(test)]
impl Rules<'_> {
    /// Those without routes and reserved subprotocols.
    pub(super) const fn of(max_topic: usize, foreign: Foreign) -> Self {
        Self { max_topic, foreign, reserved: Reserved(&[]), route: None }
    }
}

/// Who decides what a client may do after its handshake.
pub(super) trait Guard {
    /// Whether it may do this.
    ///
    /// # Errors
    /// If not: why.
    fn authorise(&mut self, action: Action<'_>) -> Result<(), Denied>;

    /// The client shows another token, which is to take the place of the one before.
    ///
    /// # Errors
    /// One line for the client; nothing has changed then.
    fn renew(&mut self, token: &str, broker: &mut Broker) -> Result<Renewed, String>;
}

/// What a new token has changed.
#[derive(Debug)]
pub(super) struct Renewed {
    pub(super) user: Box<str>,
    /// The seconds until it expires.
    pub(super) expires: Option<u64>,
    /// The subscriptions of the client that it does not allow.
    pub(super) lost: Vec<Filter>,
}

/// A client whose request is accepted, and the subprotocol to answer with.
#[derive(Debug)]
pub(super) struct Opening<C> {
    pub(super) client: C,
    pub(super) protocol: Option<Box<str>>,
}

/// The subprotocols that belong to one endpoint each.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reserved(pub(super) &'static [Option<&'static str>]);

impl Reserved {
    pub(super) fn contains(self, protocol: &str) -> bool {
        self.0.contains(&Some(protocol))
    }
}

/// A message, and the memory of which its payload is a part, if that may be kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct Incoming<'a> {
    pub(super) message: Message<'a>,
    pub(super) memory: Option<&'a Bytes>,
}
