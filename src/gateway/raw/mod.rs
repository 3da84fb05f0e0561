//! The endpoint `/topics/<topic>`: messages are payloads of one topic, as they are.

mod target;

use super::endpoint::{Endpoint, Guard, Incoming, Opening, Rules};
use crate::app::Action;
use crate::base::ConnectionId;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::pubsub::{Broker, Codec, Filter, Form, Options, Publication, Topic, Unpublished};
use crate::session::{CloseReason, Policy, Replies};
use target::{Role, Target};

/// A connection to one topic.
#[derive(Debug)]
pub(super) struct Client(Target);

impl Endpoint for Client {
    const NAME: &'static str = "topics";

    fn owns(path: &str) -> bool {
        target::owns(path)
    }

    /// The subprotocol to answer with is the first that the client offers, since payloads are
    /// passed on in any subprotocol. Those of other endpoints are not answered, because their
    /// requests are not understood here.
    fn open(request: &Request<'_>, rules: Rules<'_>) -> Result<Opening<Self>, Refusal> {
        let target = Target::parse(request.path, request.query, rules);
        let client = Self(target.map_err(Refusal::bad_request)?);
        let (mut offered, bearer) = rules.offered(request);
        let protocol = offered.find(|name| !rules.reserved.contains(name)).or(bearer);
        Ok(Opening { client, protocol: protocol.map(Into::into) })
    }

    fn may_publish(&self) -> bool {
        self.0.role != Role::Sub
    }

    fn subscribes_to(&self) -> Option<Filter> {
        (self.0.role != Role::Pub).then(|| Filter::from(&self.0.topic))
    }

    fn publishes_to(&self) -> Option<&Topic> {
        self.may_publish().then_some(&self.0.topic)
    }

    /// Subscribes a new connection, if its role demands it. Its handshake is answered once the
    /// subscription is in force: open means subscribed, on every core. If a limit of subscriptions
    /// is reached, the answer is 503, since there may be room later.
    fn attach(
        &self,
        id: ConnectionId,
        window_bits: Option<u8>,
        broker: &mut Broker,
    ) -> Result<bool, Refusal> {
        let Some(filter) = self.subscribes_to() else { return Ok(false) };
        let form = Form::new(Codec::Raw, window_bits);
        broker.attach(id, Options { form, echo: self.0.echo, marks_retained: false });
        broker.subscribe(id, vec![filter]).map(|()| true).map_err(|limit| {
            broker.detach(id);
            Refusal::saying(Rejection::Subscriptions, limit.to_string())
        })
    }

    /// Publishes a message to the topic of its connection, if `guard` allows it.
    fn message<G: Guard>(
        &mut self,
        id: ConnectionId,
        Incoming { message, memory }: Incoming<'_>,
        _: usize,
        broker: &mut Broker,
        replies: &mut Replies<'_>,
        mut guard: G,
    ) {
        let Target { topic, echo, role } = &self.0;
        if !self.may_publish() {
            return replies.close_for(CloseReason::Policy(Policy::Role), Policy::Role.reason());
        }
        if guard.authorise(Action::Publish(topic)).is_err() {
            return replies
                .close_for(CloseReason::Policy(Policy::Publish), Policy::Publish.reason());
        }
        let publication = Publication {
            opcode: message.opcode(),
            origin: (!echo && *role == Role::Both).then_some(id),
            memory,
            ..Publication::of(topic, message.payload())
        };
        if broker.publish(&publication) == Err(Unpublished::Busy) {
            broker.publish_later(&publication, Some(id));
            replies.hold();
        }
    }
}
