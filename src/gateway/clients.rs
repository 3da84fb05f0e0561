//! The connections of a core that talk to the endpoints of the server.

use super::route::Role;
use crate::base::ConnectionId;
use crate::pubsub::Topic;

/// One connection, by its protocol.
#[derive(Debug)]
pub(super) enum Client {
    /// Messages are payloads of one topic.
    Raw { topic: Topic, role: Role, echo: bool },
    /// Messages are requests and answers in JSON. An answer may have to wait for the broker.
    Json { answer: Option<Vec<u8>> },
}

/// Clients by slot, each with the user that the application knows it by. Other connections have no
/// entry; slots after that of the last client take no memory.
#[derive(Debug)]
pub(super) struct Clients<U>(Vec<Option<Box<(ConnectionId, Client, U)>>>);

impl<U> Default for Clients<U> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<U> Clients<U> {
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<(&mut Client, &U)> {
        let (owner, client, user) = &mut **self.0.get_mut(id.slot as usize)?.as_mut()?;
        (*owner == id).then_some((client, user))
    }

    pub(super) fn insert(&mut self, id: ConnectionId, client: Client, user: U) {
        let at = id.slot as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(Box::new((id, client, user)));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            self.0[id.slot as usize] = None;
        }
    }
}
