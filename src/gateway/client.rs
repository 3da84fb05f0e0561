//! A client of an endpoint of the server: the one place that lists these endpoints. A further one
//! is a file beside this one, a variant here with an arm in each function, and a variant of
//! [`Route`].

use super::incoming::Incoming;
use super::route::Route;
use super::{json, raw};
use crate::app::{Action, Denied};
use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::{Refusal, Request};
use crate::pubsub::{Broker, Filter, RetainLimit};
use crate::session::{Outbound, Replies};

/// One connection, by the protocol of its endpoint.
#[derive(Debug)]
pub(super) enum Client {
    /// Messages are payloads of one topic.
    Raw(raw::Client),
    /// Messages are requests and answers in JSON.
    Json(json::Client),
}

/// A client whose request is accepted, and the subprotocol to answer with.
pub(super) struct Opening {
    pub(super) client: Client,
    pub(super) protocol: Option<Box<str>>,
}

impl Client {
    /// The client of a route. `None` if the route is the application's.
    ///
    /// # Errors
    /// If the client offers only subprotocols that its endpoint does not speak.
    pub(super) fn of_route(
        route: Route,
        request: &Request<'_>,
    ) -> Result<Option<Opening>, Refusal> {
        let (client, protocol) = match route {
            Route::Raw { topic, role, echo } => {
                (Self::Raw(raw::Client { topic, role, echo }), raw::subprotocol(request))
            }
            Route::Json => (Self::Json(json::Client::default()), json::subprotocol(request)?),
            Route::Application => return Ok(None),
        };
        Ok(Some(Opening { client, protocol }))
    }

    /// Whether it may publish.
    pub(super) fn may_publish(&self) -> bool {
        match self {
            Self::Raw(client) => client.may_publish(),
            Self::Json(_) => true,
        }
    }

    /// What it subscribes to by connecting.
    pub(super) fn subscribes_to(&self) -> Option<Filter> {
        match self {
            Self::Raw(client) => client.subscribes_to(),
            Self::Json(_) => None,
        }
    }

    /// Makes it known to the broker. Returns whether its handshake is answered later, once its
    /// subscription is in force.
    ///
    /// # Errors
    /// If a limit of subscriptions is reached.
    pub(super) fn attach(
        &self,
        id: ConnectionId,
        window_bits: Option<u8>,
        broker: &mut Broker,
    ) -> Result<bool, Refusal> {
        match self {
            Self::Raw(client) => client.attach(id, window_bits, broker),
            Self::Json(_) => Ok(json::attach(id, window_bits, broker)),
        }
    }

    /// Handles a message, as far as `authorise` allows it.
    pub(super) fn message<A: FnMut(Action<'_>) -> Result<(), Denied>>(
        &mut self,
        id: ConnectionId,
        message: Incoming<'_>,
        max_topic: usize,
        broker: &mut Broker,
        replies: &mut Replies<'_>,
        authorise: A,
    ) {
        match self {
            Self::Raw(client) => client.message(id, message, broker, replies, authorise),
            Self::Json(client) => {
                client.message(id, message, max_topic, broker, replies, authorise);
            }
        }
    }

    /// More of a message has come. Returns the bytes that are held for it.
    pub(super) fn assembling(
        &mut self,
        opcode: Opcode,
        so_far: &[u8],
        broker: &mut Broker,
    ) -> usize {
        match self {
            Self::Raw(_) => 0,
            Self::Json(client) => client.assembling(opcode, so_far, broker),
        }
    }

    /// Its subscription is in force, or has ended, on every core: what waits for that is answered.
    pub(super) fn confirm<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) {
        match self {
            Self::Raw(_) => raw::confirm(id, out),
            Self::Json(client) => client.confirm(id, out),
        }
    }

    /// Its message is accepted after it had waited, and retained as far as it had to be.
    pub(super) fn accepted<O: Outbound>(
        &mut self,
        id: ConnectionId,
        result: Result<(), RetainLimit>,
        out: &mut O,
    ) {
        match self {
            Self::Raw(_) => raw::accepted(id, out),
            Self::Json(client) => client.accepted(id, result, out),
        }
    }

    /// Its subscription is not confirmed in time: its handshake is refused, or it is closed.
    pub(super) fn give_up<O: Outbound>(&self, id: ConnectionId, why: &'static str, out: &mut O) {
        match self {
            Self::Raw(_) => raw::give_up(id, why, out),
            Self::Json(_) => json::give_up(id, why, out),
        }
    }
}
