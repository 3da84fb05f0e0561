//! The connections of a core that have a transport, by slot.

use crate::base::blocks::Blocks;
use crate::base::{BufferPool, ConnectionId, Millis, Pace};
use crate::io::Received;

use super::tls::{Keyring, TlsSession};
use super::work::Share;

/// How far the transport of a connection is. The state of TLS is in the table itself: a box of its
/// own would take more memory, and few connections have none.
#[derive(Debug)]
#[allow(clippy::large_enum_variant, reason = "nearly all connections have the large one")]
pub(super) enum Stage {
    /// Nothing was received.
    New,
    /// The peer speaks TLS.
    Tls(TlsSession),
    /// Nothing more is received, decrypted or encrypted: the peer does not speak TLS, or broke it.
    Over,
}

/// A connection with a transport.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stage: Stage,
    pub(super) id: ConnectionId,
    /// Received bytes that are not decrypted: the beginning of a record, or a part of the
    /// handshake that waits for its turn.
    pub(super) input: Vec<u8>,
    /// The bytes that were added to it, when the last were, and how fast they come: from when
    /// memory is short while there are some.
    received: u64,
    pub(super) last: Millis,
    pace: Option<Box<Pace>>,
    /// What TLS itself has to send. It is encrypted, and what is encrypted later follows it.
    pub(super) output: Vec<u8>,
    /// So many bytes at the head of the worker's queue are what was encrypted and not sent. They
    /// are sent as they are.
    pub(super) raw: u32,
    /// The batch of the last send at once: the number of a call of `enter`.
    pub(super) sent_in: u32,
    /// What the worker is to be told after the input that waits: how its receive has ended.
    pub(super) after: Option<Received>,
    /// The turn in which it has used up some of its share, and what was left of it then.
    pub(super) share: Share,
    /// So many of its next inputs are expected to cause much work.
    pub(super) costly: u8,
    /// The input waits in a list.
    pub(super) is_listed: bool,
    /// The output is in the list of what is to be sent.
    pub(super) is_flushed: bool,
    /// A send of the worker's queue is under way.
    pub(super) is_sending: bool,
    /// The peer has said that it sends no more.
    pub(super) is_ended: bool,
    /// The peer was told that this side sends no more.
    pub(super) has_ended: bool,
    /// The loop has given it up: nothing more is sent.
    pub(super) is_given_up: bool,
}

impl Connection {
    /// The generation of a connection of which the worker has not told the id yet.
    const UNKNOWN: u32 = u32::MAX;

    pub(super) fn new(slot: u32) -> Self {
        Self {
            stage: Stage::New,
            id: ConnectionId { slot, generation: Self::UNKNOWN },
            input: Vec::new(),
            received: 0,
            last: Millis::default(),
            pace: None,
            output: Vec::new(),
            raw: 0,
            sent_in: 0,
            after: None,
            share: Share::default(),
            costly: 0,
            is_listed: false,
            is_flushed: false,
            is_sending: false,
            is_ended: false,
            has_ended: false,
            is_given_up: false,
        }
    }

    /// Whether plain bytes can be sent and received.
    #[inline]
    pub(super) fn is_open(&self) -> bool {
        matches!(&self.stage, Stage::Tls(session) if session.is_open())
    }

    /// The memory that it takes beside its place in the table and what is to be sent, in bytes.
    pub(super) fn held(&self) -> usize {
        let is_handshake = matches!(&self.stage, Stage::Tls(session) if session.is_handshake());
        self.input.capacity() + if is_handshake { TlsSession::HANDSHAKE } else { 0 }
    }

    /// Whether a part of a record or of a handshake comes too slowly to be held while memory is
    /// short, unless it waits here.
    pub(super) fn input_comes_too_slowly(&mut self, now: Millis, is_read: bool) -> bool {
        if self.input.is_empty() {
            self.pace = None;
            return false;
        }
        let (received, last, held) = (self.received, self.last, self.held());
        let pace = self.pace.get_or_insert_with(|| Box::new(Pace::new(last)));
        if self.is_listed || !is_read {
            pace.excuse(now, received);
            return false;
        }
        pace.is_too_slow(now, last, received, held)
    }

    /// Keeps more input.
    pub(super) fn add_input(&mut self, bytes: &[u8], spare: &mut BufferPool, held: &mut usize) {
        let before = self.input.capacity();
        if before == 0 {
            self.input = spare.take();
        }
        self.input.extend_from_slice(bytes);
        self.received += bytes.len() as u64;
        *held = *held + self.input.capacity() - before;
    }

