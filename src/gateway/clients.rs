//! The connections of a core to the endpoints of the server, by slot.

use super::client::Client;
use crate::base::ConnectionId;

/// What a client usually causes falls by one part in so many with each message that causes less:
/// one that is for few subscribers does not hide that the others are for many.
const REMEMBERED: u32 = 16;

/// A client, and the user that the application knows it by.
#[derive(Debug)]
pub(super) struct Entry<U> {
    id: ConnectionId,
    pub(super) client: Client,
    pub(super) user: U,
    /// The deliveries that a message of it usually causes.
    deliveries: Option<u32>,
}

impl<U> Entry<U> {
    /// A message has caused so many deliveries. One that causes none says nothing about the next:
    /// it may go out with another one of its topic.
    #[inline]
    pub(super) fn note_deliveries(&mut self, caused: usize) {
        if caused == 0 {
            return;
        }
        let caused = u32::try_from(caused).unwrap_or(u32::MAX);
        self.deliveries = match self.deliveries {
            Some(usual) if caused < usual => Some(usual - (usual - caused).div_ceil(REMEMBERED)),
            _ => Some(caused),
        };
    }
}

/// Clients by slot. Other connections have no entry; slots after that of the last client take no
/// memory.
#[derive(Debug)]
pub(super) struct Clients<U>(Vec<Option<Box<Entry<U>>>>);

impl<U> Default for Clients<U> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<U> Clients<U> {
    #[inline]
    pub(super) fn entry(&mut self, id: ConnectionId) -> Option<&mut Entry<U>> {
        self.0.get_mut(id.slot as usize)?.as_deref_mut().filter(|entry| entry.id == id)
    }

    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Client> {
        self.entry(id).map(|entry| &mut entry.client)
    }

    /// The user of a client.
    pub(super) fn user(&self, id: ConnectionId) -> Option<&U> {
        self.look_up(id).map(|entry| &entry.user)
    }

    /// The deliveries that a message of a client has caused lately, if it has sent any.
    pub(super) fn usual_deliveries(&self, id: ConnectionId) -> Option<u32> {
        self.look_up(id)?.deliveries
    }

    fn look_up(&self, id: ConnectionId) -> Option<&Entry<U>> {
        self.0.get(id.slot as usize)?.as_deref().filter(|entry| entry.id == id)
    }

    pub(super) fn insert(&mut self, id: ConnectionId, client: Client, user: U) {
        let at = id.slot as usize;
        if self.0.len() <= at {
            self.0.resize_with(at + 1, || None);
        }
        self.0[at] = Some(Box::new(Entry { id, client, user, deliveries: None }));
    }

    pub(super) fn remove(&mut self, id: ConnectionId) {
        if self.get(id).is_some() {
            self.0[id.slot as usize] = None;
        }
    }
}
