//! The endpoint `/topics/<topic>`: messages are payloads of one topic, as they are.

use super::incoming::Incoming;
use super::json::PROTOCOL;
use super::route::Role;
use crate::app::{Action, Denied};
use crate::base::ConnectionId;
use crate::protocol::websocket::CloseCode;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::pubsub::{Broker, Codec, Filter, Form, Options, Publication, Topic, Unpublished};
use crate::session::{CloseReason, Outbound, Replies};

const NOT_ALLOWED: &str = "not allowed to publish to this topic";
const POLICY: CloseReason = CloseReason::Policy(CloseCode::POLICY_VIOLATION);
const ONLY_SUBSCRIBES: &str = "this connection only subscribes (role=sub)";

/// The subprotocol to answer with: the first that the client offers, since payloads are passed on
/// in any subprotocol. That of `/pubsub` is not answered, because its requests are not understood
/// here.
pub(super) fn subprotocol(request: &Request<'_>) -> Option<Box<str>> {
    request.subprotocols().find(|name| *name != PROTOCOL).map(Into::into)
}

/// A connection to one topic.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) topic: Topic,
    pub(super) role: Role,
    /// Whether it is sent its own messages.
    pub(super) echo: bool,
}

/// The subscription of a client is in force on every core: its handshake is answered.
pub(super) fn confirm<O: Outbound>(id: ConnectionId, out: &mut O) {
    out.respond(id, Ok(None), |_| {});
}

/// The subscription of a client is not confirmed in time: its handshake is refused with 503.
pub(super) fn give_up<O: Outbound>(id: ConnectionId, why: &'static str, out: &mut O) {
    out.respond(id, Err(Refusal::saying(Rejection::Undecided, why)), |_| {});
}

/// A message of a client is accepted after it had waited: the client goes on.
pub(super) fn accepted<O: Outbound>(id: ConnectionId, out: &mut O) {
    out.set_reading(id, true);
}

impl Client {
    pub(super) fn may_publish(&self) -> bool {
        self.role != Role::Sub
    }

    pub(super) fn subscribes_to(&self) -> Option<Filter> {
        (self.role != Role::Pub).then(|| Filter::from(&self.topic))
    }

    /// Subscribes a new connection, if its role demands it. Returns whether its handshake is
    /// answered later, once the subscription is in force: open means subscribed, on every core.
    ///
    /// # Errors
    /// If a limit of subscriptions is reached: 503, since there may be room later.
    pub(super) fn attach(
        &self,
        id: ConnectionId,
        window_bits: Option<u8>,
        broker: &mut Broker,
    ) -> Result<bool, Refusal> {
        let Some(filter) = self.subscribes_to() else { return Ok(false) };
        let form = Form::new(Codec::Raw, window_bits);
        broker.attach(id, Options { form, echo: self.echo, marks_retained: false });
        broker.subscribe(id, vec![filter]).map(|()| true).map_err(|limit| {
            broker.detach(id);
            Refusal::saying(Rejection::Full, limit.to_string())
        })
    }

    /// Publishes a message to the topic of its connection, if `authorise` allows it.
    pub(super) fn message(
        &self,
        id: ConnectionId,
        Incoming { message, memory }: Incoming<'_>,
        broker: &mut Broker,
        replies: &mut Replies<'_>,
        authorise: impl FnOnce(Action<'_>) -> Result<(), Denied>,
    ) {
        let Self { topic, echo, .. } = self;
        if !self.may_publish() {
            return replies.close_for(POLICY, ONLY_SUBSCRIBES);
        }
        if authorise(Action::Publish(topic)).is_err() {
            return replies.close_for(POLICY, NOT_ALLOWED);
        }
        let publication = Publication {
            opcode: message.opcode(),
            origin: (!echo && self.role == Role::Both).then_some(id),
            memory,
            ..Publication::of(topic, message.payload())
        };
        if broker.publish(&publication) == Err(Unpublished::Busy) {
            broker.publish_later(&publication, Some(id));
            replies.hold();
        }
    }
}
