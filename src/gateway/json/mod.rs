//! The endpoint `/pubsub`: the subprotocol `corecast.v1.json`, one JSON object in each text
//! message.
//!
//! Requests are handled and answered in order. A request to subscribe is answered once the
//! subscription is in force, a request to unsubscribe once the last messages are delivered. Until
//! then everything that the client sends after it waits, the end of the connection included.

mod answers;
mod request;
mod strings;
mod target;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashSet;

use bytes::Bytes;

use super::endpoint::{Endpoint, Guard, Incoming, Opening, Rules};
use crate::app::Action;
use crate::base::ledger::Charge;
use crate::base::{ConnectionId, Work};
use crate::protocol::websocket::frame::{MAX_SERVER_HEADER, append_frame};
use crate::protocol::websocket::handshake::{Refusal, Request as Upgrade};
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::pubsub::{
    Broker, Codec, Filter, Form, NameError, Options, Publication, RetainLimit, Topic, Unpublished,
};
use crate::session::{CloseReason, Outbound, Replies};
use request::{Command, Parser};
pub use target::PROTOCOL;

const NOT_TEXT: &str = "requests are text; this message is binary";

/// A connection of this protocol. An answer may have to wait for the broker.
#[derive(Debug, Default)]
pub(super) struct Client {
    /// With its charge: it repeats names and the id of the request.
    answer: Option<(Answer, Charge)>,
    /// A request of which only a part has been received.
    parser: Option<Box<Parser>>,
}

/// An answer that waits.
#[derive(Debug)]
enum Answer {
    /// Its text.
    Text(Vec<u8>),
    /// That a message to this topic is published, or why it is not retained; and the `id` of the
    /// request.
    Published(Topic, Option<Box<str>>),
}

impl Endpoint for Client {
    const NAME: &'static str = "pubsub";
    const PROTOCOL: Option<&'static str> = Some(PROTOCOL);

    fn owns(path: &str) -> bool {
        target::owns(path)
    }

    fn open(request: &Upgrade<'_>, rules: Rules<'_>) -> Result<Opening<Self>, Refusal> {
        target::check(request.path, request.query, rules).map_err(Refusal::bad_request)?;
        Ok(Opening { client: Self::default(), protocol: target::subprotocol(request, rules)? })
    }

    /// A new connection may subscribe. Its handshake is answered at once.
    fn attach(
        &self,
        id: ConnectionId,
        window_bits: Option<u8>,
        broker: &mut Broker,
    ) -> Result<bool, Refusal> {
        let form = Form::new(Codec::Json, window_bits);
        broker.attach(id, Options { form, echo: true, marks_retained: true });
        Ok(false)
    }

    /// Handles one request, as far as `guard` allows it. An answer that has to wait is sent by
    /// [`confirm`](Self::confirm).
    fn message<G: Guard>(
        &mut self,
        id: ConnectionId,
        Incoming { message, memory }: Incoming<'_>,
        max_topic: usize,
        broker: &mut Broker,
        replies: &mut Replies<'_>,
        guard: G,
    ) {
        broker.charge(Work::JSON_REQUEST);
        let (request, id_of_request) = match message.opcode() {
            Opcode::Text => {
                let mut parser = self.parser.take().map_or_else(Parser::default, |begun| *begun);
                scan(&mut parser, message.payload(), broker);
                let request = parser.finish(message.payload());
                (request.command, request.id)
            }
            _ => (Err(NOT_TEXT.to_owned()), None),
        };
        let mut client = Requester { id, max_topic, broker, guard };
        let mut text = Vec::new();
        let result = request.and_then(|command| {
            Ok(match command {
                Command::Subscribe(names) => {
                    client.subscribe(&names)?;
                    answers::subscribed(&mut text, &names, id_of_request);
                    Some(Answer::Text(std::mem::take(&mut text)))
                }
                Command::Unsubscribe(names) => {
                    let has_ended = client.unsubscribe(&names)?;
                    answers::unsubscribed(&mut text, &names, id_of_request);
                    has_ended.then(|| Answer::Text(std::mem::take(&mut text)))
                }
                Command::Token(token) => {
                    let renewed = client.guard.renew(&token, client.broker)?;
                    answers::authorised(&mut text, &renewed, id_of_request);
                    let has_ended = client.broker.unsubscribe(id, &renewed.lost);
                    has_ended.then(|| Answer::Text(std::mem::take(&mut text)))
                }
                Command::Publish { topic, data, retain } => {
                    match client.publish(&topic, data, retain, memory)? {
                        Some(topic) => {
                            Some(Answer::Published(topic, id_of_request.map(Into::into)))
                        }
                        None => {
                            if id_of_request.is_some() {
                                answers::published(&mut text, &topic, id_of_request);
                            }
                            None
                        }
                    }
                }
            })
        });
        match result {
            Ok(Some(waits)) => {
                self.answer = Some(charged(waits, client.broker));
                replies.hold();
            }
            Ok(None) if text.is_empty() => {}
            Ok(None) => replies.send(Opcode::Text, &text),
            Err(wrong) => {
                answers::error(&mut text, &wrong, id_of_request);
                replies.send(Opcode::Text, &text);
            }
        }
    }

    /// Parses what has come of a request. Returns the bytes that are held for it.
    fn assembling(&mut self, opcode: Opcode, so_far: &[u8], broker: &mut Broker) -> usize {
        if opcode != Opcode::Text {
            return 0;
        }
        let parser = self.parser.get_or_insert_default();
        scan(parser, so_far, broker);
        size_of::<Parser>() + parser.memory()
    }