    /// The peer is told that nothing comes of its handshake, unless it is complete.
    pub(super) fn refuse_handshake(&mut self) {
        let Self { stage, input, output, .. } = self;
        if let Stage::Tls(session) = stage {
            session.refuse(input, output);
        }
    }

    /// Nothing more is received, decrypted or encrypted.
    pub(super) fn end_stage(&mut self, keys: &mut Keyring) {
        if let Stage::Tls(session) = &mut self.stage {
            session.forget(keys);
        }
        self.stage = Stage::Over;
    }

    /// Whether anything can be encrypted and sent.
    #[inline]
    pub(super) fn can_send(&self) -> bool {
        !self.has_ended && !self.is_given_up && self.is_open()
    }

    /// Whether everything that was encrypted before batch `batch` is sent, and nothing waits.
    pub(super) fn is_flushed_before(&self, batch: u32) -> bool {
        self.output.is_empty() && self.raw == 0 && !self.is_sending && self.sent_in != batch
    }
}

/// Connections by slot. The table takes four bytes for a slot that has none.
#[derive(Debug, Default)]
pub(super) struct Table {
    /// One more than the place of the slot's connection; 0 for none.
    places: Blocks<u32>,
    connections: Blocks<Option<Connection>>,
    free: Vec<u32>,
    used: u32,
}

impl Table {
    /// How many connections there are.
    pub(super) const fn len(&self) -> u32 {
        self.used
    }

    /// A connection was accepted into `slot`.
    pub(super) fn insert(&mut self, slot: u32) {
        self.remove_slot(slot);
        let place = self.free.pop().unwrap_or(self.used);
        self.used += 1;
        *self.connections.reach(place, || None) = Some(Connection::new(slot));
        *self.places.reach(slot, || 0) = place + 1;
    }

    /// The worker names its connection in a slot by this id from now on.
    pub(super) fn name(&mut self, id: ConnectionId) {
        if let Some(connection) = self.at(id.slot)
            && connection.id.generation == Connection::UNKNOWN
        {
            connection.id = id.masked();
        }
    }

    /// The connection that `id` names, if it has a transport.
    #[inline]
    pub(super) fn get(&mut self, id: ConnectionId) -> Option<&mut Connection> {
        self.at(id.slot).filter(|connection| connection.id == id.masked())
    }

    /// The same, to look at.
    pub(super) fn look(&self, id: ConnectionId) -> Option<&Connection> {
        let place = self.places.get(id.slot)?.checked_sub(1)?;
        self.connections.get(place)?.as_ref().filter(|connection| connection.id == id.masked())
    }

    #[inline]
    fn at(&mut self, slot: u32) -> Option<&mut Connection> {
        let place = self.places.get(slot)?.checked_sub(1)?;
        self.connections.get_mut(place)?.as_mut()
    }

    /// Takes out the connection that `id` names.
    pub(super) fn remove(&mut self, id: ConnectionId) -> Option<Connection> {
        self.get(id)?;
        self.remove_slot(id.slot)
    }

    fn remove_slot(&mut self, slot: u32) -> Option<Connection> {
        let place = self.places.get_mut(slot)?;
        let taken = std::mem::take(place).checked_sub(1)?;
        self.free.push(taken);
        self.used -= 1;
        self.connections.get_mut(taken)?.take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_is_found_by_its_id_alone() {
        let mut table = Table::default();
        let id = ConnectionId { slot: 3, generation: 7 };
        let other = ConnectionId { slot: 3, generation: 8 };
        assert!(table.get(id).is_none() && table.remove(id).is_none());
        table.insert(3);
        assert!(table.get(id).is_none(), "it has no name yet");
        table.name(id);
        table.name(other);
        assert!(table.get(id).is_some() && table.get(other).is_none());
        assert!(table.remove(other).is_none());
        assert_eq!(table.len(), 1);
        assert!(table.remove(id).is_some_and(|connection| connection.id == id));
        assert!(table.get(id).is_none());
        assert_eq!(table.len(), 0);
    }

    #[test]
    fn places_are_used_again() {
        let mut table = Table::default();
        (10..20).for_each(|slot| table.insert(slot));
        for slot in [12, 15] {
            let id = ConnectionId { slot, generation: 1 };
            table.name(id);
            table.remove(id);
        }
        table.insert(30);
        table.insert(31);
        assert_eq!((table.len(), table.free.len()), (10, 0));
        // A slot that is accepted into again has a new connection.
        table.insert(30);
        assert_eq!(table.len(), 10);
    }
}
