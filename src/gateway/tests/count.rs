//! An endpoint for tests: `/count?topic=<topic>` publishes the number of messages that its client
//! has sent. It is this file and a line in the list of endpoints.

use crate::app::Action;
use crate::base::ConnectionId;
use crate::gateway::endpoint::{Endpoint, Guard, Incoming, Opening, Rules};
use crate::gateway::target::pairs;
use crate::protocol::websocket::Opcode;
use crate::protocol::websocket::handshake::{Refusal, Rejection, Request};
use crate::pubsub::{Broker, Codec, Filter, Form, Options, Publication, Topic};
use crate::session::Replies;

/// Its subprotocol.
pub(super) const PROTOCOL: &str = "corecast.count";

/// A client and the number of its messages.
#[derive(Debug)]
pub(in crate::gateway) struct Client {
    topic: Topic,
    messages: u64,
}

impl Endpoint for Client {
    const PROTOCOL: Option<&'static str> = Some(PROTOCOL);

    fn owns(path: &str) -> bool {
        path == "/count"
    }

    fn open(request: &Request<'_>, rules: Rules<'_>) -> Result<Opening<Self>, Refusal> {
        let Rules { max_topic, foreign, .. } = rules;
        let mut pairs = pairs(request.query.unwrap_or_default(), &["topic"], foreign);
        let name = pairs.find(|(name, _)| *name == "topic");
        let (_, name) = name.ok_or_else(|| Refusal::bad_request("There is no topic to count."))?;
        let topic = Topic::new(name, max_topic);
        let topic = topic.map_err(|error| Refusal::bad_request(error.to_string()))?;
        let protocol = request.subprotocols().find(|name| *name == PROTOCOL).map(Into::into);
        Ok(Opening { client: Self { topic, messages: 0 }, protocol })
    }

    fn subscribes_to(&self) -> Option<Filter> {
        Some(Filter::from(&self.topic))
    }

    fn attach(
        &self,
        id: ConnectionId,
        window_bits: Option<u8>,
        broker: &mut Broker,
    ) -> Result<bool, Refusal> {
        let form = Form::new(Codec::Raw, window_bits);
        broker.attach(id, Options { form, echo: true, marks_retained: false });
        let subscribed = broker.subscribe(id, vec![Filter::from(&self.topic)]);
        subscribed.map(|()| true).map_err(|_| Rejection::Full.into())
    }

    fn message<G: Guard>(
        &mut self,
        _: ConnectionId,
        _: Incoming<'_>,
        _: usize,
        broker: &mut Broker,
        replies: &mut Replies<'_>,
        mut guard: G,
    ) {
        if let Err(denied) = guard.authorise(Action::Publish(&self.topic)) {
            return replies.send(Opcode::Text, denied.to_string().as_bytes());
        }
        self.messages += 1;
        let number = self.messages.to_string();
        let published = broker.publish(&Publication::of(&self.topic, number.as_bytes()));
        assert!(published.is_ok(), "only retaining can fail");
    }
}
