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

/// Clients by slot. Other connections have no entry; slots after that of the last client take no
/// memory.
#[derive(Debug, Default)]
pub(super) struct Clients(Vec<Option<Box<(ConnectionId, Client)>>>);

impl Clients {
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Client> {
        let (owner, client) = &mut **self.0.get_mut(id.slot as usize)?.as_mut()?;
        (*owner == id).then_some(client)
    }

    pub(super) fn insert(&mut self, id: ConnectionId, client: Client) {
        let at = id.slot as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(Box::new((id, client)));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            self.0[id.slot as usize] = None;
        }
    }
}
