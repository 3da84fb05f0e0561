//! The connections of a core to the endpoints of the server, by slot.

use super::client::Client;
use crate::base::ConnectionId;

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
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<(&mut Client, &mut U)> {
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
