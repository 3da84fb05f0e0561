//! The two endpoints: what clients say, and what it means.

use std::borrow::Cow;

use super::Hub;
use super::answers::{Answer, ToPublish};
use super::client::Kind;
use crate::base::ConnectionId;
use crate::protocol::websocket::{CloseCode, Opcode};
use crate::pubsub::form::Form;
use crate::pubsub::json::{self, Command};
use crate::pubsub::name::{Filter, NameError, Topic};
use crate::pubsub::publication::Publication;
use crate::pubsub::route::Role;
use crate::session::{Message, Post, Replies};

const ONLY_SUBSCRIBES: &str = "this connection only subscribes (role=sub)";
const NOT_TEXT: &str = "requests are text; this message is binary";

impl<H> Hub<H> {
    /// A connection to one of the endpoints is open.
    pub(super) fn begin(&mut self, id: ConnectionId, kind: Kind, bits: Option<u8>) {
        let filter = match &kind {
            Kind::Raw { topic, role: Role::Both | Role::Sub, .. } => Some(Filter::from(topic)),
            Kind::Raw { .. } | Kind::Json => None,
        };
        let form = Form::new(matches!(kind, Kind::Json), bits);
        self.clients.insert(id, kind, form);
        if let Some(filter) = filter
            && let Some(number) = self.want(id, &filter)
        {
            // Open means subscribed, everywhere.
            self.errands.posts.push((id, Post::Hold));
            self.answer_later(id, number, Answer::Handshake, vec![filter]);
        }
    }

    /// A message to `/topics/<topic>`.
    pub(super) fn raw_message(
        &mut self,
        id: ConnectionId,
        message: Message<'_>,
        replies: &mut Replies<'_>,
    ) {
        let Some(client) = self.clients.get(id) else { return };
        let Kind::Raw { topic, role, echo } = &client.kind else { return };
        if *role == Role::Sub {
            return replies.close(CloseCode::POLICY_VIOLATION, ONLY_SUBSCRIBES);
        }
        let origin = (!echo && *role == Role::Both).then_some(id);
        let topic = topic.clone();
        let _ = self.publish(&Publication {
            topic: &topic,
            opcode: message.opcode(),
            payload: message.payload(),
            json: None,
            retain: false,
            origin,
        });
        self.pause_if_congested(id);
    }

    /// A message to `/pubsub`.
    pub(super) fn json_message(
        &mut self,
        id: ConnectionId,
        message: Message<'_>,
        replies: &mut Replies<'_>,
    ) {
        let text = match message.opcode() {
            Opcode::Text => message.text(),
            _ => None,
        };
        let Some(text) = text else { return self.error(id, NOT_TEXT, None, replies) };
        let request = json::parse(text);
        match request.command {
            Err(wrong) => self.error(id, &wrong, request.id, replies),
            Ok(Command::Subscribe(names)) => self.json_subscribe(id, &names, request.id, replies),
            Ok(Command::Unsubscribe(names)) => {
                self.json_unsubscribe(id, &names, request.id, replies);
            }
            Ok(Command::Publish { topic, data, retain }) => {
                self.json_publish(id, &topic, data, retain, request.id, replies);
            }
        }
        // Requests of any kind, since what they tell other cores needs room as well.
        self.pause_if_congested(id);
    }

    fn error(
        &mut self,
        id: ConnectionId,
        wrong: &str,
        request: Option<&str>,
        replies: &mut Replies<'_>,
    ) {
        let mut text = Vec::new();
        json::error(&mut text, wrong, request);
        self.answer(id, text, replies);
    }

