//! What a core knows of the connections that publish and subscribe.

use std::collections::VecDeque;

use super::replay::Replay;
use crate::base::ConnectionId;
use crate::pubsub::form::Form;
use crate::pubsub::name::{Filter, Topic};
use crate::pubsub::route::Role;

/// How a connection publishes and subscribes.
#[derive(Debug)]
pub(super) enum Kind {
    /// Messages are payloads of one topic.
    Raw { topic: Topic, role: Role, echo: bool },
    /// Messages are requests and answers in JSON.
    Json,
}

/// One connection.
#[derive(Debug)]
pub(super) struct Client {
    pub(super) id: ConnectionId,
    pub(super) kind: Kind,
    pub(super) form: Form,
    pub(super) filters: Vec<Filter>,
    /// Answers that wait until the other cores know of a subscription.
    pub(super) waiting: u32,
    /// Has ended a subscription in this turn.
    pub(super) is_ending: bool,
    /// Not read from, because what it publishes cannot be passed on.
    pub(super) is_paused: bool,
    /// Retained values to be given, one filter after the other.
    pub(super) replays: VecDeque<Replay>,
    /// Stands in the line of those who are given some.
    pub(super) is_replaying: bool,
}

/// By slot. Connections that do nothing of this kind have no entry and, behind the last that does,
/// no memory.
#[derive(Debug, Default)]
pub(super) struct Clients(Vec<Option<Box<Client>>>);

impl Clients {
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Client> {
        let client = self.0.get_mut(id.slot as usize)?.as_deref_mut()?;
        (client.id == id).then_some(client)
    }

    pub(super) fn insert(&mut self, id: ConnectionId, kind: Kind, form: Form) {
        let at = id.slot as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(Box::new(Client {
            id,
            kind,
            form,
            filters: Vec::new(),
            waiting: 0,
            is_ending: false,
            is_paused: false,
            replays: VecDeque::new(),
            is_replaying: false,
        }));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Box<Client>> {
        self.get(id)?;
        self.0.get_mut(id.slot as usize)?.take()
    }
}
