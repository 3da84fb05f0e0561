//! An echo over TLS: between the messages and the engine, the records.

use std::io;

use super::session::{Layer, Session};
use crate::load::engine::Traffic;
use crate::load::tls::Records;

/// The output of a connection: records.
struct Connection {
    records: Records,
    out: Vec<u8>,
    /// The number of its bytes that are passed to the kernel.
    sent: usize,
    /// The turn of the last send.
    turn: u64,
}

/// All connections.
pub(super) struct Secured<'a> {
    session: Session<'a>,
    connections: Vec<Connection>,
    /// The most bytes of a record.
    most: usize,
    turn: u64,
    /// Connections whose output must not move in this turn, and those of the turn before.
    later: Vec<usize>,
    again: Vec<usize>,
}

impl<'a> Secured<'a> {
    pub(super) fn new(session: Session<'a>, records: Vec<Records>, most: usize) -> Self {
        let connection = |records| Connection { records, out: Vec::new(), sent: 0, turn: 0 };
        let connections = records.into_iter().map(connection).collect();
        Self { session, connections, most, turn: 1, later: Vec::new(), again: Vec::new() }
    }

    /// Encrypts all pending output of a connection.
    fn seal(&mut self, slot: usize) {
        let connection = &mut self.connections[slot];
        // The kernel has taken these bytes: sends that were short have been reported.
        connection.out.drain(..connection.sent);
        connection.sent = 0;
        loop {
            let bytes = self.session.pending(slot);
            let length = bytes.len();
            if length == 0 {
                return;
            }
            connection.records.seal(bytes, self.most, &mut connection.out);
            self.session.sent(slot, length);
        }
    }
}

impl<'a> Layer<'a> for Secured<'a> {
    fn session(&mut self) -> &mut Session<'a> {
        &mut self.session
    }
}

impl Traffic for Secured<'_> {
    fn woke(&mut self) {
        self.turn += 1;
        self.again.append(&mut self.later);
        self.session.woke();
    }

    fn received(&mut self, slot: usize, bytes: &[u8]) -> io::Result<()> {
        let Self { session, connections, .. } = self;
        let records = &mut connections[slot].records;
        records.received(bytes);
        let done = records.open(&mut |data| session.received(slot, data));
        done.map_err(|e| io::Error::new(e.kind(), format!("connection {slot}: {e}")))
    }

    fn ended(&self, slot: usize, cause: Option<io::Error>) -> io::Error {
        self.session.ended(slot, cause)
    }

    fn next_ready(&mut self) -> Option<usize> {
        loop {
            let slot = self.again.pop().or_else(|| self.session.next_ready())?;
            // The output may move only if no send of this turn refers to it.
            if self.connections[slot].turn != self.turn {
                self.seal(slot);
                return Some(slot);
            }
            self.later.push(slot);
        }
    }

    fn pending(&self, slot: usize) -> &[u8] {
        let connection = &self.connections[slot];
        &connection.out[connection.sent..]
    }

    fn sent(&mut self, slot: usize, bytes: usize) {
        self.connections[slot].sent += bytes;
        self.connections[slot].turn = self.turn;
    }

    fn unsent(&mut self, slot: usize, bytes: usize) {
        self.connections[slot].sent -= bytes;
    }
}
