//! The endpoint `/pubsub`: the subprotocol `corecast.v1.json`, one JSON object in each text message.
//!
//! Requests are done and answered in order. A request to subscribe is answered once the subscription
//! is in force; everything that the client sends behind it, its end included, waits until then.

mod answer;
mod request;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::base::ConnectionId;
use crate::protocol::websocket::Opcode;
use crate::pubsub::{Broker, Filter, Form, NameError, Options, Publication, Topic};
use crate::session::{Message, Replies};
use request::{Command, parse};

const NOT_TEXT: &str = "requests are text; this message is binary";

/// A new connection, which may subscribe.
pub(super) fn open(id: ConnectionId, window_bits: Option<u8>, broker: &mut Broker) {
    let form = Form::new(true, window_bits);
    broker.attach(id, Options { form, echo: true, marks_retained: true });
}

/// Does what one message asks. `waiting` takes the answer to a request to subscribe, until the
/// subscription is in force.
pub(super) fn message(
    id: ConnectionId,
    waiting: &mut Option<Vec<u8>>,
    message: Message<'_>,
    max_topic: usize,
    broker: &mut Broker,
    replies: &mut Replies<'_>,
) {
    let text = match message.opcode() {
        Opcode::Text => message.text(),
        _ => None,
    };
    let (request, id_of_request) = match text.map(parse) {
        Some(request) => (request.command, request.id),
        None => (Err(NOT_TEXT.to_owned()), None),
    };
    let mut client = Requester { id, max_topic, broker };
    let result = request.and_then(|command| match command {
        Command::Subscribe(names) => {
            client.subscribe(&names)?;
            let mut text = Vec::new();
            answer::subscribed(&mut text, &names, id_of_request);
            *waiting = Some(text);
            replies.hold();
            Ok(None)
        }
        Command::Unsubscribe(names) => {
            client.unsubscribe(&names)?;
            let mut text = Vec::new();
            answer::unsubscribed(&mut text, &names, id_of_request);
            Ok(Some(text))
        }
        Command::Publish { topic, data, retain } => {
            client.publish(&topic, data, retain)?;
            Ok(id_of_request.map(|request| {
                let mut text = Vec::new();
                answer::published(&mut text, &topic, Some(request));
                text
            }))
        }
    });
    match result {
        Ok(Some(text)) => replies.send(Opcode::Text, &text),
        Ok(None) => {}
        Err(wrong) => {
            let mut text = Vec::new();
            answer::error(&mut text, &wrong, id_of_request);
            replies.send(Opcode::Text, &text);
        }
    }
}

/// The client whose request is being done. An error is one line for the client.
struct Requester<'b> {
    id: ConnectionId,
    max_topic: usize,
    broker: &'b mut Broker,
}

impl Requester<'_> {
    /// All of the filters, or with an error none.
    fn filters(&self, names: &[Cow<'_, str>]) -> Result<Vec<Filter>, String> {
        let filter = |name: &Cow<'_, str>| {
            Filter::new(name, self.max_topic).map_err(|error| complaint(name, error))
        };
        names.iter().map(filter).collect()
    }

    fn subscribe(&mut self, names: &[Cow<'_, str>]) -> Result<(), String> {
        let filters = self.filters(names)?;
        self.broker.subscribe(self.id, filters).map_err(|error| error.to_string())
    }

    fn unsubscribe(&mut self, names: &[Cow<'_, str>]) -> Result<(), String> {
        for filter in self.filters(names)? {
            self.broker.unsubscribe(self.id, &filter);
        }
        Ok(())
    }

    fn publish(&mut self, name: &str, data: Option<&str>, retain: bool) -> Result<(), String> {
        let topic = &Topic::new(name, self.max_topic).map_err(|error| complaint(name, error))?;
        self.broker.apply_unsubscribes(self.id);
        let (opcode, payload) = (Opcode::Text, data.unwrap_or_default().as_bytes());
        let publication = Publication { topic, opcode, payload, json: data, retain, origin: None };
        self.broker
            .publish(&publication)
            .map_err(|limit| format!("{}: {limit}", shown(topic.as_str())))
    }
}

/// The fault of a name, for the client that sent it.
fn complaint(name: &str, error: NameError) -> String {
    format!("{}: {error}", shown(name))
}

/// As much of a name as is needed to recognise it.
fn shown(name: &str) -> String {
    const SHOWN: usize = 80;
    let shown = &name[..name.floor_char_boundary(SHOWN)];
    let more = if shown.len() < name.len() { "..." } else { "" };
    format!("\"{shown}{more}\"")
}