    /// Sends the answer that has waited, and lets the client go on.
    fn confirm<O: Outbound>(&mut self, id: ConnectionId, out: &mut O) {
        if let Some((Answer::Text(text), _)) = self.answer.take() {
            answer(id, &text, out);
        }
        out.set_reading(id, true);
    }

    /// Answers a request to publish that has waited, and lets the client go on.
    fn accepted<O: Outbound>(
        &mut self,
        id: ConnectionId,
        result: Result<(), RetainLimit>,
        out: &mut O,
    ) {
        if let Some((Answer::Published(topic, request), _)) = self.answer.take() {
            let (topic, request) = (topic.as_str(), request.as_deref());
            let mut text = Vec::new();
            match result {
                Ok(()) if request.is_none() => {}
                Ok(()) => answers::published(&mut text, topic, request),
                Err(limit) => answers::error(&mut text, &not_retained(topic, limit), request),
            }
            if !text.is_empty() {
                answer(id, &text, out);
            }
        }
        out.set_reading(id, true);
    }

    fn expiring<O: Outbound>(&self, id: ConnectionId, seconds: u64, out: &mut O) {
        let mut text = Vec::new();
        answers::expires(&mut text, seconds);
        answer(id, &text, out);
    }

    /// The client is closed with 1013.
    fn give_up<O: Outbound>(&self, id: ConnectionId, why: &'static str, out: &mut O) {
        out.close(id, CloseReason::Local(CloseCode::TRY_AGAIN_LATER), why);
        // The close frame of the peer is read, and nothing that it has sent is handled.
        out.set_reading(id, true);
    }
}

/// Parses what is new of a request.
fn scan(parser: &mut Parser, so_far: &[u8], broker: &mut Broker) {
    let scanned = parser.scan(so_far);
    broker.charge(scanned as u64 * Work::JSON_BYTE);
}

/// Sends the text of an answer that has waited.
fn answer<O: Outbound>(id: ConnectionId, text: &[u8], out: &mut O) {
    let mut frame = Vec::with_capacity(text.len() + MAX_SERVER_HEADER);
    append_frame(&mut frame, Opcode::Text, false, text);
    out.answer(id, &frame);
}

/// An answer that waits, with its charge.
fn charged(answer: Answer, broker: &Broker) -> (Answer, Charge) {
    let mut charge = broker.ledger().open();
    charge.set(match &answer {
        Answer::Text(text) => text.capacity(),
        Answer::Published(topic, id) => topic.as_str().len() + id.as_deref().map_or(0, str::len),
    });
    (answer, charge)
}

/// The client whose request is handled. An error is one line for the client.
struct Requester<'b, G> {
    id: ConnectionId,
    max_topic: usize,
    broker: &'b mut Broker,
    guard: G,
}

impl<G: Guard> Requester<'_, G> {
    /// All of the filters, or with an error none.
    fn filters(&self, names: &[Cow<'_, str>]) -> Result<Vec<Filter>, String> {
        let filter = |name: &Cow<'_, str>| {
            Filter::new(name, self.max_topic).map_err(|error| complaint(name, error))
        };
        names.iter().map(filter).collect()
    }

    fn subscribe(&mut self, names: &[Cow<'_, str>]) -> Result<(), String> {
        let filters = self.filters(names)?;
        // Before each of a thousand is compared with all that the client may do.
        self.broker.check_count(self.id, &filters).map_err(|error| error.to_string())?;
        let mut asked = HashSet::new();
        for filter in filters.iter().filter(|filter| asked.insert(filter.as_str())) {
            let allowed = self.guard.authorise(Action::Subscribe(filter));
            allowed.map_err(|denied| format!("{}: {denied}", shown(filter.as_str())))?;
        }
        self.broker.subscribe(self.id, filters).map_err(|error| error.to_string())
    }

    fn unsubscribe(&mut self, names: &[Cow<'_, str>]) -> Result<bool, String> {
        let filters = self.filters(names)?;
        Ok(self.broker.unsubscribe(self.id, &filters))
    }

    /// Returns the topic if the message has to wait.
    fn publish(
        &mut self,
        name: &str,
        data: Option<&[u8]>,
        retain: bool,
        memory: Option<&Bytes>,
    ) -> Result<Option<Topic>, String> {
        let topic = &Topic::new(name, self.max_topic).map_err(|error| complaint(name, error))?;
        let allowed = self.guard.authorise(Action::Publish(topic));
        allowed.map_err(|denied| format!("{}: {denied}", shown(topic.as_str())))?;
        let payload = data.unwrap_or_default();
        // Memory that is much larger than the payload is not kept.
        let memory = memory.filter(|memory| payload.len() > memory.len() / 8 * 7);
        let is_json = data.is_some();
        let of = Publication::of(topic, payload);
        let publication = Publication { is_json, memory, retain, ..of };
        match self.broker.publish(&publication) {
            Ok(()) => Ok(None),
            Err(Unpublished::Busy) => {
                self.broker.publish_later(&publication, Some(self.id));
                Ok(Some(topic.clone()))
            }
            Err(Unpublished::NotRetained(limit)) => Err(not_retained(topic.as_str(), limit)),
        }
    }
}

/// Why a message is published, but not retained.
fn not_retained(topic: &str, limit: RetainLimit) -> String {
    format!("{}: {limit}", shown(topic))
}

/// Why a name is not valid, for the client that sent it.
fn complaint(name: &str, error: NameError) -> String {
    format!("{}: {error}", shown(name))
}

/// The beginning of a name, enough to recognise it.
fn shown(name: &str) -> String {
    const SHOWN: usize = 80;
    let shown = &name[..name.floor_char_boundary(SHOWN)];
    let more = if shown.len() < name.len() { "..." } else { "" };
    format!("\"{shown}{more}\"")
}