    fn filters(&self, names: &[Cow<'_, str>]) -> Result<Vec<Filter>, String> {
        let max = self.config.pubsub.max_topic;
        let filter = |name: &Cow<'_, str>| Filter::new(name, max).map_err(|e| complaint(name, e));
        names.iter().map(filter).collect()
    }

    /// All of the filters, or with an error none.
    fn json_subscribe(
        &mut self,
        id: ConnectionId,
        names: &[Cow<'_, str>],
        request: Option<&str>,
        replies: &mut Replies<'_>,
    ) {
        let filters = match self.filters(names) {
            Ok(filters) => filters,
            Err(wrong) => return self.error(id, &wrong, request, replies),
        };
        let Some(client) = self.clients.get(id) else { return };
        let is_new = |filter: &&Filter| !client.filters.contains(filter);
        let mut added: Vec<&Filter> = filters.iter().filter(is_new).collect();
        added.sort_unstable_by_key(|filter| filter.as_str());
        added.dedup();
        let most = self.config.pubsub.max_subscriptions;
        if client.filters.len() + added.len() > most {
            let wrong = format!(
                "this connection may have {most} subscriptions; it has {}, and these would be {} \
                 more",
                client.filters.len(),
                added.len()
            );
            return self.error(id, &wrong, request, replies);
        }
        let (mut number, mut added) = (0, Vec::new());
        for filter in filters {
            if let Some(interest) = self.want(id, &filter) {
                number = number.max(interest);
                added.push(filter);
            }
        }
        let mut text = Vec::new();
        json::subscribed(&mut text, names, request);
        self.answer_later(id, number, Answer::Text(text), added);
    }

    fn json_unsubscribe(
        &mut self,
        id: ConnectionId,
        names: &[Cow<'_, str>],
        request: Option<&str>,
        replies: &mut Replies<'_>,
    ) {
        let filters = match self.filters(names) {
            Ok(filters) => filters,
            Err(wrong) => return self.error(id, &wrong, request, replies),
        };
        for filter in &filters {
            let Some(client) = self.clients.get(id) else { return };
            if let Some(at) = client.filters.iter().position(|ours| ours == filter) {
                client.filters.remove(at);
                client.replays.retain(|replay| replay.filter != *filter);
                self.unsubscribe(id, filter.clone());
            }
        }
        let mut text = Vec::new();
        json::unsubscribed(&mut text, names, request);
        self.answer(id, text, replies);
    }

    fn json_publish(
        &mut self,
        id: ConnectionId,
        name: &str,
        data: Option<&str>,
        retain: bool,
        request: Option<&str>,
        replies: &mut Replies<'_>,
    ) {
        let topic = match Topic::new(name, self.config.pubsub.max_topic) {
            Ok(topic) => topic,
            Err(error) => return self.error(id, &complaint(name, error), request, replies),
        };
        if self.has_pending(id) {
            let (data, request) = (data.map(str::to_owned), request.map(str::to_owned));
            let message = Box::new(ToPublish { topic, data, retain, request });
            return self.answer_later(id, 0, Answer::Publish(message), Vec::new());
        }
        if self.clients.get(id).is_some_and(|client| client.is_ending) {
            // It must not come back by a subscription that was ended before it.
            self.end_subscriptions();
        }
        if let Some(text) = self.publish_json(&topic, data, retain, request) {
            self.answer(id, text, replies);
        }
    }

    /// Publishes a message of `/pubsub`; returns the answer, if there is to be one.
    pub(super) fn publish_json(
        &mut self,
        topic: &Topic,
        data: Option<&str>,
        retain: bool,
        request: Option<&str>,
    ) -> Option<Vec<u8>> {
        let result = self.publish(&Publication {
            topic,
            opcode: Opcode::Text,
            payload: data.unwrap_or_default().as_bytes(),
            json: data,
            retain,
            origin: None,
        });
        let mut text = Vec::new();
        match result {
            Err(full) => {
                json::error(&mut text, &format!("{}: {full}", shown(topic.as_str())), request);
            }
            Ok(()) => json::published(&mut text, topic.as_str(), Some(request?)),
        }
        Some(text)
    }
}

/// What is wrong with a name, for the client that sent it.
fn complaint(name: &str, error: NameError) -> String {
    format!("{}: {error}", shown(name))
}

/// As much of a name as is needed to know it again.
fn shown(name: &str) -> String {
    const SHOWN: usize = 80;
    let shown = &name[..name.floor_char_boundary(SHOWN)];
    let more = if shown.len() < name.len() { "..." } else { "" };
    format!("\"{shown}{more}\"")
}
